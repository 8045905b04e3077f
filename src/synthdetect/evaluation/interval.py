"""A figure with its interval and the number of images behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Clusters = NDArray[np.int64]

# Rounding leaves a little of a variance of 0.
NO_VARIANCE = 1e-15


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval and the number of images it was measured on.

    As text, or with a format such as `f"{estimate:.1%}"`, it is `value [low, high]`; without an
    interval, `value`.

    Parameters
    ----------
    value : float
        NaN where it is not defined, such as an AUROC of one class.
    low, high : float
        Ends of the interval; the whole range of the figure where nothing is known. NaN where there
        is none.
    n : int

    Examples
    --------
    >>> str(rate(962, 1000))
    '0.962 [0.948, 0.973]'
    >>> f"{rate(962, 1000):.1%}"
    '96.2% [94.8%, 97.3%]'
    """

    value: float
    low: float
    high: float
    n: int

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        if np.isnan(self.low):
            return f"{self.value:{spec}}"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description; NaN and infinity become None."""
        return {field.name: json_ready(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class Rate(Estimate):
    """A proportion with its Clopper-Pearson interval; see `rate` and `rate_of`."""

    __str__ = Estimate.__str__


@dataclass(frozen=True)
class Difference(Estimate):
    """A difference of two figures on the same images, with its interval.

    Parameters
    ----------
    value, low, high, n
        As in `Estimate`.
    p_value : float
        Two-sided, of no difference.
    """

    p_value: float


def without_interval(value: float, n: int) -> Estimate:
    """Return a figure that describes these images only: the ends of its interval are NaN."""
    return Estimate(float(value), float("nan"), float("nan"), n)


def rate(successes: int, n: int, confidence: float = 0.95) -> Rate:
    """Return a proportion with its exact interval (Clopper and Pearson 1934).

    Parameters
    ----------
    successes, n : int
        0 <= successes <= n. With n = 0 the value is NaN, the interval 0 to 1.
    confidence : float
        Between 0 and 1. The interval covers the true rate at least this often.

    Returns
    -------
    rate : Rate

    Raises
    ------
    ValueError
        If the counts or the confidence are out of range.

    References
    ----------
    .. [1] Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case
       of the binomial", Biometrika 26(4), 1934.
    """
    tail = upper_tail(confidence)
    if not 0 <= successes <= n:
        raise ValueError(f"rate: {successes} of {n}; use 0 <= successes <= n")
    if n == 0:
        return Rate(float("nan"), 0.0, 1.0, 0)
    return Rate(successes / n, *_clopper_pearson(successes, n, tail), int(n))


def rate_of(
    events: NDArray[np.bool_], cluster: Clusters | None = None, confidence: float = 0.95
) -> Rate:
    """Return the share of events with an interval that allows for images that go together.

    Without clusters it is `rate`. With them, Clopper and Pearson's interval of as many independent
    images as would have the variance between the clusters (Korn and Graubard 1998); where that
    variance is 0, of as many as there are clusters.

    Parameters
    ----------
    events : ndarray of shape (n,), bool
    cluster : ndarray of shape (n,), int64, optional
        Of each image, such as the person in it.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    rate : Rate
        Its n counts images.

    References
    ----------
    .. [1] Korn and Graubard, "Confidence intervals for proportions with small expected number of
       positive counts estimated from survey data", Survey Methodology 24(2), 1998.
    """
    n, n_events = len(events), int(np.count_nonzero(events))
    if cluster is None or n == 0:
        return rate(n_events, n, confidence)
    value = n_events / n
    n_independent = effective_n(events, cluster, confidence)
    ends = _clopper_pearson(value * n_independent, n_independent, upper_tail(confidence))
    return Rate(value, *ends, n)


def effective_n(
    events: NDArray[np.bool_], cluster: Clusters | None, confidence: float = 0.95
) -> float:
    """Return how many independent images tell as much of a share as these do; see `rate_of`."""
    from scipy.special import ndtri, stdtrit

    n = len(events)
    if cluster is None or n == 0:
        return float(n)
    tail, value = upper_tail(confidence), float(np.mean(events))
    _, place = np.unique(cluster, return_inverse=True)
    n_clusters = int(place.max()) + 1
    variance = clustered_variance((events - value) / n, place)
    if n_clusters < 2 or variance <= NO_VARIANCE:
        return float(n_clusters)
    # Student's t for the few clusters that the variance is known from.
    shrink = (float(ndtri(tail)) / float(stdtrit(n_clusters - 1, tail))) ** 2
    return float(np.clip(value * (1 - value) / variance * shrink, 1, n))


def among(cluster: Clusters | None, rows: NDArray[np.bool_]) -> Clusters | None:
    """Return the clusters of some images; None where there are none."""
    return None if cluster is None else cluster[rows]


def clustered_variance(influence: NDArray[np.float64], cluster: Clusters | None) -> float:
    """Return the variance of a sum of influences, which add up to 0, by sums over clusters.

    Parameters
    ----------
    influence : ndarray of shape (n,), float64
        What each image adds to the estimate's error.
    cluster : ndarray of shape (n,), int64, or None
        Without it each image is a cluster.
    """
    sums = influence
    if cluster is not None:
        _, place = np.unique(cluster, return_inverse=True)
        sums = np.bincount(place, weights=influence).astype(np.float64)
    n_clusters = len(sums)
    return float(np.sum(sums**2) * n_clusters / (n_clusters - 1)) if n_clusters > 1 else 0.0


def square_and_add(
    figure: Callable[..., float],
    rates: Sequence[Estimate],
    *,
    n: int,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Estimate:
    """Return a function of independent figures with the interval that theirs imply.

    Each figure moves to the ends of its interval, one at a time; the squares of what the function
    falls by add up to the square of the lower margin, and likewise above (Zou and Donner 2008). It
    stays honest at rates of 0 and 1, where a bootstrap has no spread.

    Parameters
    ----------
    figure : callable of as many floats as there are rates, to float
        NaN where it is not defined.
    rates : sequence of Estimate
    n : int
        Images behind the figure.
    bounds : (float, float)
        Smallest and largest value that there is.

    Returns
    -------
    estimate : Estimate

    References
    ----------
    .. [1] Zou and Donner, "Construction of confidence limits about effect measures: a general
       approach", Statistics in Medicine 27(10), 2008.

    Examples
    --------
    >>> f"{square_and_add(lambda a, b: a - b, [rate(9, 10), rate(5, 10)], n=20):.2f}"
    '0.40 [-0.00, 0.70]'
    """
    values = [one.value for one in rates]
    value = float(figure(*values))
    if np.isnan(value):
        return Estimate(value, *bounds, n)
    below, above = [], []
    for i, one in enumerate(rates):
        ends = [figure(*values[:i], end, *values[i + 1 :]) for end in (one.low, one.high)]
        known = list(bounds) if np.isnan(ends).any() else ends
        below.append(min(0.0, *(end - value for end in known)))
        above.append(max(0.0, *(end - value for end in known)))
    low, high = value - float(np.hypot.reduce(below)), value + float(np.hypot.reduce(above))
    return Estimate(value, max(bounds[0], low), min(bounds[1], high), n)


def logit_interval(
    value: float, variance: float, n_pairs: int, n: int, confidence: float
) -> Estimate:
    """Return an area in 0..1 with the interval that is normal on its logit.

    Where the area is 0 or 1, or its variance 0, `n_pairs` independent pairs stand in: Clopper and
    Pearson's interval, or the largest variance that there is.
    """
    from scipy.special import expit, logit, ndtri

    tail = upper_tail(confidence)
    if value in (0.0, 1.0):
        return Estimate(value, *_clopper_pearson(value * n_pairs, n_pairs, tail), n)
    known = variance if variance > NO_VARIANCE else value * (1 - value) / n_pairs
    half = -ndtri(tail) * np.sqrt(known) / (value * (1 - value))
    low, high = expit(logit(value) - half), expit(logit(value) + half)
    return Estimate(value, float(low), float(high), n)


def _clopper_pearson(successes: float, n: float, tail: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    low = float(betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return low, high


def upper_tail(confidence: float) -> float:
    """Return the probability beyond each end of the interval."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; use a number between 0 and 1")
    return (1 - confidence) / 2


def json_ready(value: Any) -> Any:
    """Return figures as JSON takes them; NaN and infinity become None."""
    if isinstance(value, Estimate):
        return value.to_dict()
    if isinstance(value, np.ndarray | np.generic):
        return json_ready(value.tolist())
    if isinstance(value, list | tuple):
        return [json_ready(one) for one in value]
    if isinstance(value, dict):
        return {key: json_ready(one) for key, one in value.items()}
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
