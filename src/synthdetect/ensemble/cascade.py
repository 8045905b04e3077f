"""A cascade: members in turn, and no further once the answer is clear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.ensemble.bounds import ExpectedRate, counted_rate
from synthdetect.ensemble.calibrate import Calibrator, CalibratorLearner
from synthdetect.ensemble.checks import (
    Floats,
    check_count,
    check_fields,
    check_logits,
    check_number,
)
from synthdetect.ensemble.combine import Combiner, check_examples
from synthdetect.ensemble.kinds import calibrator_from_dict
from synthdetect.ensemble.learn import Decision, deal_folds
from synthdetect.ensemble.scaling import TemperatureScaling
from synthdetect.ensemble.threshold import REAL, SYNTHETIC
from synthdetect.errors import DataError

# How far a band is widened on either side, in logits, until few enough decisions change: at last to
# a band that stops no image.
_MARGINS = (*np.arange(0.0, 8.01, 0.25).tolist(), np.inf)


@dataclass(frozen=True)
class Stage:
    """Some members have looked: is their answer clear?

    Parameters
    ----------
    columns : tuple of int
        Members that have looked by now, as columns of the logits.
    calibrator : Calibrator
        Of the combiner's logit where the other members did not look.
    low, high : float
        An image goes no further with P(synthetic) at or below `low`, or at or above `high`. 0 and
        1 let every image go on.
    """

    columns: tuple[int, ...]
    calibrator: Calibrator
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(
                f"stage: low is {self.low!r} and high {self.high!r}; use 0 <= low < high <= 1"
            )

    def probability(self, combiner: Combiner, logits: Floats) -> Floats:
        """Return P(synthetic), shape (n,), by the members of this stage alone."""
        return self.calibrator(combiner(_alone(logits, self.columns)))

    def undecided(self, combiner: Combiner, logits: Floats) -> NDArray[np.bool_]:
        """Return which images of logits (n, members) must go on."""
        p = self.probability(combiner, logits)
        return (p > self.low) & (p < self.high)


@dataclass(frozen=True)
class Cascade:
    """Asks members in turn, and the rest only about images that are not clear yet.

    Parameters
    ----------
    stages : tuple of Stage
        Each has more columns than the one before; after the last, all members look.
    changed : ExpectedRate
        Share of images whose decision is not that of the whole ensemble, by bands learned on
        other images.
    stopped : tuple of ExpectedRate
        For each stage, the share of all images that go no further than it, likewise.
    """

    stages: tuple[Stage, ...]
    changed: ExpectedRate
    stopped: tuple[ExpectedRate, ...]

    def __post_init__(self) -> None:
        before: set[int] = set()
        for stage in self.stages:
            if len(set(stage.columns)) < len(stage.columns) or not set(stage.columns) > before:
                raise ValueError(
                    f"cascade: stages have columns {[s.columns for s in self.stages]}; "
                    "each needs those of the one before and more"
                )
            before = set(stage.columns)
        if not self.stages or len(self.stopped) != len(self.stages):
            raise ValueError(
                f"cascade: {len(self.stages)} stages and {len(self.stopped)} shares of images that "
                "stop; use at least one stage, and one share for each"
            )

    def check(self, combiner: Combiner) -> None:
        """Raise `ValueError` if the combiner gives nothing where a stage would stop."""
        for stage in self.stages:
            if np.isnan(combiner(_alone(np.zeros((1, combiner.n_members)), stage.columns))).any():
                raise ValueError(
                    f"cascade: members {list(stage.columns)} have no say in the combiner, so no "
                    "image can stop after them; put others first"
                )

    def masked(self, combiner: Combiner, logits: ArrayLike) -> Floats:
        """Return logits (n, members) with NaN for members that the cascade would not ask."""
        return _masked(self.stages, combiner, check_logits(logits))

    def probability(self, decision: Decision, logits: ArrayLike) -> Floats:
        """Return P(synthetic) of each image, by the stage that it came to.

        Parameters
        ----------
        decision : Decision
        logits : array-like of shape (n, members), float
            NaN for members that were not asked.

        Returns
        -------
        p : ndarray of shape (n,), float64
        """
        return _probability(self.stages, decision, check_logits(logits))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {
            "stages": [
                {
                    "columns": list(stage.columns),
                    "calibrator": stage.calibrator.to_dict(),
                    "low": stage.low,
                    "high": stage.high,
                }
                for stage in self.stages
            ],
            "changed": self.changed.to_dict(),
            "stopped": [share.to_dict() for share in self.stopped],
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any], *, n_members: int) -> "Cascade":
        """Build a cascade from its description.

        Raises
        ------
        ValueError
            If a field is missing, unknown or not of its kind; the message names it.
        """
        check_fields("cascade", description, ("stages", "changed", "stopped"))
        for name in ("stages", "stopped"):
            if not isinstance(description[name], list) or len(description[name]) > n_members:
                raise ValueError(f"cascade: {name} is no list of at most {n_members}")
        return cls(
            tuple(_stage(stage, n_members) for stage in description["stages"]),
            ExpectedRate.from_dict(description["changed"]),
            tuple(ExpectedRate.from_dict(share) for share in description["stopped"]),
        )


def learn_cascade(
    decision: Decision,
    logits: ArrayLike,
    y: ArrayLike,
    *,
    order: Sequence[int],
    max_changed: float = 0.001,
    calibrator: CalibratorLearner | Sequence[CalibratorLearner] | None = None,
    groups: ArrayLike | None = None,
    n_folds: int = 5,
    seed: int,
) -> Cascade:
    """Learn how clear an answer must be for the other members not to be asked.

    Bands are as narrow as the images allow, and then widened in steps of a quarter of a logit
    until bands that were learned on other folds change few enough decisions. Where members are too
    weak for that, the last bands let every image go on, as `stopped` shows.

    Parameters
    ----------
    decision : Decision
        What the whole ensemble says is what the cascade must say.
    logits : array-like of shape (n, members), float
        Finite logits of all members on images that they were not trained on.
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real.
    order : sequence of int
        Columns, in the order in which they are asked; all others come together at the end.
    max_changed : float, default=0.001
        Share of images whose decision may differ from the whole ensemble's, 0 to under 1.
    calibrator : learner, or one for each stage, optional
        By default `TemperatureScaling()`.
    groups, n_folds, seed
        As in `learn_decision`.

    Returns
    -------
    cascade : Cascade

    Raises
    ------
    DataError
        If logits or labels do not fit, or the first member has no say in the combiner.
    ValueError
        If `order` names no column, all of them or one twice, `max_changed` is out of range, or
        learners are not as many as stages.
    """
    columns, labels = check_examples(logits, y)
    order = tuple(int(column) for column in order)
    _check_order(order, columns.shape[1])
    if not 0 <= max_changed < 1:
        raise ValueError(f"max_changed is {max_changed!r}; use 0 to under 1")
    if np.isnan(decision.combiner(_alone(columns, order[:1]))).any():
        raise DataError(f"member {order[0]} has no say in the combiner; put another first")
    fold = deal_folds(labels, groups=groups, n_folds=n_folds, seed=seed)
    prefixes = stage_columns(order, columns.shape[1])
    learners = _for_each_stage(calibrator, len(prefixes))
    # The same for each margin: fitted once.
    folds = [fold == k for k in range(n_folds)]
    learned = [_Fitted(decision, columns[~k], labels[~k], prefixes, learners) for k in folds]
    wanted = decision.threshold.decide(decision.probability(columns))
    n = len(labels)
    for margin in _MARGINS:
        p, n_asked = np.empty(n), np.empty(n, dtype=np.int64)
        for held, fitted in zip(folds, learned, strict=True):
            stages = fitted.stages(max_changed, margin)
            seen = _masked(stages, decision.combiner, columns[held])
            p[held] = _probability(stages, decision, seen)
            n_asked[held] = (~np.isnan(seen)).sum(axis=1)
        n_changed = int((decision.threshold.decide(p) != wanted).sum())
        if n_changed <= max_changed * n:
            break
    whole = _Fitted(decision, columns, labels, prefixes, learners)
    return Cascade(
        whole.stages(max_changed, margin),
        counted_rate(n_changed, n),
        tuple(counted_rate(int((n_asked == len(prefix)).sum()), n) for prefix in prefixes),
    )


class _Fitted:
    """Calibrators of all stages, and what each says of the images that they learned on."""

    def __init__(
        self,
        decision: Decision,
        columns: Floats,
        labels: NDArray[np.int64],
        prefixes: Sequence[tuple[int, ...]],
        learners: Sequence[CalibratorLearner],
    ) -> None:
        self._threshold = decision.threshold
        self._called = decision.threshold.decide(decision.probability(columns))
        self._learned = []
        for prefix, learner in zip(prefixes, learners, strict=True):
            logit = decision.combiner(_alone(columns, prefix))
            calibrator = learner.fit(logit, labels)
            self._learned.append((prefix, calibrator, calibrator(logit)))

    def stages(self, max_changed: float, margin: float) -> tuple[Stage, ...]:
        """Return stages whose bands, before they are widened, change a share of these images."""
        allowed = int(max_changed * len(self._called) / len(self._learned))
        return tuple(
            Stage(prefix, calibrator, *self._band(p, allowed, margin))
            for prefix, calibrator, p in self._learned
        )

    def _band(self, p: Floats, allowed: int, margin: float) -> tuple[float, float]:
        """Return the band that stops most images, with at most `allowed` of them changed."""
        rising = np.argsort(p, kind="stable")
        falling = rising[::-1]
        # Images that a band stops wrongly if it stops the k lowest, or the k highest.
        low_wrong = np.append(0, np.cumsum(self._called[rising] != REAL))
        high_wrong = np.append(0, np.cumsum(self._called[falling] != SYNTHETIC))
        n_low, n_high = max(
            (
                (
                    int(np.searchsorted(low_wrong, k, side="right")) - 1,
                    int(np.searchsorted(high_wrong, allowed - k, side="right")) - 1,
                )
                for k in range(allowed + 1)
            ),
            key=sum,
        )
        low = _moved(np.append(0.0, p[rising])[n_low], -margin)
        high = _moved(np.append(1.0, p[falling])[n_high], margin)
        # What stops is decided as its end of the band: cut-offs lie inside.
        first = float(getattr(self._threshold, "low", self._threshold.value))
        below = max(0.0, float(np.nextafter(first, -1)))
        return min(low, below), max(high, self._threshold.value)


def stage_columns(order: Sequence[int], n_members: int) -> list[tuple[int, ...]]:
    """Return the columns of each stage where members are asked in this order."""
    return [tuple(order[:k]) for k in range(1, min(len(order), n_members - 1) + 1)]


def _for_each_stage(
    calibrator: CalibratorLearner | Sequence[CalibratorLearner] | None, n_stages: int
) -> Sequence[CalibratorLearner]:
    if isinstance(calibrator, Sequence):
        if len(calibrator) != n_stages:
            raise ValueError(f"calibrator has {len(calibrator)} learners for {n_stages} stages")
        return calibrator
    return [TemperatureScaling() if calibrator is None else calibrator] * n_stages


def _alone(columns: Floats, prefix: tuple[int, ...]) -> Floats:
    """Return logits (n, members) with NaN for all members but these."""
    alone = np.full_like(columns, np.nan)
    alone[:, prefix] = columns[:, prefix]
    return alone


def _masked(stages: Sequence[Stage], combiner: Combiner, columns: Floats) -> Floats:
    """Put NaN where a member is not asked."""
    seen = columns.copy()
    on = np.ones(len(columns), dtype=bool)
    for stage in stages:
        stop = on & ~stage.undecided(combiner, columns)
        seen[stop] = _alone(columns[stop], stage.columns)
        on &= ~stop
    return seen


def _probability(stages: Sequence[Stage], decision: Decision, columns: Floats) -> Floats:
    """Return P(synthetic), shape (n,), by the stage where each image stopped."""
    p = decision.probability(columns)
    looked = ~np.isnan(columns)
    for stage in stages:
        here = (looked == np.isin(np.arange(columns.shape[1]), stage.columns)).all(axis=1)
        p[here] = stage.probability(decision.combiner, columns[here])
    return p


def _moved(p: float, by: float) -> float:
    """Return a probability moved by so many logits."""
    if p in (0.0, 1.0):
        return float(p)
    with np.errstate(over="ignore"):
        return float(1 / (1 + np.exp(-(np.log(p) - np.log1p(-p) + by))))


def _check_order(order: tuple[int, ...], n_members: int) -> None:
    if not order or len(set(order)) < len(order) or not set(order) <= set(range(n_members)):
        raise ValueError(
            f"order is {order}; name some of the {n_members} members, each once, in the order in "
            "which they are asked"
        )
    if n_members < 2:
        raise ValueError("a cascade needs at least two members; this ensemble has one")


def _stage(description: Mapping[str, Any], n_members: int) -> Stage:
    check_fields("stage", description, ("columns", "calibrator", "low", "high"))
    columns = description["columns"]
    if not isinstance(columns, list) or not 0 < len(columns) < n_members:
        raise ValueError(f"stage: columns is no list of 1 to {n_members - 1} members")
    numbers = tuple(check_count("stage", "columns", column) for column in columns)
    if not set(numbers) <= set(range(n_members)):
        raise ValueError(f"stage: columns is {columns}; there are {n_members} members")
    return Stage(
        columns=numbers,
        calibrator=calibrator_from_dict(description["calibrator"]),
        low=check_number("stage", "low", description["low"]),
        high=check_number("stage", "high", description["high"]),
    )
