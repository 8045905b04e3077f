"""Do the probabilities mean what they say: ECE and MCE, reliability curve, parts of Brier's score.

The plain binned errors are biased upwards: noise alone makes them greater than 0. So a bin's error
here is inferred from how the plain one would come out. For each candidate of the true error, counts
are simulated of bins whose probabilities are off by that much; the interval holds the candidates
under which the observed value is no surprise, and the estimate is the one under which it is the
median. How much noise adds depends on how the error is spread over the bins: spread as the data
show it, noise adds much; spread by each bin's own noise, it adds least, and that decides the upper
end of the ECE.

The true quantity: over the bins of these images' probabilities, the mean (ECE) or the largest (MCE)
of |expected share of synthetic - mean probability|, where the expectation is over labels. Simulated
with probabilities that were right, too certain or shifted (400 and 1,600 images, 300 sets of each),
intervals of 95 % covered 93 % to 97 % for the ECE as for the MCE.
"""

from dataclasses import dataclass, replace

import numpy as np

from synthdetect.ensemble.checks import Floats, Labels
from synthdetect.evaluation.interval import (
    Clusters,
    Estimate,
    clustered_variance,
    upper_tail,
    without_interval,
)
from synthdetect.evaluation.metrics import equal_bins

N_BINS = 15
# Candidates of the true error, and simulated data sets for each.
_N_CANDIDATES, _N_SIMULATED = 32, 1000


@dataclass(frozen=True)
class Bins:
    """Images by their probability, in bins of equal numbers.

    Parameters
    ----------
    n : ndarray of shape (bins,), float64
        Images.
    p, share : ndarray of shape (bins,), float64
        Mean probability, and share of synthetic images.
    variance : ndarray of shape (bins,), float64
        Of the share, if the probabilities were right.
    """

    n: Floats
    p: Floats
    share: Floats
    variance: Floats

    @classmethod
    def of(cls, y: Labels, p: Floats, n_bins: int) -> "Bins":
        """Sort images into bins; equal probabilities share one."""
        _, place = np.unique(equal_bins(p, n_bins), return_inverse=True)
        n = np.bincount(place).astype(np.float64)
        spread = np.bincount(place, weights=p * (1 - p)) / n**2
        return cls(n, np.bincount(place, weights=p) / n, np.bincount(place, weights=y) / n, spread)

    def simulated(
        self, shares: Floats, design: float, n_sets: int, rng: np.random.Generator
    ) -> Floats:
        """Draw shares of synthetic images, of shape (n_sets, bins), around the true `shares`.

        Labels of images of unequal probability vary less than the binomial distribution says; as
        many trials as have the right mean and variance stand in for the images.
        """
        even = self.p * (1 - self.p)
        uneven = np.divide(self.variance * self.n, even, out=np.ones_like(even), where=even > 1e-9)
        n_trials = np.maximum(1, np.rint(self.n / np.clip(uneven, 1e-3, 1) / design))
        # A bin's draws one after the other: the generator prepares each distribution once.
        trials = n_trials.astype(np.int64)[:, np.newaxis]
        drawn = rng.binomial(trials, shares[:, np.newaxis], (len(shares), n_sets))
        return np.asarray((drawn / trials).T)


@dataclass(frozen=True)
class Reliability:
    """The reliability curve with consistency bands.

    Parameters
    ----------
    p, share : ndarray of shape (bins,), float64
        Mean probability and share of synthetic images of each bin.
    low, high : ndarray of shape (bins,), float64
        Where the share would be if the probabilities were right (Broecker and Smith 2007), for each
        bin by itself.
    n : ndarray of shape (bins,), int64
    """

    p: Floats
    share: Floats
    low: Floats
    high: Floats
    n: Labels


@dataclass(frozen=True)
class BrierParts:
    """Brier score = miscalibration - discrimination + uncertainty (Dimitriadis et al. 2021).

    They describe these images and have no intervals. Isotonic recalibration fits noise too, which
    makes the first two larger than they are of all images, and the bootstrap does not tell by how
    much: intervals from it left out the truth far too often.

    Parameters
    ----------
    miscalibration : Estimate
        What isotonic recalibration would gain; biased upwards, and above 0 by noise alone.
    discrimination : Estimate
        What the recalibrated probabilities gain over a constant one; biased upwards by as much.
    uncertainty : Estimate
        The Brier score of the constant probability.
    """

    miscalibration: Estimate
    discrimination: Estimate
    uncertainty: Estimate


def calibration_errors(
    y: Labels,
    p: Floats,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    cluster: Clusters | None = None,
    n_bins: int = N_BINS,
) -> tuple[Estimate, Estimate]:
    """Return expected and maximum calibration error, corrected for noise; see the module's text.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    p : ndarray of shape (n,), float64
    rng : Generator
    confidence : float
        Between 0 and 1.
    cluster : ndarray of shape (n,), int64, optional
        Images that go together; noise grows by as much as their errors do together.
    n_bins : int
        Bins of equal numbers of images.

    Returns
    -------
    expected, maximum : Estimate

    References
    ----------
    .. [1] Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
       binning", AAAI 2015.
    .. [2] Kumar, Liang and Ma, "Verified uncertainty calibration", NeurIPS 2019.
    """
    bins = Bins.of(y, p, n_bins)
    design, tail = design_effect(y - p, cluster), upper_tail(confidence)
    gap = bins.share - bins.p
    weight, n = bins.n / bins.n.sum(), len(y)
    noise = np.sqrt(bins.variance * design)
    # Where noise hides the side, an error is on the one with room for it.
    side = np.where(np.abs(gap) > 2 * noise, np.sign(gap), np.where(bins.p < 0.5, 1, -1))
    spread_by_noise = np.where(side < 0, -1, 1) * (noise + 1e-6)
    seen = _simulate(bins, gap if gap.any() else spread_by_noise, design, rng)
    least = _simulate(bins, spread_by_noise, design, rng)
    observed = float(weight @ np.abs(gap))
    expected = _invert(seen.true @ weight, seen.drawn @ weight, observed, n, tail)
    even = _invert(least.true @ weight, least.drawn @ weight, observed, n, tail)
    maximum = _invert(
        seen.true.max(axis=-1), seen.drawn.max(axis=-1), float(np.abs(gap).max()), n, tail
    )
    return replace(expected, high=max(even.high, expected.high)), maximum


