"""Policies that weigh errors: nouns with one verb; `Youden().fit(y, p)` gives a threshold."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.bounds import ExpectedRate, counted_rate, lower_limit, upper_limit
from synthdetect.ensemble.checks import Floats, check_scores, check_share
from synthdetect.ensemble.cuts import Cuts, Indices, at, cuts_of, pick, resampled, spread
from synthdetect.ensemble.threshold import Threshold
from synthdetect.errors import DataError

N_REPLICATES = 200

_FEW = 20

# Its square over what rounding leaves of a loss still tells false alarms apart.
_LARGEST_BETA = 1e6

NO_INTERVAL = (
    "the threshold has no interval: nearly all bootstrap replicates choose the same, or none; how "
    "far it would move for other images is not known"
)


class CutoffPolicy(ABC):
    """Base of the policies that choose one cut-off; a policy says which cut, by counts."""

    def fit(
        self, y: ArrayLike, p: ArrayLike, *, n_replicates: int = N_REPLICATES, seed: int = 0
    ) -> Threshold:
        """Choose the threshold.

        Parameters
        ----------
        y : array-like of shape (n,), int
            1 = synthetic, 0 = real; both must occur.
        p : array-like of shape (n,), float
            P(synthetic), 0 to 1, of images that the steps before did not learn from.
        n_replicates : int, default=200
            Bootstrap replicates for the threshold's interval and the optimism of its rates;
            0 leaves both out.
        seed : int, default=0
            Of the bootstrap.

        Returns
        -------
        threshold : Threshold

        Warns
        -----
        UserWarning
            For each of the threshold's notes: fewer than 20 images of a class, scores that are all
            equal, classes that are separated perfectly, or a bootstrap that gives no interval.

        Raises
        ------
        DataError
            If one class is missing, a label is not 0 or 1, a probability is not in 0..1, or the
            images are too few for what the policy guarantees.
        """
        labels, scores = check_scores(y, p)
        cuts = cuts_of(labels, scores)
        cut = self._choose(cuts)
        self._check_choice(cuts, cut)
        interval = None
        optimism: tuple[float | None, float | None] = (None, None)
        if n_replicates:
            cells, replicates = resampled(cuts, n_replicates, seed)
            chosen = self._choose(replicates)
            values = self._place(replicates, chosen)
            interval = spread(values[chosen >= 0])
            optimism = _optimism(cells, replicates, chosen, values)
        notes = data_notes(cuts)
        if n_replicates and interval is None:
            notes += (NO_INTERVAL,)
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        n_real, n_synthetic = cuts.n_real, cuts.n_synthetic
        false_positives = int(n_real - cuts.real_below[cut])
        misses = int(cuts.synthetic_below[cut])
        return Threshold(
            value=float(self._place(cuts, cut)),
            policy=repr(self),
            n_real=n_real,
            n_synthetic=n_synthetic,
            interval=interval,
            false_positive_rate=counted_rate(false_positives, n_real, optimism[0]),
            false_negative_rate=counted_rate(misses, n_synthetic, optimism[1]),
            precision=_precision(
                false_positives, n_real, n_synthetic - misses, n_synthetic, _prevalence(self, cuts)
            ),
            notes=notes,
        )

    @abstractmethod
    def _choose(self, cuts: Cuts) -> Indices:
        """Return the cut, or one for each replicate; -1 where no cut does what is asked."""

    def _place(self, cuts: Cuts, cut: Indices) -> Floats:
        """Return the threshold at each cut."""
        return cuts.middle(cut)

    def _check_choice(self, cuts: Cuts, cut: Indices) -> None:  # noqa: B027 - most always find one
        """Raise DataError if no cut does what is asked."""


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
        prevalence = _prevalence(self, cuts)
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
        prevalence = _prevalence(self, cuts)
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
        notes = _few_notes(n_real, n_synthetic, "the threshold is judged")
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        return Threshold(
            value=float(self.value),
            policy=repr(self),
            n_real=n_real,
            n_synthetic=n_synthetic,
            false_positive_rate=counted_rate(false_positives, n_real),
            false_negative_rate=counted_rate(n_synthetic - hits, n_synthetic),
            precision=_precision(
                false_positives, n_real, hits, n_synthetic, n_synthetic / len(labels)
            ),
            notes=notes,
        )


def check_cost(owner: str, field: str, cost: float) -> None:
    """Raise ValueError unless `cost` is finite and at least 0."""
    if not (np.isfinite(cost) and cost >= 0):
        raise ValueError(f"{owner}: {field} is {cost!r}; use a finite cost, 0 or more")


def all_at_1(bound: float) -> DataError:
    """Return the error for real images above a bound that no threshold leaves out."""
    return DataError(
        f"too many real images have a probability of exactly 1 to bound the false-positive "
        f"rate at {percent(bound)}; give probabilities below 1"
    )


def percent(share: float) -> str:
    """Return a share as text."""
    return f"{100 * share:.6g} %"


def data_notes(cuts: Cuts) -> tuple[str, ...]:
    """Return what to know of the images before a threshold learned on them is used."""
    notes = list(_few_notes(cuts.n_real, cuts.n_synthetic, "the threshold is learned"))
    if cuts.n_cuts == 2:
        notes.append("all scores are equal: no threshold tells the classes apart")
    elif np.any((cuts.real_below == cuts.n_real) & (cuts.synthetic_below == 0)):
        notes.append(
            "the classes are separated perfectly on these images: a whole range of thresholds "
            "does the same here, and errors of 0 are only as sure as their intervals"
        )
    return tuple(notes)


def _few_notes(n_real: int, n_synthetic: int, what: str) -> tuple[str, ...]:
    return tuple(
        f"{what} on {n} {name} images, fewer than {_FEW}: "
        "its rates are next to unknown; use hundreds"
        for n, name in ((n_real, "real"), (n_synthetic, "synthetic"))
        if n < _FEW
    )


def _prevalence(policy: object, cuts: Cuts) -> float:
    """Return the policy's prevalence, or the share of synthetic images."""
    given = getattr(policy, "prevalence", None)
    return cuts.n_synthetic / (cuts.n_real + cuts.n_synthetic) if given is None else float(given)


