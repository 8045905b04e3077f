"""Policies that weigh errors: nouns with one verb; `Youden().fit(y, p)` gives a threshold."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.bounds import counted_rate
from synthdetect.ensemble.checks import check_scores, check_share
from synthdetect.ensemble.cutoff import (
    CutoffPolicy,
    check_cost,
    expected_precision,
    few_notes,
    prevalence_of,
)
from synthdetect.ensemble.cuts import Cuts, Indices, pick
from synthdetect.ensemble.threshold import Threshold

# Its square over what rounding leaves of a loss still tells false alarms apart.
_LARGEST_BETA = 1e6


@dataclass(frozen=True)
class Youden(CutoffPolicy):
    """Maximises the true positive rate minus the false positive rate (Youden 1950).

    The cut-off is the middle, in logits, of the gap between two adjacent scores. Of several gaps
    that are equally good the widest is taken, of equally wide ones the lowest. Calling every
    image synthetic (0.0) or none (1.0) is chosen only where every gap does worse.

    References
    ----------
    .. [1] Youden, "Index for rating diagnostic tests", Cancer 3(1), 1950.

    Examples
    --------
    >>> y, p = [0] * 20 + [1] * 20, [0.1] * 10 + [0.4] * 10 + [0.35] * 5 + [0.6] * 15
    >>> round(Youden().fit(y, p).value, 6)
    0.5
    """

    def _choose(self, cuts: Cuts) -> Indices:
        return _cheapest(cuts, 0.5, 0.5)


@dataclass(frozen=True)
class CostWeighted(CutoffPolicy):
    """Minimises the expected cost of an image.

    The cost is `false_positive * (1 - prevalence) * FPR + false_negative * prevalence * FNR`.
    Where the cut-off goes in a gap, and which of equally good gaps is taken, is as in `Youden`.

    Parameters
    ----------
    false_positive, false_negative : float
        Cost of calling a real image synthetic, and of calling a synthetic one real; at least 0,
        not both 0. Only their ratio counts.
    prevalence : float or None
        Share of synthetic images where the detector will be used, between 0 and 1; None takes
        the share in `y`.

    Raises
    ------
    ValueError
        If a cost or the prevalence is out of range.

    Examples
    --------
    >>> y, p = [0, 0, 0, 1, 1, 1] * 10, [0.1, 0.2, 0.7, 0.6, 0.8, 0.9] * 10
    >>> CostWeighted(false_positive=10).fit(y, p).value > 0.7
    True
    """

    false_positive: float = 1.0
    false_negative: float = 1.0
    prevalence: float | None = None

    def __post_init__(self) -> None:
        for field in ("false_positive", "false_negative"):
            check_cost("CostWeighted", field, getattr(self, field))
        if self.false_positive == self.false_negative == 0:
            raise ValueError("CostWeighted: both costs are 0; give at least one above 0")
        if self.prevalence is not None:
            check_share("CostWeighted", "prevalence", self.prevalence)

    def _choose(self, cuts: Cuts) -> Indices:
        prevalence = prevalence_of(self, cuts)
        return _cheapest(
            cuts, self.false_positive * (1 - prevalence), self.false_negative * prevalence
        )


@dataclass(frozen=True)
class FBeta(CutoffPolicy):
    """Maximises the F score, in which recall counts beta times as much as precision.

    Ties and the place in a gap are as in `Youden`.

    Parameters
    ----------
    beta : float
        Above 0, at most 1e6, from where on only recall counts.
    prevalence : float or None
        As in `CostWeighted`; the F score depends on it.

    Raises
    ------
    ValueError
        If an option is out of range.

    References
    ----------
    .. [1] van Rijsbergen, "Information Retrieval", 2nd edition, Butterworths, 1979.

    Examples
    --------
    >>> y, p = [0, 0, 0, 1, 1, 1] * 10, [0.1, 0.2, 0.7, 0.6, 0.8, 0.9] * 10
    >>> FBeta(beta=2.0).fit(y, p).value < 0.6
    True
    """

    beta: float = 1.0
    prevalence: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.beta <= _LARGEST_BETA:
            raise ValueError(
                f"FBeta: beta is {self.beta!r}; use a number above 0, at most {_LARGEST_BETA:g}"
            )
        if self.prevalence is not None:
            check_share("FBeta", "prevalence", self.prevalence)

    def _choose(self, cuts: Cuts) -> Indices:
        prevalence = prevalence_of(self, cuts)
        weight = self.beta**2
        missed = prevalence * cuts.false_negative_rate
        found = prevalence - missed
        alarms = (1 - prevalence) * cuts.false_positive_rate
        return pick(cuts, -(1 + weight) * found / ((1 + weight) * found + weight * missed + alarms))


@dataclass(frozen=True)
class EqualError(CutoffPolicy):
    """Makes the false positive and the false negative rate as equal as the images allow.

    Ties and the place in a gap are as in `Youden`.

    Examples
    --------
    >>> y, p = [0, 0, 0, 1, 1, 1] * 10, [0.1, 0.2, 0.7, 0.6, 0.8, 0.9] * 10
    >>> learned = EqualError().fit(y, p)
    >>> learned.false_positive_rate.value == learned.false_negative_rate.value
    True
    """

    def _choose(self, cuts: Cuts) -> Indices:
        return pick(cuts, np.abs(cuts.false_positive_rate - cuts.false_negative_rate))


@dataclass(frozen=True)
class Fixed:
    """A threshold that somebody chose; the data only tells its rates.

    Parameters
    ----------
    value : float
        0 to 1.

    Raises
    ------
    ValueError
        If the value is out of range.

    Examples
    --------
    >>> print(Fixed(0.5).fit([0, 1] * 50, [0.2, 0.8] * 50).false_positive_rate)
    0.000 [0.000, 0.071], n = 50
    """

    value: float

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise ValueError(f"Fixed: value is {self.value!r}; use a number from 0 to 1")

    def fit(self, y: ArrayLike, p: ArrayLike) -> Threshold:
        """Return the value with its rates.

        Nothing is chosen, so there are no bootstrap replicates and no interval.

        Parameters
        ----------
        y, p
            As in `Youden.fit`.

        Returns
        -------
        threshold : Threshold

        Warns
        -----
        UserWarning
            For fewer than 20 images of a class, which is noted too.

        Raises
        ------
        DataError
            If one class is missing, a label is not 0 or 1, or a probability is not in 0..1.
        """
        labels, scores = check_scores(y, p)
        called = scores >= self.value
        n_synthetic = int(labels.sum())
        n_real = len(labels) - n_synthetic
        hits = int(labels[called].sum())
        false_positives = int(called.sum()) - hits
        notes = few_notes(n_real, n_synthetic, "the threshold is judged")
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        return Threshold(
            value=float(self.value),
            policy=repr(self),
            n_real=n_real,
            n_synthetic=n_synthetic,
            false_positive_rate=counted_rate(false_positives, n_real),
            false_negative_rate=counted_rate(n_synthetic - hits, n_synthetic),
            precision=expected_precision(
                false_positives, n_real, hits, n_synthetic, n_synthetic / len(labels)
            ),
            notes=notes,
        )


def _cheapest(cuts: Cuts, cost_real: float, cost_synthetic: float) -> Indices:
    """Return the cut that minimises cost_real * FPR + cost_synthetic * FNR."""
    share_real, share_synthetic = np.array([cost_real, cost_synthetic]) / (
        cost_real + cost_synthetic
    )
    return pick(
        cuts, share_real * cuts.false_positive_rate + share_synthetic * cuts.false_negative_rate
    )
