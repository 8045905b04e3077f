"""A figure with its interval and the number of images behind it."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval and the number of images it was measured on.

    As text, or with a format such as `f"{estimate:.1%}"`, it is `value [low, high]`.

    Parameters
    ----------
    value : float
        NaN where it is not defined, such as an AUROC of one class.
    low, high : float
        Ends of the interval; the whole range of the figure where nothing is known.
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
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description; NaN and infinity become None."""
        return {field.name: json_ready(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class Rate(Estimate):
    """A proportion with its Clopper-Pearson interval; see `rate`."""

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
    from scipy.special import betaincinv

    tail = upper_tail(confidence)
    if not 0 <= successes <= n:
        raise ValueError(f"rate: {successes} of {n}; use 0 <= successes <= n")
    if n == 0:
        return Rate(float("nan"), 0.0, 1.0, 0)
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return Rate(successes / n, low, high, int(n))


def upper_tail(confidence: float) -> float:
    """Return the probability beyond each end of the interval."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; use a number between 0 and 1")
    return (1 - confidence) / 2


def json_ready(value: Any) -> Any:
    """Return a figure as JSON takes it."""
    if isinstance(value, Estimate):
        return value.to_dict()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