def _cheapest(cuts: Cuts, cost_real: float, cost_synthetic: float) -> Indices:
    """Return the cut that minimises cost_real * FPR + cost_synthetic * FNR."""
    share_real, share_synthetic = np.array([cost_real, cost_synthetic]) / (
        cost_real + cost_synthetic
    )
    return pick(
        cuts, share_real * cuts.false_positive_rate + share_synthetic * cuts.false_negative_rate
    )


def _optimism(
    cells: Cuts, replicates: Cuts, chosen: Indices, values: Floats
) -> tuple[float | None, float | None]:
    """Return by how much rates of new images exceed those of the images that chose the cut.

    A replicate is to the images as the images are to all that there are; so the mean, over
    replicates, of the rate on the images minus that on the replicate estimates it.
    """
    found = chosen >= 0
    if not found.any():
        return None, None
    cut = cells.cut_of(values)

    def excess(of_images: Floats, of_replicates: Floats) -> float:
        return float((of_images[cut] - at(of_replicates, chosen))[found].mean())

    return (
        excess(cells.false_positive_rate, replicates.false_positive_rate),
        excess(cells.false_negative_rate, replicates.false_negative_rate),
    )


def _precision(
    false_positives: int, n_real: int, hits: int, n_synthetic: int, prevalence: float
) -> ExpectedRate | None:
    """Return the precision at a prevalence; limits of both rates hold together at 95 %."""
    if not false_positives + hits:
        return None
    # Two-sided, so a quarter of 5 % is left to each end of each rate.
    sure = 1 - 0.05 / 4
    alarms = np.array([false_positives / n_real, *_ends(false_positives, n_real, sure)])
    recall = np.array([hits / n_synthetic, *_ends(hits, n_synthetic, sure)[::-1]])
    found = prevalence * recall
    value, high, low = found / (found + (1 - prevalence) * alarms)
    return ExpectedRate(float(value), float(low), float(high), n_real + n_synthetic)


def _ends(successes: int, n: int, confidence: float) -> tuple[float, float]:
    return float(lower_limit(successes, n, confidence)), float(
        upper_limit(successes, n, confidence)
    )
