"""Convolutional networks as members: one table, no class for each network."""

from dataclasses import dataclass, field
from typing import Any

from synthdetect.errors import RecipeError
from synthdetect.images.views import CenterCrop, View
from synthdetect.optional import require


@dataclass(frozen=True)
class Backbone:
    """What differs between networks.

    Parameters
    ----------
    keras_name : str
        Constructor in `keras.applications`.
    scale, offset : float
        The network expects `pixel * scale + offset`.
    min_size : int
        Smallest input side in pixels.
    """

    keras_name: str
    scale: float
    offset: float
    min_size: int


BACKBONES = {
    "MobileNetV2": Backbone("MobileNetV2", scale=1 / 127.5, offset=-1.0, min_size=32),
}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast a network learns.

    Parameters
    ----------
    crops : tuple of int
        Side of the random native-resolution crops it trains on, in pixels, one for each cycle: the
        rate rises and falls once for each (warm restarts: Loshchilov & Hutter 2017,
        arXiv:1608.03983), and small crops first save time (progressive learning: Tan & Le 2021,
        arXiv:2104.00298).
    epochs : int
        In all cycles together; a multiple of their number.
    batch_size : int
    learning_rate : float
        Peak rate of AdamW, reached after `warmup` and brought to zero by a cosine.
    warmup : float
        Share of a cycle's steps, in [0, 1).
    weight_decay : float
    label_smoothing : float
        In [0, 1).
    patience : int
        Epochs without a better AUROC on the validation images after which it stops.
    """

    crops: tuple[int, ...] = (128, 160)
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 7e-4
    warmup: float = 0.08
    weight_decay: float = 0.02
    label_smoothing: float = 0.02
    patience: int = 12

    def crop(self, epoch: int) -> int:
        """Return the side of the crops of an epoch, counted from 1."""
        return self.crops[(epoch - 1) * len(self.crops) // self.epochs]

    def __post_init__(self) -> None:
        if not self.crops or min(self.crops) < 1:
            raise RecipeError(f"schedule crops is {self.crops}; use at least one size in pixels")
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise RecipeError(f"schedule {name} is {getattr(self, name)}; use at least 1")
        if self.epochs % len(self.crops):
            raise RecipeError(
                f"schedule epochs is {self.epochs}; use a multiple of {len(self.crops)}, "
                "the number of crops"
            )
        for name in ("warmup", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(f"schedule {name} is {getattr(self, name)}; use 0 to under 1")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise RecipeError("schedule: learning_rate must be above 0 and weight_decay at least 0")


@dataclass(frozen=True, kw_only=True)
class BackboneMember:
    """A network of `BACKBONES` with average pooling, dropout and one logit.

    Parameters
    ----------
    kind : str
        Key of `BACKBONES`.
    name : str
        Unique in an ensemble.
    view : View
        How the trained member looks at an image; logits of its crops are averaged.
    weights : str or None
        Where to start: `"imagenet"` (Keras downloads them), the path of a `.weights.h5` of the
        network without its top, or None for random weights.
    dropout : float
        Before the last layer, in [0, 1).
    schedule : Schedule
    """

    kind: str
    name: str
    view: View = field(default_factory=lambda: CenterCrop(160))
    weights: str | None = "imagenet"
    dropout: float = 0.2
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        smallest = BACKBONES[self.kind].min_size
        for what, size in (("crop", min(self.schedule.crops)), ("view size", self.view.size)):
            if size < smallest:
                raise RecipeError(
                    f"member {self.name}: {what} is {size}; {self.kind} needs {smallest} at least"
                )
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"member {self.name}: dropout is {self.dropout}; use 0 to under 1")


def MobileNetV2(*, name: str = "mobilenetv2", **options: Any) -> BackboneMember:  # noqa: N802
    """Return a MobileNetV2 member (Sandler et al. 2018, arXiv:1801.04381), still to be trained.

    Parameters
    ----------
    name : str
    **options
        Of `BackboneMember`.

    Returns
    -------
    member : BackboneMember
    """
    return BackboneMember(kind="MobileNetV2", name=name, **options)


def build(member: BackboneMember, *, size: int, weights: str | None) -> Any:
    """Build the network with its normalisation inside.

    Parameters
    ----------
    member : BackboneMember
    size : int
        Side of the input in pixels.
    weights : str or None
        As `BackboneMember.weights`.

    Returns
    -------
    model : keras.Model
        From uint8 RGB (n, size, size, 3) to logits (n, 1), float32.

    Raises
    ------
    MissingExtraError
        Without Keras.
    RecipeError
        If the weights cannot be read or downloaded.
    """
    keras = require("keras", extra="train")
    backbone = BACKBONES[member.kind]
    constructor = getattr(keras.applications, backbone.keras_name)
    try:
        base = constructor(include_top=False, weights=weights, input_shape=(size, size, 3))
    except Exception as error:
        raise RecipeError(
            f"member {member.name}: cannot start from weights {weights!r} ({error}); give the path "
            f"of a .weights.h5 of {member.kind} without its top, or weights = 'none'"
        ) from error
    _follow_small_data(keras, base)
    inputs = keras.Input((size, size, 3), dtype="uint8", name="crops")
    x = keras.layers.Rescaling(backbone.scale, backbone.offset)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(base(x))
    x = keras.layers.Dropout(member.dropout)(x)
    # float32 whatever the compute dtype: a half-precision logit loses calibration.
    logit = keras.layers.Dense(1, dtype="float32", name="logit")(x)
    return keras.Model(inputs, logit, name=member.kind.lower())


def _follow_small_data(keras: Any, base: Any) -> None:
    """Let BatchNorm statistics follow within an epoch: Keras's 0.999 needs thousands of steps."""
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99
