"""Convolutional networks as members: one table, no class for each network."""

from dataclasses import dataclass, field
from typing import Any

from synthdetect.errors import RecipeError
from synthdetect.images.perturb import Augmentation
from synthdetect.images.views import CenterCrop, Resize, View
from synthdetect.members.networks import Network, of_keras, residual, sequential
from synthdetect.members.schedule import Schedule
from synthdetect.optional import require

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneMember",
    "EfficientNetB0",
    "Head",
    "MobileNetV2",
    "MobileNetV3Large",
    "ResNet50",
    "Residual",
    "Schedule",
    "Sequential",
    "Xception",
    "build",
]


@dataclass(frozen=True, kw_only=True)
class Head:
    """What is put on the feature maps of a network.

    Parameters
    ----------
    flatten : bool
        Keep every position of the maps instead of their average.
    dropout : float
        Before the hidden layer, or before the last one if there is none.
    hidden : int
        Units of a hidden ReLU layer; 0 for none.
    batchnorm : bool
        After the hidden layer.
    hidden_dropout : float
        After the hidden layer.
    l2 : float
        Penalty on the kernels.
    n_outputs : int
        1 logit, or 2 of a softmax over the classes, whose difference is the logit.
    """

    flatten: bool = False
    dropout: float = 0.0
    hidden: int = 0
    batchnorm: bool = False
    hidden_dropout: float = 0.0
    l2: float = 0.0
    n_outputs: int = 1


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """What differs between networks.

    Parameters
    ----------
    network : callable
        Of `members.networks`.
    size : int
        Side of the input, in pixels, in the reference study.
    scale : float
    offset : float or tuple of float
        The network expects `pixel * scale + offset`; a tuple is for red, green and blue.
    min_size : int
        Smallest input side in pixels.
    pretrained : bool
        Whether Keras has ImageNet weights for it.
    unfreeze_from : str
        A layer from which on fine-tuning is worth its time.
    study_head : Head
        What the reference study put on it.
    """

    network: Network
    size: int
    scale: float = 1 / 127.5
    offset: float | tuple[float, float, float] = -1.0
    min_size: int = 32
    pretrained: bool = True
    unfreeze_from: str = "all"
    study_head: Head = Head(dropout=0.2)


BACKBONES = {
    "Sequential": Backbone(
        network=sequential,
        size=128,
        pretrained=False,
        study_head=Head(flatten=True, hidden=128, batchnorm=True, hidden_dropout=0.5, n_outputs=2),
    ),
    "MobileNetV2": Backbone(
        network=of_keras("MobileNetV2"), size=224, unfreeze_from="block_13_expand"
    ),
    # These two normalise by layers of their own.
    "EfficientNetB0": Backbone(
        network=of_keras("EfficientNetB0"),
        size=224,
        scale=1.0,
        offset=0.0,
        unfreeze_from="block6a_expand_conv",
        study_head=Head(dropout=0.2, hidden=128),
    ),
    "MobileNetV3Large": Backbone(
        network=of_keras("MobileNetV3Large"),
        size=224,
        scale=1.0,
        offset=0.0,
        unfreeze_from="expanded_conv_14_expand",
        study_head=Head(flatten=True, hidden=512, hidden_dropout=0.45, l2=0.001, n_outputs=2),
    ),
    "Xception": Backbone(
        network=of_keras("Xception"), size=299, min_size=71, unfreeze_from="block13_sepconv1"
    ),
    # The mean of ImageNet's red, green and blue (123.68, 116.779, 103.939), as its ImageNet weights
    # expect, in numbers that a graph's float16 holds: it would round them, and Keras would not.
    "ResNet50": Backbone(
        network=of_keras("ResNet50"),
        size=224,
        scale=1.0,
        offset=(-123.6875, -116.75, -103.9375),
        unfreeze_from="conv5_block1_1_conv",
    ),
    "residual": Backbone(network=residual, size=128, unfreeze_from="block_6_expand"),
}


@dataclass(frozen=True, kw_only=True)
class BackboneMember:
    """A network of `BACKBONES` with a head that gives one logit.

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
    head : {"small", "study"}
        An average over the maps, dropout and one logit; or the head of the reference study.
    dropout : float
        Of the small head, before its only layer, in [0, 1).
    teacher : str
        Name of a network that comes earlier in the recipe: half of each label is then what that
        network says of the very crop (Hinton et al. 2015, arXiv:1503.02531; Beyer et al. 2022,
        arXiv:2106.05237), scaled to its own size if it looks at whole pictures. Empty for none.
    schedule : Schedule
    augmentation : Augmentation or None
        What its training images go through, if not what the recipe says for all members.
    """

    kind: str
    name: str
    view: View = field(default_factory=lambda: CenterCrop(160))
    weights: str | None = "imagenet"
    head: str = "small"
    dropout: float = 0.2
    teacher: str = ""
    schedule: Schedule = field(default_factory=Schedule)
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        backbone = BACKBONES[self.kind]
        for what, size in (("crop", min(self.schedule.crops)), ("view size", self.view.size)):
            if size < backbone.min_size:
                raise RecipeError(
                    f"member {self.name}: {what} is {size}; {self.kind} needs "
                    f"{backbone.min_size} at least"
                )
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"member {self.name}: dropout is {self.dropout}; use 0 to under 1")
        if self.head not in ("small", "study"):
            raise RecipeError(f"member {self.name}: head is {self.head!r}; use 'small' or 'study'")
        if self.weights == "imagenet" and not backbone.pretrained:
            raise RecipeError(
                f"member {self.name}: there are no ImageNet weights for {self.kind}; "
                "use weights = 'none'"
            )
        if _head(self).flatten and {*self.schedule.crops, self.view.size} != {self.view.size}:
            raise RecipeError(
                f"member {self.name}: the study's head of {self.kind} fits one size; use crops of "
                f"{self.view.size}, the size of its view"
            )


