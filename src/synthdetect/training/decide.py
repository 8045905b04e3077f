"""From trained members to a decision: what validation images teach, untouched and worked over."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.data.dataset import Dataset, group_names
from synthdetect.ensemble.calibrate import CalibratorLearner
from synthdetect.ensemble.cascade import Cascade, learn_cascade
from synthdetect.ensemble.checks import Floats, Labels
from synthdetect.ensemble.combine import CombinerLearner
from synthdetect.ensemble.learn import (
    Decision,
    deal_folds,
    learn_decision,
    out_of_fold_probability,
)
from synthdetect.ensemble.learners import CALIBRATORS, COMBINERS
from synthdetect.ensemble.threshold import Policy
from synthdetect.errors import RecipeError
from synthdetect.images.decode import decode, source_name
from synthdetect.images.limits import DEFAULT_LIMITS
from synthdetect.images.perturb import Augmentation, augment
from synthdetect.images.views import Pixels
from synthdetect.members.base import TrainedMember
from synthdetect.members.registry import load_scorer
from synthdetect.members.score import score_stream
from synthdetect.training.log import TrainingLog

# So that a copy is not what the same seed made of the image for a member.
_COPIES = 77


@dataclass(frozen=True, kw_only=True)
class DecisionPlan:
    """How a recipe joins its members.

    Parameters
    ----------
    combiner, calibrator : str
        A name of `ensemble.learners.COMBINERS` and of `CALIBRATORS`.
    copies : int
        Times that each validation image is seen once more, worked over by `augmentation`, by what
        learns combiner, calibrator, threshold and cascade. Images that sites compressed and scaled
        then count beside the untouched ones.
    augmentation : Augmentation

    Raises
    ------
    RecipeError
        If a name is unknown or `copies` is negative.
    """

    combiner: str = "soft-vote"
    calibrator: str = "temperature"
    copies: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for step, name, known in (
            ("combiner", self.combiner, COMBINERS),
            ("calibrator", self.calibrator, CALIBRATORS),
        ):
            if name not in known:
                raise RecipeError(f"{step} is {name!r}; use one of {', '.join(known)}")
        if self.copies < 0:
            raise RecipeError(f"copies is {self.copies}; use a whole number, 0 or more")


@dataclass(frozen=True)
class Learners:
    """How the ensemble decides; None is what the recipe says."""

    combiner: CombinerLearner | None = None
    calibrator: CalibratorLearner | None = None
    policy: Policy | None = None

    def or_those_of(self, plan: DecisionPlan) -> "Learners":
        """Return the same with the learners of `plan` where there is none."""
        return Learners(
            self.combiner or COMBINERS[plan.combiner](),
            self.calibrator or CALIBRATORS[plan.calibrator](),
            self.policy,
        )


@dataclass(frozen=True)
class Lesson:
    """What combiner, calibrator and threshold learn on.

    Parameters
    ----------
    logits : ndarray of shape (n, members), float64
        The untouched images first, then their copies.
    y : ndarray of shape (n,), int64
    groups : ndarray of shape (n,), str
        An image and its copies share a group, so that no fold learns from what another is asked.
    n_untouched : int
    """

    logits: Floats
    y: Labels
    groups: NDArray[np.str_]
    n_untouched: int

    @property
    def untouched(self) -> Floats:
        """Logits of the images as they are."""
        return self.logits[: self.n_untouched]

    def _of(self, columns: Sequence[int] | None) -> Floats:
        return self.logits if columns is None else self.logits[:, list(columns)]

    def decision(
        self, learners: Learners, *, seed: int, columns: Sequence[int] | None = None
    ) -> Decision:
        """Learn combiner, calibrator and threshold for all members, or those of `columns`."""
        return learn_decision(
            self._of(columns),
            self.y,
            combiner=learners.combiner,
            calibrator=learners.calibrator,
            policy=learners.policy,
            groups=self.groups,
            seed=seed,
        )

    def out_of_fold(
        self, learners: Learners, *, seed: int, columns: Sequence[int] | None = None
    ) -> Floats:
        """Return P(synthetic) of the untouched images by what other folds taught."""
        fold = deal_folds(self.y, groups=self.groups, seed=seed)
        p = out_of_fold_probability(
            self._of(columns),
            self.y,
            fold,
            combiner=learners.combiner,
            calibrator=learners.calibrator,
        )
        return p[: self.n_untouched]

    def cascade(self, decision: Decision, order: Sequence[int], *, seed: int) -> Cascade:
        """Learn the bands of a cascade that asks the members of `order` first."""
        return learn_cascade(
            decision, self.logits, self.y, order=order, groups=self.groups, seed=seed
        )


def lesson(
    val: Dataset,
    members: Sequence[TrainedMember],
    plan: DecisionPlan,
    *,
    seed: int,
    log: TrainingLog,
) -> Lesson:
    """Score the validation images, and the copies of them that `plan` wants.

    Parameters
    ----------
    val : Dataset
    members : sequence of TrainedMember
    plan : DecisionPlan
    seed : int
        Of the copies.
    log : TrainingLog

    Returns
    -------
    lesson : Lesson

    Raises
    ------
    ImageError
        If an image cannot be read.
    """
    logits = all_logits(val.images, members, log=log)
    if plan.copies:
        copies = _copies(val, plan, seed)
        n = len(val) * plan.copies
        logits = np.vstack([logits, all_logits(copies, members, log=log, n=n)])
    times = 1 + plan.copies
    return Lesson(logits, np.tile(val.y, times), np.tile(group_names(val), times), len(val))


def all_logits(
    images: Iterable[Any],
    members: Sequence[TrainedMember],
    *,
    log: TrainingLog,
    n: int | None = None,
) -> Floats:
    """Score images by trained members, as a detector would.

    Parameters
    ----------
    images : iterable of n sources
    members : sequence of TrainedMember
    log : TrainingLog
        Shows how far it is.
    n : int, optional
        How many images there are, where `images` has no length.

    Returns
    -------
    logits : ndarray of shape (n, members), float64

    Raises
    ------
    ImageError
        If an image cannot be read.
    """
    scorers = [load_scorer(member) for member in members]
    views = [member.view for member in members]
    rows = []
    total = len(images) if isinstance(images, Sequence) else n
    with log.bar("images scored", total or 0) as advance:
        for scored in score_stream(iter(images), views, scorers, limits=DEFAULT_LIMITS):
            if scored.error is not None:
                raise scored.error
            rows.append(scored.logits)
            advance()
    return np.stack(rows)


def _copies(val: Dataset, plan: DecisionPlan, seed: int) -> Iterator[Pixels]:
    """Yield each copy of each image; the image itself where a copy would be too small to read."""
    for copy in range(plan.copies):
        for index, source in enumerate(val.images):
            pixels = decode(source, name=source_name(source, index))
            rng = np.random.default_rng([seed, _COPIES, copy, index])
            worked_over = augment(pixels, plan.augmentation, rng)
            small = min(worked_over.shape[:2]) < DEFAULT_LIMITS.min_side
            yield np.ascontiguousarray(pixels if small else worked_over)
