"""How long and how fast a network learns."""

import math
from dataclasses import dataclass

from synthdetect.errors import RecipeError

_AT_LEAST_ONE = ("epochs", "batch_size", "patience")
_SHARES = ("warmup", "label_smoothing", "ema")
_NOT_NEGATIVE = ("weight_decay", "mixup", "head_epochs")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast a network learns.

    Parameters
    ----------
    crops : tuple of int
        Side in pixels of what it trains on, random crops at native resolution or, where the
        member's view is `Resize`, random frames scaled to this size; one for each cycle: the rate
        rises and falls once for each (warm restarts: Loshchilov & Hutter 2017, arXiv:1608.03983),
        and small crops first save time (progressive learning: Tan & Le 2021, arXiv:2104.00298).
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
    head_epochs : int
        Epochs of the head alone before the first cycle, on features of the frozen network that are
        computed once.
    unfreeze_from : str
        What learns in the cycles: `"all"`, `"head"`, or the network from the layer of this name on.
        BatchNorm of frozen layers keeps its statistics.
    mixup : float
        Both parameters of the Beta distribution that images and labels are mixed with (Zhang et
        al. 2018, arXiv:1710.09412); 0 mixes nothing.
    ema : float
        Momentum, in [0, 1), of the moving average of the weights that is judged and kept; 0 keeps
        the weights themselves.
    balanced : bool
        Weigh both classes the same, however many images each has.
    """

    crops: tuple[int, ...] = (128, 160)
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 7e-4
    warmup: float = 0.08
    weight_decay: float = 0.02
    label_smoothing: float = 0.02
    patience: int = 12
    head_epochs: int = 0
    unfreeze_from: str = "all"
    mixup: float = 0.0
    ema: float = 0.0
    balanced: bool = False

    def crop(self, epoch: int) -> int:
        """Return the side of the crops of an epoch, counted from 1."""
        return self.crops[(epoch - 1) * len(self.crops) // self.epochs]

    def __post_init__(self) -> None:
        if not self.crops or min(self.crops) < 1:
            raise RecipeError(f"schedule crops is {self.crops}; use at least one size in pixels")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise RecipeError(f"schedule {name} is {getattr(self, name)}; use at least 1")
        if self.epochs % len(self.crops):
            raise RecipeError(
                f"schedule epochs is {self.epochs}; use a multiple of {len(self.crops)}, "
                "the number of crops"
            )
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(f"schedule {name} is {getattr(self, name)}; use 0 to under 1")
        for name in _NOT_NEGATIVE:
            if not 0 <= getattr(self, name) < math.inf:
                raise RecipeError(f"schedule {name} is {getattr(self, name)}; use 0 or more")
        if not 0 < self.learning_rate < math.inf:
            raise RecipeError(f"schedule learning_rate is {self.learning_rate}; use more than 0")