def Sequential(*, name: str = "sequential", **options: Any) -> BackboneMember:  # noqa: N802
    """Return the study's own convolutional network as a member; see `MobileNetV2`.

    It has no ImageNet weights and starts at random.
    """
    return BackboneMember(kind="Sequential", name=name, **({"weights": None} | options))


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


def EfficientNetB0(*, name: str = "efficientnetb0", **options: Any) -> BackboneMember:  # noqa: N802
    """Return an EfficientNetB0 member (Tan & Le 2019, arXiv:1905.11946); see `MobileNetV2`."""
    return BackboneMember(kind="EfficientNetB0", name=name, **options)


def MobileNetV3Large(  # noqa: N802
    *, name: str = "mobilenetv3large", **options: Any
) -> BackboneMember:
    """Return a MobileNetV3Large member (Howard et al. 2019, arXiv:1905.02244).

    Parameters and result are those of `MobileNetV2`.
    """
    return BackboneMember(kind="MobileNetV3Large", name=name, **options)


def Xception(*, name: str = "xception", **options: Any) -> BackboneMember:  # noqa: N802
    """Return an Xception member (Chollet 2017, arXiv:1610.02357); see `MobileNetV2`."""
    return BackboneMember(kind="Xception", name=name, **options)


def ResNet50(*, name: str = "resnet50", **options: Any) -> BackboneMember:  # noqa: N802
    """Return a ResNet50 member (He et al. 2016, arXiv:1512.03385); see `MobileNetV2`."""
    return BackboneMember(kind="ResNet50", name=name, **options)


def Residual(*, name: str = "residual", **options: Any) -> BackboneMember:  # noqa: N802
    """Return the residual network of `members.networks.residual`; see `MobileNetV2`.

    Its ImageNet weights are MobileNetV2's.
    """
    return BackboneMember(kind="residual", name=name, **options)


def sizes_seen(member: BackboneMember) -> range:
    """Return the sides in pixels of pictures that a trained network can be shown."""
    if isinstance(member.view, Resize):
        return range(1, 2**31)  # it scales them
    if _head(member).flatten:
        return range(member.view.size, member.view.size + 1)
    return range(BACKBONES[member.kind].min_size, 2**31)


def _head(member: BackboneMember) -> Head:
    if member.head == "study":
        return BACKBONES[member.kind].study_head
    return Head(dropout=member.dropout)


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
        From uint8 RGB (n, size, size, 3) to logits (n, 1), float32. Its layer `base` is the network
        and its layer `top` the head.

    Raises
    ------
    MissingExtraError
        Without Keras.
    RecipeError
        If the weights cannot be read or downloaded.
    """
    keras = require("keras", extra="train")
    backbone = BACKBONES[member.kind]
    try:
        base = backbone.network(keras, size, weights)
    except Exception as error:
        raise RecipeError(
            f"member {member.name}: cannot start from weights {weights!r} ({error}); without a "
            f"network connection, give the path of a .weights.h5 of {member.kind} without its top, "
            "or weights = 'none'"
        ) from error
    base.name = "base"
    _follow_small_data(keras, base)
    inputs = keras.Input((size, size, 3), dtype="uint8", name="crops")
    x = keras.layers.Rescaling(backbone.scale, backbone.offset)(inputs)
    top = _top(keras, _head(member), base.output_shape[1:])
    return keras.Model(inputs, top(base(x)), name=member.kind.lower())


def _top(keras: Any, head: Head, shape: tuple[int, ...]) -> Any:
    """Build the head as a model from feature maps to (n, 1) logits."""
    layers = keras.layers
    penalty = {"kernel_regularizer": keras.regularizers.L2(head.l2)} if head.l2 else {}
    maps = keras.Input(shape)
    x = (layers.Flatten if head.flatten else layers.GlobalAveragePooling2D)()(maps)
    if head.dropout:
        x = layers.Dropout(head.dropout)(x)
    if head.hidden:
        x = layers.Dense(head.hidden, activation="relu", **penalty)(x)
    if head.batchnorm:
        x = layers.BatchNormalization()(x)
    if head.hidden_dropout:
        x = layers.Dropout(head.hidden_dropout)(x)
    # float32 whatever the compute dtype: a half-precision logit loses calibration.
    x = layers.Dense(head.n_outputs, dtype="float32", name="logit", **penalty)(x)
    # The cross-entropy of a softmax over two is that of a sigmoid of their difference.
    return keras.Model(maps, x if head.n_outputs == 1 else x[:, 1:] - x[:, :1], name="top")


def _follow_small_data(keras: Any, base: Any) -> None:
    """Let BatchNorm statistics follow within an epoch: Keras's 0.999 needs thousands of steps."""
    for layer in leaves(keras, base):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99


def leaves(keras: Any, model: Any) -> list[Any]:
    """Return the layers of a model, those of models within it in their place, in order."""
    found = []
    for layer in model.layers:
        found.extend(leaves(keras, layer) if isinstance(layer, keras.Model) else [layer])
    return found
