"""Policies that leave images between two cut-offs undecided, for somebody to look at."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.bounds import counted_rate
from synthdetect.ensemble.checks import check_scores, check_share
from synthdetect.ensemble.cutoff import (
    N_REPLICATES,
    NO_INTERVAL,
    all_at_1,
    check_cost,
    data_notes,
    percent,
)
from synthdetect.ensemble.cuts import (
    Cuts,
    Indices,
    at,
    cuts_of,
    finite_logit,
    pick,
    resampled,
    spread,
)
from synthdetect.ensemble.threshold import BandThreshold
from synthdetect.errors import DataError


class BandPolicy(ABC):
    """Base of the policies that choose two cut-offs; a policy says which cuts, by counts."""

    def fit(
        self, y: ArrayLike, p: ArrayLike, *, n_replicates: int = N_REPLICATES, seed: int = 0
    ) -> BandThreshold:
        """Choose the band; parameters, warnings and errors are those of `Youden.fit`."""
        labels, scores = check_scores(y, p)
        cuts = cuts_of(labels, scores)
        n_real, n_synthetic = cuts.n_real, cuts.n_synthetic
        low, high = self._choose(cuts)
        self._check_choice(cuts, high)
        intervals: list[tuple[float, float] | None] = [None, None]
        if n_replicates:
            _, replicates = resampled(cuts, n_replicates, seed)
            ends = self._choose(replicates)
            found = ends[1] >= 0
            intervals = [spread(replicates.middle(cut)[found]) for cut in ends]
        notes = data_notes(cuts)
        if n_replicates and None in intervals:
            notes += (NO_INTERVAL,)
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        real_low, real_high = int(cuts.real_below[low]), int(cuts.real_below[high])
        found_low, found_high = int(cuts.synthetic_below[low]), int(cuts.synthetic_below[high])
        return BandThreshold(
            low=float(cuts.middle(low)),
            high=float(cuts.middle(high)),
            policy=repr(self),
            n_real=n_real,
            n_synthetic=n_synthetic,
            low_interval=intervals[0],
            high_interval=intervals[1],
            false_positive_rate=counted_rate(n_real - real_high, n_real),
            false_negative_rate=counted_rate(found_low, n_synthetic),
            uncertain_real=counted_rate(real_high - real_low, n_real),
            uncertain_synthetic=counted_rate(found_high - found_low, n_synthetic),
            notes=notes,
        )

    @abstractmethod
    def _choose(self, cuts: Cuts) -> tuple[Indices, Indices]:
        """Return the lower and the upper cut, or those of each replicate.

        The upper cut is -1 where no band does what is asked.
        """

    def _check_choice(self, cuts: Cuts, high: Indices) -> None:  # noqa: B027 - a cost finds one
        """Raise DataError if no band does what is asked."""


@dataclass(frozen=True)
class Band(BandPolicy):
    """Minimises the expected cost of an image where some may be given to a person.

    The cost is that of `CostWeighted` for the images that are decided, and `review` for each one
    that is not. Where review costs more than it saves, the two cut-offs are one. Ties and the
    place in a gap are as in `Youden`.

    Parameters
    ----------
    false_positive, false_negative : float
        As in `CostWeighted`.
    review : float
        Cost of an image in the band, of either class, in the same unit; at least 0.
    prevalence : float or None
        As in `CostWeighted`.

    Raises
    ------
    ValueError
        If a cost or the prevalence is out of range.

    References
    ----------
    .. [1] Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions on
       Information Theory 16(1), 1970.

    Examples
    --------
    >>> y, p = [0, 0, 1, 0, 1, 1] * 10, [0.1, 0.2, 0.4, 0.6, 0.8, 0.9] * 10
    >>> learned = Band(review=0.2).fit(y, p)
    >>> learned.decide([0.1, 0.5, 0.9]).tolist()
    ['real', 'uncertain', 'synthetic']
    """

    false_positive: float = 1.0
    false_negative: float = 1.0
    review: float = 0.1
    prevalence: float | None = None

    def __post_init__(self) -> None:
        for field in ("false_positive", "false_negative", "review"):
            check_cost("Band", field, getattr(self, field))
        if self.false_positive == self.false_negative == 0:
            raise ValueError("Band: both costs of errors are 0; give at least one above 0")
        if self.prevalence is not None:
            check_share("Band", "prevalence", self.prevalence)

    def _choose(self, cuts: Cuts) -> tuple[Indices, Indices]:
        share = cuts.n_synthetic / (cuts.n_real + cuts.n_synthetic)
        prevalence = share if self.prevalence is None else self.prevalence
        # In units in which a tie is a tie: the dearest image costs 1.
        dearest = max(self.false_positive, self.false_negative, self.review)
        false_positive, false_negative, review = (
            cost / dearest for cost in (self.false_positive, self.false_negative, self.review)
        )
        real, synthetic = (1 - prevalence), prevalence
        # The cost of a band is a sum of what each of its ends costs.
        of_low = (
            false_negative - review
        ) * synthetic * cuts.false_negative_rate + review * real * cuts.false_positive_rate
        of_high = (
            false_positive - review
        ) * real * cuts.false_positive_rate + review * synthetic * cuts.false_negative_rate
        possible = np.where(cuts.attainable, of_low, np.inf)
        high = pick(cuts, of_high + np.minimum.accumulate(possible, axis=-1))
        below = np.arange(cuts.n_cuts) <= high[..., np.newaxis]
        return pick(cuts, of_low, below), high


@dataclass(frozen=True)
class ConformalBand(BandPolicy):
    """Keeps both kinds of wrong decisions below a share of their class (conformal prediction).

    A real image like those of the fit is called synthetic with a probability of at most `alpha`,
    and a synthetic one real; `uncertain` is never wrong. That holds for any number of images and
    any detector, on average over the images that the band could have been learned on
    (class-conditional, or Mondrian, split conformal prediction). If one cut-off does it, the band
    is empty; it then lies in the middle, in logits, of where it may.

    Parameters
    ----------
    alpha : float
        Between 0 and 1. At least 1 / alpha - 1 images of each class are needed.

    Raises
    ------
    ValueError
        If alpha is out of range.

    Notes
    -----
    `fit` raises DataError where there are fewer images than that, or so many real ones have a
    probability of exactly 1 that no threshold can leave them out.

    References
    ----------
    .. [1] Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", Springer, 2005.
    .. [2] Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with bounded error
       levels", JASA 114(525), 2019.

    Examples
    --------
    >>> y, p = [0] * 300 + [1] * 300, [(k % 300 + 100 * (k >= 300)) / 400 for k in range(600)]
    >>> learned = ConformalBand(alpha=0.1).fit(y, p)
    >>> learned.decide([0.1, 0.5, 0.9]).tolist()
    ['real', 'uncertain', 'synthetic']
    """

    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_share("ConformalBand", "alpha", self.alpha)

    def _choose(self, cuts: Cuts) -> tuple[Indices, Indices]:
        # The lowest cut with few enough real images above it, the highest with few enough
        # synthetic ones below.
        real_above = cuts.n_real - cuts.real_below
        above = (real_above <= self._allowed(cuts.n_real)) & cuts.attainable
        below = (cuts.synthetic_below <= self._allowed(cuts.n_synthetic)) & cuts.attainable
        high, low = np.argmax(above, axis=-1), below.sum(axis=-1) - 1
        one = self._between(cuts, high, low)
        apart = low <= high
        found = above.any(axis=-1)
        return np.where(apart, low, one), np.where(found, np.where(apart, high, one), -1)

    def _check_choice(self, cuts: Cuts, high: Indices) -> None:
        for n, name in ((cuts.n_real, "real"), (cuts.n_synthetic, "synthetic")):
            if self._allowed(n) < 0:
                needed = int(np.ceil(1 / self.alpha - 1e-9)) - 1
                raise DataError(
                    f"a conformal band at {percent(self.alpha)} needs at least {needed:,} "
                    f"{name} images; you gave {n:,}"
                )
        if high < 0:
            raise all_at_1(self.alpha)

    def _allowed(self, n: int) -> int:
        """Return how many of n images of a class may lie on the wrong side."""
        # A product such as 0.05 * 20 is a hair below the whole number that it is.
        return int(np.floor(self.alpha * (n + 1) + 1e-9)) - 1

    def _between(self, cuts: Cuts, first: Indices, last: Indices) -> Indices:
        """Return the cut in whose gap the middle of the gaps from `first` to `last` lies."""
        ends = finite_logit(at(cuts.lower, first)) + finite_logit(at(cuts.upper, last))
        middle = np.asarray(1 / (1 + np.exp(-ends / 2)))
        # Rounding may carry the middle out of narrow gaps.
        return np.asarray((cuts.upper < middle[..., np.newaxis]).sum(axis=-1).clip(first, last))
