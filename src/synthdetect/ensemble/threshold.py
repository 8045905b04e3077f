"""From a probability to a decision.

Policies are nouns with one verb: `Youden().fit(y, p)` returns a `Threshold`, which needs numpy
alone, as do the policies.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.ensemble.checks import (
    Floats,
    Labels,
    check_both_classes,
    check_fields,
    check_finite,
    check_labels,
    check_number,
    check_text,
    check_vector,
)
from synthdetect.errors import DataError

# Rounding of a loss in 0..1 stays below this; two different losses differ by more (up to 3 million
# images of each class).
_TIE = 1e-13


@dataclass(frozen=True)
class Threshold:
    """The cut-off on P(synthetic), and what it was learned on.

    Parameters
    ----------
    value : float
        0 to 1; an image with p >= value is called synthetic. With p strictly between 0 and 1,
        0.0 calls every image synthetic and 1.0 none.
    policy : str
        The policy that chose it, as text.
    n_real, n_synthetic : int
        Images of each class that it was learned on; 0 if on none.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> Threshold(0.5, "Fixed(value=0.5)")([0.2, 0.5, 0.9])
    array([False,  True,  True])
    """

    value: float
    policy: str
    n_real: int = 0
    n_synthetic: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise ValueError(f"threshold: value is {self.value!r}; use a number from 0 to 1")
        for field in ("n_real", "n_synthetic"):
            count = getattr(self, field)
            if type(count) is not int or count < 0:
                raise ValueError(f"threshold: {field} is {count!r}; use a whole number, 0 or more")

    @property
    def n(self) -> int:
        """Images that it was learned on."""
        return self.n_real + self.n_synthetic

    def __call__(self, p: ArrayLike) -> NDArray[np.bool_]:
        """Return where the decision is "synthetic".

        Parameters
        ----------
        p : array-like of shape (n,), float
            P(synthetic).

        Returns
        -------
        synthetic : ndarray of shape (n,), bool
            False for NaN too, which is no decision: mask such rows with `np.isnan(p)`.

        Raises
        ------
        DataError
            If `p` is not one number for each image.
        """
        return check_vector("p", p) >= self.value

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {"kind": "cutoff", **asdict(self)}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Threshold":
        """Build a threshold from its description.

        Raises
        ------
        ValueError
            If a field is missing, unknown or not of its kind; the message names it.
        """
        check_fields("threshold", description, ("kind", "value", "policy", "n_real", "n_synthetic"))
        if description["kind"] != "cutoff":
            raise ValueError(f"threshold: kind is {description['kind']!r}; use 'cutoff'")
        return cls(
            value=check_number("threshold", "value", description["value"]),
            policy=check_text("threshold", "policy", description["policy"]),
            n_real=description["n_real"],
            n_synthetic=description["n_synthetic"],
        )


class Policy(Protocol):
    """What chooses a threshold."""

    def fit(self, y: ArrayLike, p: ArrayLike) -> Threshold:
        """Choose from labels and probabilities, both of shape (n,)."""
        ...


@dataclass(frozen=True)
class Youden:
    """Maximises the true positive rate minus the false positive rate (Youden 1950).

    The cut-off is the middle, in logits, of the gap between two adjacent scores. Of several gaps
    that are equally good the widest is taken, of equally wide ones the lowest. Calling every
    image synthetic (0.0) or none (1.0) is chosen only where every gap does worse.

    References
    ----------
    .. [1] Youden, "Index for rating diagnostic tests", Cancer 3(1), 1950.

    Examples
    --------
    >>> round(Youden().fit([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.9]).value, 6)
    0.5
    """

    def fit(self, y: ArrayLike, p: ArrayLike) -> Threshold:
        """Choose the threshold.

        Parameters
        ----------
        y : array-like of shape (n,), int
            1 = synthetic, 0 = real; both must occur.
        p : array-like of shape (n,), float
            P(synthetic), 0 to 1, of images that the steps before did not learn from.

        Returns
        -------
        threshold : Threshold

        Raises
        ------
        DataError
            If one class is missing, a label is not 0 or 1, or a probability is not in 0..1.
        """
        labels, scores = _check(y, p)
        return _learned(self, labels, _cheapest_cut(labels, scores, 0.5, 0.5))


@dataclass(frozen=True)
class CostWeighted:
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
    >>> y, p = [0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.7, 0.6, 0.8, 0.9]
    >>> CostWeighted(false_positive=10).fit(y, p).value > 0.7
    True
    """

    false_positive: float = 1.0
    false_negative: float = 1.0
    prevalence: float | None = None

    def __post_init__(self) -> None:
        for field in ("false_positive", "false_negative"):
            cost = getattr(self, field)
            if not (np.isfinite(cost) and cost >= 0):
                raise ValueError(f"CostWeighted: {field} is {cost!r}; use a finite cost, 0 or more")
        if self.false_positive == self.false_negative == 0:
            raise ValueError("CostWeighted: both costs are 0; give at least one above 0")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise ValueError(
                f"CostWeighted: prevalence is {self.prevalence!r}; use a share between 0 and 1"
            )

    def fit(self, y: ArrayLike, p: ArrayLike) -> Threshold:
        """Choose the threshold; parameters, result and errors are those of `Youden.fit`."""
        labels, scores = _check(y, p)
        prevalence = float(labels.mean()) if self.prevalence is None else self.prevalence
        cost_real = self.false_positive * (1 - prevalence)
        cost_synthetic = self.false_negative * prevalence
        return _learned(self, labels, _cheapest_cut(labels, scores, cost_real, cost_synthetic))