@dataclass(frozen=True)
class _Candidates:
    """Errors of each bin: true ones (candidates, bins) and drawn ones (candidates, sets, bins)."""

    true: Floats
    drawn: Floats


def _simulate(bins: Bins, pattern: Floats, design: float, rng: np.random.Generator) -> _Candidates:
    """Draw errors of bins that are off by multiples of a pattern, from none to beyond the seen."""
    gap, weight = np.abs(bins.share - bins.p), bins.n / bins.n.sum()
    noise = np.sqrt(np.maximum(bins.variance, bins.share * (1 - bins.share) / bins.n) * design)
    farthest = float(weight @ gap) + 2 * float(noise.max()) + 8 * design / float(bins.n.sum())
    scale = farthest / float(weight @ np.abs(pattern))
    true, drawn = [], []
    for candidate in np.linspace(0, 1, _N_CANDIDATES) ** 2 * scale:
        shares = np.clip(bins.p + candidate * pattern, 0, 1)
        true.append(np.abs(shares - bins.p))
        drawn.append(np.abs(bins.simulated(shares, design, _N_SIMULATED, rng) - bins.p))
    return _Candidates(np.stack(true), np.stack(drawn))


def _invert(true: Floats, simulated: Floats, observed: float, n: int, tail: float) -> Estimate:
    """Return which true values, one a row of what they let one see, make `observed` no surprise.

    Near 0 there is no lower side to be surprised by, so the share of surprises that is allowed
    above moves from both tails to one.
    """
    spread = max(float(np.std(simulated[0])), 1e-12)
    lower = tail * np.minimum(1, true / (2 * spread))
    upper = 2 * tail - lower
    n_sets = simulated.shape[1]
    at_least = (simulated >= observed - 1e-12).sum(axis=1) / n_sets
    # The observed one counts too, so that a lucky value does not rule out all.
    at_most = ((simulated <= observed + 1e-12).sum(axis=1) + 1) / n_sets
    value = _crossing(true, at_least - 0.5)
    low, high = _crossing(true, at_least - upper), _crossing(true, lower - at_most)
    # Near 0 all surprises are allowed on one side: at a low confidence, more than the half there.
    return Estimate(value, min(low, value), max(high, value), n)


def _crossing(true: Floats, rising: Floats) -> float:
    """Return where a noisy rising function of the true value passes 0; 0 if it is above at once."""
    rising = np.maximum.accumulate(rising)
    if rising[0] >= 0:
        return 0.0
    place = int(np.searchsorted(rising, 0.0))
    if place == len(true):
        return float(true[-1])
    step = -rising[place - 1] / (rising[place] - rising[place - 1])
    return float(true[place - 1] + step * (true[place] - true[place - 1]))


def design_effect(residual: Floats, cluster: Clusters | None) -> float:
    """Return how many times clusters multiply the variance of the mean; at least 1."""
    if cluster is None or not residual.any():
        return 1.0
    return max(1.0, clustered_variance(residual, cluster) / float(np.sum(residual**2)))


def reliability(
    y: Labels,
    p: Floats,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    cluster: Clusters | None = None,
    n_bins: int = 10,
) -> Reliability:
    """Return the reliability curve with consistency bands.

    Parameters and bins are those of `calibration_errors`.

    References
    ----------
    .. [1] Broecker and Smith, "Increasing the reliability of reliability diagrams", Weather and
       Forecasting 22(3), 2007.
    """
    bins = Bins.of(y, p, n_bins)
    drawn = bins.simulated(bins.p, design_effect(y - p, cluster), _N_SIMULATED, rng)
    tail = upper_tail(confidence)
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return Reliability(bins.p, bins.share, low, high, bins.n.astype(np.int64))


def brier_parts(y: Labels, p: Floats) -> BrierParts:
    """Split the Brier score by isotonic recalibration, which needs no bins.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    p : ndarray of shape (n,), float64

    Returns
    -------
    parts : BrierParts
        Each with NaN for the ends of its interval.

    References
    ----------
    .. [1] Dimitriadis, Gneiting and Jordan, "Stable reliability diagrams for probabilistic
       classifiers", PNAS 118(8), 2021.
    """
    from scipy.optimize import isotonic_regression

    distinct, place, n = np.unique(p, return_inverse=True, return_counts=True)
    share = np.bincount(place, weights=y) / n
    recalibrated = isotonic_regression(share, weights=n).x

    def score(forecast: Floats) -> float:
        return float((n * ((forecast - share) ** 2 + share * (1 - share))).sum() / len(y))

    best, constant = score(recalibrated), score(np.full_like(share, y.mean()))
    values = (score(distinct) - best, constant - best, constant)
    return BrierParts(*(without_interval(value, len(y)) for value in values))
