"""Exact limits for a proportion (Clopper and Pearson 1934), and a rate that carries them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.checks import Floats, check_count, check_fields, check_number

CONFIDENCE = 0.95


@dataclass(frozen=True)
class ExpectedRate:
    """A rate on the images that chose a threshold, with its interval.

    Parameters
    ----------
    value : float
        0 to 1, as counted.
    low, high : float
        The 95 % interval of a rate at a threshold that was fixed beforehand. A threshold chosen on
        the same images makes it too hopeful.
    n : int
        Images that it was counted on.
    optimism : float or None
        By how much the rate on new images is expected to be above `value`, because the same images
        chose the threshold; by the bootstrap, which sees about half of it. None where nothing was
        chosen or it was not asked.

    References
    ----------
    .. [1] Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case
       of the binomial", Biometrika 26(4), 1934.
    .. [2] Efron, "Estimating the error rate of a prediction rule: improvement on
       cross-validation", JASA 78(382), 1983.

    Examples
    --------
    >>> print(counted_rate(38, 1000))
    0.038 [0.027, 0.052], n = 1000
    """

    value: float
    low: float
    high: float
    n: int
    optimism: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.value <= self.high <= 1:
            raise ValueError(
                f"rate: value {self.value!r} with interval {self.low!r} to {self.high!r}; "
                "use 0 <= low <= value <= high <= 1"
            )

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {field: value for field, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "ExpectedRate":
        """Build a rate from its description.

        Raises
        ------
        ValueError
            If a field is missing, unknown or not of its kind; the message names it.
        """
        check_fields("rate", description, ("value", "low", "high", "n"), ("optimism",))
        value, low, high = (
            check_number("rate", k, description[k]) for k in ("value", "low", "high")
        )
        optimism = None
        if "optimism" in description:
            optimism = check_number("rate", "optimism", description["optimism"])
        return cls(value, low, high, check_count("rate", "n", description["n"]), optimism)


def counted_rate(successes: int, n: int, optimism: float | None = None) -> ExpectedRate:
    """Return `successes` of `n`, n >= 1, as a rate with its 95 % interval."""
    tail = (1 + CONFIDENCE) / 2
    low, high = float(lower_limit(successes, n, tail)), float(upper_limit(successes, n, tail))
    return ExpectedRate(successes / n, low, high, int(n), optimism)


def upper_limit(successes: ArrayLike, n: ArrayLike, confidence: float) -> Floats:
    """Return the one-sided upper limit of a proportion: the true one is above it too rarely.

    Parameters
    ----------
    successes, n : array-like of int
        0 <= successes <= n, n >= 1; broadcast.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    limit : ndarray of float64
        1 where all are successes.
    """
    from scipy.special import betaincinv

    k, total = np.asarray(successes), np.asarray(n)
    # The distribution has no parameter 0; where all are successes the limit is known.
    limit = betaincinv(k + 1, np.maximum(total - k, 1), confidence)
    return np.asarray(np.where(k < total, limit, 1.0), dtype=np.float64)


def lower_limit(successes: ArrayLike, n: ArrayLike, confidence: float) -> Floats:
    """Return the one-sided lower limit of a proportion; parameters as for `upper_limit`."""
    return 1 - upper_limit(np.asarray(n) - np.asarray(successes), n, confidence)


def most_allowed(n: int, rate: float, confidence: float) -> int:
    """Return the most successes of n whose upper limit is at most `rate`; -1 if even none is not.

    Parameters
    ----------
    n : int
    rate, confidence : float
        Between 0 and 1.

    Returns
    -------
    most : int
        The largest k for which a proportion above `rate` gives k or fewer successes with a
        probability of at most 1 - confidence.
    """
    from scipy.special import bdtr

    tail = _tail(confidence)
    # Of k + 1 counts, from none up, as many are allowed as the growing tail leaves.
    low, high = 0, n
    while low < high:
        k = (low + high) // 2
        if bdtr(k, n, rate) <= tail:
            low = k + 1
        else:
            high = k
    return low - 1


def fewest_needed(rate: float, confidence: float) -> int:
    """Return the smallest n with which no success at all bounds a proportion at `rate`."""
    from scipy.special import bdtr

    tail = _tail(confidence)
    n = max(1, math.ceil(math.log(tail) / math.log1p(-rate)))
    # A quotient that is a whole number may come out a hair beside it.
    if n > 1 and bdtr(0, n - 1, rate) <= tail:
        return n - 1
    return n if bdtr(0, n, rate) <= tail else n + 1


def _tail(confidence: float) -> float:
    """1 - confidence, and a hair more: a tail that is just as large may come out above it."""
    return (1 - confidence) * (1 + 1e-12)
