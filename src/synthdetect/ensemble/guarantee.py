"""Policies with a guarantee: the true rate is beyond the bound with a probability of at most 5 %.

That holds for any number of images, any detector and any distribution of scores, with ties too, if
the images are drawn as those to come are and neither the detector nor the policy saw them before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.bounds import (
    CONFIDENCE,
    fewest_needed,
    lower_limit,
    most_allowed,
    upper_limit,
)
from synthdetect.ensemble.checks import Floats, check_share
from synthdetect.ensemble.cutoff import CutoffPolicy, all_at_1, percent
from synthdetect.ensemble.cuts import Cuts, Indices, pick
from synthdetect.errors import DataError

# Shares of the synthetic images at whose scores `MinPrecision` tries to cut; said beforehand, so
# that testing all of them costs a known part of the confidence.
_RECALLS = np.array(
    [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98]
)


@dataclass(frozen=True)
class MaxFPR(CutoffPolicy):
    """Finds the most synthetic images while the false positive rate stays bounded.

    Of n real images, k at most may lie at or above the cut-off, where k is the largest count for
    which a rate above `alpha` gives k or fewer with a probability of at most 1 - confidence
    (order statistics: the "umbrella" of Tong, Feng and Li). Among the cuts that are allowed the one
    with the lowest false negative rate is taken; ties and the place in a gap are as in `Youden`.

    Parameters
    ----------
    alpha : float
        Bound on the share of real images that are called synthetic, between 0 and 1.
    confidence : float, default=0.95
        Between 0 and 1.

    Raises
    ------
    ValueError
        If an option is out of range.

    References
    ----------
    .. [1] Tong, Feng and Li, "Neyman-Pearson classification algorithms and NP receiver operating
       characteristics", Science Advances 4(2), 2018.

    Examples
    --------
    >>> y, p = [0] * 300 + [1] * 300, list(range(600))
    >>> float(MaxFPR(0.01).fit(y, [value / 600 for value in p]).false_positive_rate.value)
    0.0
    """

    alpha: float
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        check_share("MaxFPR", "alpha", self.alpha)
        check_share("MaxFPR", "confidence", self.confidence)

    def _choose(self, cuts: Cuts) -> Indices:
        most = most_allowed(cuts.n_real, self.alpha, self.confidence)
        allowed = cuts.n_real - cuts.real_below <= most
        return _pick_or_none(cuts, cuts.false_negative_rate, allowed)

    def _check_choice(self, cuts: Cuts, cut: Indices) -> None:
        if most_allowed(cuts.n_real, self.alpha, self.confidence) < 0:
            raise DataError(
                f"to bound the false-positive rate at {percent(self.alpha)} with "
                f"{percent(self.confidence)} confidence you need at least "
                f"{fewest_needed(self.alpha, self.confidence):,} real images; "
                f"you gave {cuts.n_real:,}"
            )
        if cut < 0:
            raise all_at_1(self.alpha)


@dataclass(frozen=True)
class MinRecall(CutoffPolicy):
    """Raises the fewest false alarms while the share of synthetic images found stays bounded.

    As `MaxFPR`, with the classes changed over.

    Parameters
    ----------
    recall : float
        Bound on the share of synthetic images that are called so, between 0 and 1.
    confidence : float, default=0.95
        Between 0 and 1.

    Raises
    ------
    ValueError
        If an option is out of range.

    Examples
    --------
    >>> y, p = [0] * 300 + [1] * 300, list(range(600))
    >>> learned = MinRecall(0.9).fit(y, [value / 600 for value in p])
    >>> learned.false_negative_rate.value < 0.1
    True
    """

    recall: float
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        check_share("MinRecall", "recall", self.recall)
        check_share("MinRecall", "confidence", self.confidence)

    def _choose(self, cuts: Cuts) -> Indices:
        most = most_allowed(cuts.n_synthetic, 1 - self.recall, self.confidence)
        return _pick_or_none(cuts, cuts.false_positive_rate, cuts.synthetic_below <= most)

    def _check_choice(self, cuts: Cuts, cut: Indices) -> None:
        if most_allowed(cuts.n_synthetic, 1 - self.recall, self.confidence) < 0:
            raise DataError(
                f"to keep the recall at {percent(self.recall)} or more with "
                f"{percent(self.confidence)} confidence you need at least "
                f"{fewest_needed(1 - self.recall, self.confidence):,} synthetic images; "
                f"you gave {cuts.n_synthetic:,}"
            )


@dataclass(frozen=True)
class MinPrecision(CutoffPolicy):
    """Finds the most synthetic images while the share of false alarms among alarms stays bounded.

    Precision does not always rise with the cut-off, so there is no single count to bound. Sixteen
    cut-offs are tried, at fixed shares (2 to 98 %) of the synthetic scores. At each, exact limits
    of recall and false positive rate bound the precision at the prevalence; the confidence is
    shared by all limits (Bonferroni). Of those that pass, the one with the highest recall is taken,
    at the upper end of its gap. That is careful: the true precision is often well above the bound.

    Parameters
    ----------
    precision : float
        Bound on the share of synthetic images among those called so, between 0 and 1.
    prevalence : float or None
        As in `CostWeighted`; precision depends on it.
    confidence : float, default=0.95
        Between 0 and 1.

    Raises
    ------
    ValueError
        If an option is out of range.

    Examples
    --------
    >>> y, p = [0] * 300 + [1] * 300, list(range(600))
    >>> learned = MinPrecision(0.9).fit(y, [value / 600 for value in p])
    >>> learned.precision.value
    1.0
    """

    precision: float
    prevalence: float | None = None
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        check_share("MinPrecision", "precision", self.precision)
        check_share("MinPrecision", "confidence", self.confidence)
        if self.prevalence is not None:
            check_share("MinPrecision", "prevalence", self.prevalence)

    def _choose(self, cuts: Cuts) -> Indices:
        tried, lowest = self._bounded(cuts)
        passed = lowest >= self.precision
        # The lower the cut, the more synthetic images are found.
        first = np.where(passed, tried, cuts.n_cuts).min(axis=-1)
        return np.asarray(np.where(passed.any(axis=-1), first, -1))

    def _place(self, cuts: Cuts, cut: Indices) -> Floats:
        # The limits are those of a cut at a synthetic score; lower in the gap they are not.
        return cuts.top(cut)

    def _check_choice(self, cuts: Cuts, cut: Indices) -> None:
        if cut >= 0:
            return
        # Rounded down: asking for what is told must be enough.
        best = float(np.floor(1000 * self._bounded(cuts)[1].max()) / 1000)
        raise DataError(
            f"no threshold keeps the precision at {percent(self.precision)} with "
            f"{percent(self.confidence)} confidence: with {cuts.n_real:,} real and "
            f"{cuts.n_synthetic:,} synthetic images at most {percent(best)} can be "
            "shown; give more images, above all real ones, or ask for less"
        )

    def _bounded(self, cuts: Cuts) -> tuple[Indices, Floats]:
        """Return the cuts that are tried and the lower limits of their precision."""
        n_real, n_synthetic = cuts.n_real, cuts.n_synthetic
        needed = np.ceil(_RECALLS * n_synthetic)
        found = n_synthetic - cuts.synthetic_below
        # The highest cut that still finds enough lies just below a synthetic score.
        tried = np.stack([(found >= k).sum(axis=-1) - 1 for k in needed], axis=-1)
        sure = 1 - (1 - self.confidence) / (2 * len(needed))
        alarms = n_real - np.take_along_axis(cuts.real_below, tried, axis=-1)
        # With ties more are found, but the scores chose the cut; what was asked for is sure.
        recall = lower_limit(needed, n_synthetic, sure)
        share = n_synthetic / (n_real + n_synthetic) if self.prevalence is None else self.prevalence
        hits = share * recall
        return tried, hits / (hits + (1 - share) * upper_limit(alarms, n_real, sure))


def _pick_or_none(cuts: Cuts, loss: Floats, allowed: NDArray[np.bool_]) -> Indices:
    """Return the cut of the lowest loss among those allowed, -1 where there is none."""
    any_allowed = np.asarray((allowed & cuts.attainable).any(axis=-1))
    # Where none is, all are, so that there is something to pick.
    cut = pick(cuts, loss, allowed | ~any_allowed[..., np.newaxis])
    return np.asarray(np.where(any_allowed, cut, -1))