@dataclass(frozen=True)
class Fixed:
    """A threshold that somebody chose; the data is only counted.

    Parameters
    ----------
    value : float
        0 to 1.

    Raises
    ------
    ValueError
        If the value is out of range.
    """

    value: float

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise ValueError(f"Fixed: value is {self.value!r}; use a number from 0 to 1")

    def fit(self, y: ArrayLike, p: ArrayLike) -> Threshold:
        """Return the value; parameters, result and errors are those of `Youden.fit`."""
        labels, _ = _check(y, p)
        return _learned(self, labels, self.value)


def _check(y: ArrayLike, p: ArrayLike) -> tuple[Labels, Floats]:
    """Return clean labels of both classes and their probabilities."""
    scores = check_vector("p", p)
    labels = check_both_classes(check_labels(y, len(scores)))
    check_finite("p", scores)
    outside = np.flatnonzero((scores < 0) | (scores > 1))
    if len(outside):
        row = int(outside[0])
        raise DataError(f"p of row {row} is {scores[row]}; use probabilities from 0 to 1")
    return labels, scores


def _learned(policy: object, labels: Labels, value: float) -> Threshold:
    """Return the threshold with its provenance."""
    n_synthetic = int(labels.sum())
    return Threshold(float(value), repr(policy), len(labels) - n_synthetic, n_synthetic)


def _cheapest_cut(labels: Labels, p: Floats, cost_real: float, cost_synthetic: float) -> float:
    """Return the cut-off that minimises cost_real * FPR + cost_synthetic * FNR."""
    scores, place = np.unique(p, return_inverse=True)
    n_synthetic_at = np.bincount(place, weights=labels, minlength=len(scores))
    n_real_at = np.bincount(place, minlength=len(scores)) - n_synthetic_at
    # Cut k lies just below scores[k]; cut len(scores) lies above them all.
    missed = np.concatenate(([0.0], np.cumsum(n_synthetic_at)))
    passed = np.concatenate(([0.0], np.cumsum(n_real_at)))
    share_real, share_synthetic = np.array([cost_real, cost_synthetic]) / (
        cost_real + cost_synthetic
    )
    loss = share_real * (1 - passed / passed[-1]) + share_synthetic * missed / missed[-1]
    if scores[-1] == 1.0:  # no value up to 1 lies above it
        loss[-1] = np.inf
    best = np.flatnonzero(loss <= loss.min() + _TIE)
    inner = best[(best > 0) & (best < len(scores))]
    if not len(inner):
        return 0.0 if best[0] == 0 else 1.0
    logit = _finite_logit(scores)
    cut = inner[np.argmax(logit[inner] - logit[inner - 1])]
    middle = 1 / (1 + np.exp(-(logit[cut - 1] + logit[cut]) / 2))
    # Between neighbouring floats there is no middle; the upper one has the same decisions.
    return float(middle if scores[cut - 1] < middle <= scores[cut] else scores[cut])


def _finite_logit(p: Floats) -> Floats:
    """Return log(p / (1 - p)), with 0 and 1 as their nearest neighbours within."""
    inside = np.clip(p, np.finfo(np.float64).tiny, 1 - np.finfo(np.float64).epsneg)
    return np.asarray(np.log(inside) - np.log1p(-inside))
