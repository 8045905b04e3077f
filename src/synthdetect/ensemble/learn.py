"""Learn combiner, calibrator and threshold from member logits, each on images new to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.ensemble.calibrate import Calibrator, CalibratorLearner
from synthdetect.ensemble.checks import (
    Floats,
    Labels,
    check_both_classes,
    check_fields,
    check_labels,
)
from synthdetect.ensemble.combine import Combiner, CombinerLearner, check_examples
from synthdetect.ensemble.kinds import calibrator_from_dict, combiner_from_dict
from synthdetect.ensemble.policies import Youden
from synthdetect.ensemble.scaling import TemperatureScaling
from synthdetect.ensemble.threshold import (
    REAL,
    SYNTHETIC,
    AnyThreshold,
    Policy,
    threshold_from_dict,
)
from synthdetect.ensemble.voting import SoftVote
from synthdetect.errors import DataError

# With two folds left out (one to combine, one to calibrate) a third must remain to learn from.
_FEWEST_FOLDS = 3


@dataclass(frozen=True)
class Decision:
    """The three steps from member logits to a decision.

    Parameters
    ----------
    combiner : Combiner
    calibrator : Calibrator
    threshold : Threshold or BandThreshold
    """

    combiner: Combiner
    calibrator: Calibrator
    threshold: AnyThreshold

    def probability(self, logits: ArrayLike) -> Floats:
        """Return P(synthetic) of each row.

        Parameters
        ----------
        logits : array-like of shape (n, members), float
            NaN for a member that did not look; what then stands in for it is the combiner's
            affair. A row of nothing else gives NaN.

        Returns
        -------
        p : ndarray of shape (n,), float64
            Strictly between 0 and 1, bit-equal for a row whatever else is in the batch (but for a
            classifier of your own, which may add in another order).

        Raises
        ------
        DataError
            If there is not one column for each member.
        """
        return self.calibrator(self.combiner(logits))

    def decision(self, logits: ArrayLike) -> Floats:
        """Return 1.0 (synthetic), 0.0 (real) or NaN (no decision, or uncertain) for each row.

        Parameters, errors and shapes are those of `probability`.
        """
        labels = self.threshold.decide(self.probability(logits))
        return np.where(labels == SYNTHETIC, 1.0, np.where(labels == REAL, 0.0, np.nan))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`.

        Raises
        ------
        BundleError
            If the combiner is a classifier of your own that has no such description.
        """
        return {
            "combiner": self.combiner.to_dict(),
            "calibrator": self.calibrator.to_dict(),
            "threshold": self.threshold.to_dict(),
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Decision":
        """Build a decision from its description.

        Raises
        ------
        ValueError
            If a step or a field is missing, unknown or not of its kind; the message names it.
        """
        check_fields("decision", description, ("combiner", "calibrator", "threshold"))
        return cls(
            combiner=combiner_from_dict(description["combiner"]),
            calibrator=calibrator_from_dict(description["calibrator"]),
            threshold=threshold_from_dict(description["threshold"]),
        )


def learn_decision(
    logits: ArrayLike,
    y: ArrayLike,
    *,
    combiner: CombinerLearner | None = None,
    calibrator: CalibratorLearner | None = None,
    policy: Policy | None = None,
    groups: ArrayLike | None = None,
    n_folds: int = 5,
    seed: int,
) -> Decision:
    """Learn the three steps, cross-fitted.

    The images are dealt into folds that keep the share of each class and never split a group.
    The calibrator learns on the combined logits of each fold by a combiner of the other folds;
    the threshold learns on `out_of_fold_probability`; the final combiner learns on all images.

    Parameters
    ----------
    logits : array-like of shape (n, members), float
        Finite logits of images that the members were not trained on.
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real.
    combiner, calibrator, policy : learners, optional
        By default `SoftVote()`, `TemperatureScaling()` and `Youden()`.
    groups : array-like of shape (n,), optional
        Rows with equal values (near-duplicates, one photographer, one prompt) stay in one fold.
        By default each row is its own group, as is one whose group is None.
    n_folds : int
        At least 3.
    seed : int
        Deals the folds.

    Returns
    -------
    decision : Decision

    Raises
    ------
    DataError
        If a logit is not finite, the labels do not fit, or a class has too few images or groups
        for the folds; the message says how many are needed.
    ValueError
        If `n_folds` is below 3.
    """
    columns, labels = check_examples(logits, y)
    combiner = SoftVote() if combiner is None else combiner
    calibrator = TemperatureScaling() if calibrator is None else calibrator
    policy = Youden() if policy is None else policy
    fold = deal_folds(labels, groups=groups, n_folds=n_folds, seed=seed)
    combiners = _Combiners(columns, labels, fold, combiner)
    p = _probability(combiners, calibrator)
    return Decision(
        combiner=combiners.without(),
        calibrator=calibrator.fit(combiners.logit(), labels),
        threshold=policy.fit(labels, p),
    )


def out_of_fold_probability(
    logits: ArrayLike,
    y: ArrayLike,
    fold: NDArray[np.int64],
    *,
    combiner: CombinerLearner | None = None,
    calibrator: CalibratorLearner | None = None,
) -> Floats:
    """Return P(synthetic) of each image by a combiner and a calibrator that never saw its fold.

    Within the other folds the calibrator learns, again, on logits of combiners that did not see
    the image they combine. So the label of an image has no influence at all on its probability.

    Parameters
    ----------
    logits : array-like of shape (n, members), float
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real.
    fold : ndarray of shape (n,), int64
        Fold of each row, from `deal_folds`.
    combiner, calibrator : learners, optional
        By default `SoftVote()` and `TemperatureScaling()`.

    Returns
    -------
    p : ndarray of shape (n,), float64

    Raises
    ------
    DataError
        If a logit is not finite, the labels do not fit, there are fewer than 3 folds, or the
        folds left have one class only.
    """
    columns, labels = check_examples(logits, y)
    combiner = SoftVote() if combiner is None else combiner
    calibrator = TemperatureScaling() if calibrator is None else calibrator
    if np.shape(fold) != labels.shape or len(np.unique(fold)) < _FEWEST_FOLDS:
        raise DataError(
            f"fold has shape {np.shape(fold)} and {len(np.unique(fold))} values; use one fold for "
            f"each of {len(labels)} rows, {_FEWEST_FOLDS} folds or more"
        )
    return _probability(_Combiners(columns, labels, fold, combiner), calibrator)


def deal_folds(
    y: ArrayLike, *, groups: ArrayLike | None = None, n_folds: int = 5, seed: int
) -> NDArray[np.int64]:
    """Return the fold, 0 to n_folds - 1, of each row; stratified, and no group is split.

    Parameters
    ----------
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real; both must occur.
    groups : array-like of shape (n,), optional
        By default each row is its own group, as is one whose group is None.
    n_folds : int
        At least 3.
    seed : int

    Returns
    -------
    fold : ndarray of shape (n,), int64

    Raises
    ------
    DataError
        If a class has fewer images, or fewer groups, than there are folds.
    ValueError
        If `n_folds` is below 3.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if n_folds < _FEWEST_FOLDS:
        raise ValueError(f"n_folds is {n_folds}; use {_FEWEST_FOLDS} or more")
    labels = check_both_classes(check_labels(y, np.size(np.asarray(y))))
    group = np.arange(len(labels)) if groups is None else _check_groups(groups, len(labels))
    for value, name in enumerate(("real", "synthetic")):
        found = len(np.unique(group[labels == value]))
        if found < n_folds:
            unit = "images" if groups is None else "groups of images"
            raise DataError(
                f"y has {found} {name} {unit}, too few for {n_folds} folds; "
                f"at least {n_folds} are needed of each class"
            )
    # The same split where each row is its own group, but not a loop over rows.
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(n_splits=n_folds, shuffle=True, random_state=seed)
    grouping = None if groups is None else group
    fold = np.empty(len(labels), dtype=np.int64)
    for k, (_, held) in enumerate(splitter.split(np.zeros((len(labels), 1)), labels, grouping)):
        fold[held] = k
    for value, name in enumerate(("real", "synthetic")):
        n_with = len(np.unique(fold[labels == value]))
        if n_with < _FEWEST_FOLDS:
            raise DataError(
                f"groups are so uneven that only {n_with} of {n_folds} folds have {name} images; "
                f"at least {_FEWEST_FOLDS} are needed: use smaller groups or more images"
            )
    return fold


class _Combiners:
    """Combiners of all folds but some; each learns once, as two folds are left out in two orders.

    Parameters
    ----------
    columns : ndarray of shape (n, members), float64
    labels, fold : ndarray of shape (n,), int64
    learner : CombinerLearner
    """

    def __init__(
        self, columns: Floats, labels: Labels, fold: NDArray[np.int64], learner: CombinerLearner
    ) -> None:
        self.columns, self.labels, self.fold = columns, labels, fold
        self._learner = learner
        self._learned: dict[frozenset[int], Combiner] = {}

    def without(self, *left_out: int) -> Combiner:
        """Return the combiner that learned on all folds but these."""
        key = frozenset(left_out)
        if key not in self._learned:
            rows = ~np.isin(self.fold, left_out)
            self._learned[key] = self._learner.fit(self.columns[rows], self.labels[rows])
        return self._learned[key]

    def logit(self, *left_out: int) -> Floats:
        """Return the logit of each row, but for those of `left_out`, by combiners of other folds.

        None of them learned on a fold of `left_out` either.
        """
        logit = np.empty(len(self.labels))
        for k in set(self.fold.tolist()) - set(left_out):
            held = self.fold == k
            logit[held] = self.without(k, *left_out)(self.columns[held])
        return logit[~np.isin(self.fold, left_out)]


def _probability(combiners: _Combiners, calibrator: CalibratorLearner) -> Floats:
    """Return P(synthetic) of each row by a combiner and a calibrator of other folds."""
    p = np.empty(len(combiners.labels))
    for k in set(combiners.fold.tolist()):
        held = combiners.fold == k
        calibrated = calibrator.fit(combiners.logit(k), combiners.labels[~held])
        p[held] = calibrated(combiners.without(k)(combiners.columns[held]))
    return p


def _check_groups(groups: ArrayLike, n: int) -> NDArray[np.int64]:
    """Return the groups as whole numbers of shape (n,), or raise DataError.

    A row whose group is None is a group of its own.
    """
    names = np.asarray(groups)
    if names.shape != (n,):
        raise DataError(f"groups has shape {names.shape}; use ({n},), one group for each row")
    if names.dtype != object:
        return np.unique(names, return_inverse=True)[1]
    texts = [f"\0{i:09}" if name is None else str(name) for i, name in enumerate(names.tolist())]
    return np.unique(texts, return_inverse=True)[1]
