"""One logit from those of the members, by a vote.

A learner (`SoftVote`, `Best`, `Median`, `TrimmedMean`) learns from member logits and labels and
returns a combiner, which needs numpy alone. A member whose logit is NaN did not look at the image:
the others decide. `stacking.py` has combiners that learn how members go together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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
    check_logits,
    check_number,
    check_numbers,
)
from synthdetect.errors import DataError

KINDS = ("soft_vote", "best")

# More than a bundle has members.
MOST_MEMBERS = 256


class Combiner(Protocol):
    """What makes one logit of those of the members."""

    @property
    def n_members(self) -> int:
        """Columns that it takes."""
        ...

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return the combined logits (n,) of member logits (n, members)."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description with a `kind`."""
        ...


class CombinerLearner(Protocol):
    """What learns a combiner."""

    def fit(self, logits: ArrayLike, y: ArrayLike) -> Combiner:
        """Learn from logits of shape (n, members) and labels of shape (n,)."""
        ...


def columns_of(logits: ArrayLike, n_members: int) -> Floats:
    """Return `logits` as (n, n_members), or raise DataError."""
    columns = check_logits(logits)
    if columns.shape[1] != n_members:
        raise DataError(
            f"logits has {columns.shape[1]} columns, the combiner has {n_members} "
            "members; give one column for each member it was learned with"
        )
    return columns


def check_examples(logits: ArrayLike, y: ArrayLike) -> tuple[Floats, Labels]:
    """Return finite logits (n, members) and labels of both classes, or raise DataError."""
    columns = check_logits(logits)
    check_finite("logits", columns)
    return columns, check_both_classes(check_labels(y, len(columns)))


@dataclass(frozen=True)
class LinearCombiner:
    """A weighted sum of the members' logits.

    Where a logit is NaN, the weights of the members that are there are scaled up to the sum of all.

    Parameters
    ----------
    weights : tuple of float
        One finite weight for each member, in the order of the columns.
    kind : str
        How the weights came about, for the record.

    Raises
    ------
    ValueError
        If there is no weight or one is not finite.

    Examples
    --------
    >>> LinearCombiner(weights=(0.75, 0.25))([[4.0, 0.0], [-1.0, 1.0], [np.nan, 2.0]])
    array([ 3. , -0.5,  2. ])
    """

    weights: tuple[float, ...]
    kind: str = "soft_vote"

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError("combiner: weights is empty; give one weight for each member")
        for j, weight in enumerate(self.weights):
            if not np.isfinite(weight):
                raise ValueError(f"combiner: weights[{j}] is {weight!r}; use a finite number")

    @property
    def n_members(self) -> int:
        """Columns that it takes."""
        return len(self.weights)

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return the combined logit of each row.

        Parameters
        ----------
        logits : array-like of shape (n, members), float
            NaN for a member that did not look at the image.

        Returns
        -------
        logit : ndarray of shape (n,), float64
            Bit-equal for a row whatever else is in the batch. NaN where no member with a weight
            is there.

        Raises
        ------
        DataError
            If there is not one column for each weight.
        """
        columns = columns_of(logits, self.n_members)
        # No matrix product: BLAS adds in an order that depends on the size of the batch.
        total = _weighted(columns[:, 0], self.weights[0])
        for j in range(1, self.n_members):
            total += _weighted(columns[:, j], self.weights[j])
        absent = np.isnan(columns)
        rows = absent.any(axis=1)
        if rows.any():
            total[rows] = self._of_present(columns[rows], absent[rows])
        return total

    def _of_present(self, columns: Floats, absent: NDArray[np.bool_]) -> Floats:
        present = np.where(absent, 0.0, np.array(self.weights))
        # So that tiny weights alone are not lost; a power of two leaves all other results as is.
        present = np.ldexp(present, -exponent(np.abs(present).max(axis=1))[:, np.newaxis])
        total, weight = np.zeros(len(columns)), np.zeros(len(columns))
        for j in range(self.n_members):
            total += np.where(absent[:, j], 0.0, _weighted(columns[:, j], present[:, j]))
            weight += present[:, j]
        usable = weight != 0
        scale = sum(self.weights) / np.where(usable, weight, 1.0)
        return np.where(usable, total * scale, np.nan)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {"kind": self.kind, "weights": list(self.weights)}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "LinearCombiner":
        """Build a combiner from its description.

        Raises
        ------
        ValueError
            If a field is missing, unknown or not of its kind; the message names it.
        """
        check_fields("combiner", description, ("kind", "weights"))
        if description["kind"] not in KINDS:
            raise ValueError(f"combiner: kind is {description['kind']!r}; use one of {list(KINDS)}")
        weights = check_numbers("combiner", "weights", description["weights"], most=MOST_MEMBERS)
        return cls(weights=weights, kind=description["kind"])


@dataclass(frozen=True)
class TrimmedCombiner:
    """The mean of the members' logits without the lowest and the highest.

    Logits are first multiplied by a scale for each member, so that members of all sizes count
    alike. One broken member cannot move the result beyond what the others say.

    Parameters
    ----------
    scales : tuple of float
        One finite scale for each member, in the order of the columns.
    cut : float
        Share of the members that are there to leave out at each end, 0 to 0.5; rounded down, and
        one or two always stay. 0.5 is the median.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> TrimmedCombiner(scales=(1.0, 1.0, 1.0), cut=0.5)([[1.0, 2.0, 99.0], [1.0, np.nan, 2.0]])
    array([2. , 1.5])
    """

    scales: tuple[float, ...]
    cut: float

    def __post_init__(self) -> None:
        if not self.scales:
            raise ValueError("combiner: scales is empty; give one scale for each member")
        for j, scale in enumerate(self.scales):
            if not np.isfinite(scale):
                raise ValueError(f"combiner: scales[{j}] is {scale!r}; use a finite number")
        if not 0 <= self.cut <= 0.5:
            raise ValueError(f"combiner: cut is {self.cut!r}; use a share from 0 to 0.5")

    @property
    def n_members(self) -> int:
        """Columns that it takes."""
        return len(self.scales)

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return the combined logit of each row; NaN where no member is there.

        Parameters, shapes and errors are those of `LinearCombiner`.
        """
        columns = columns_of(logits, self.n_members) * np.array(self.scales)
        # NaN sorts last.
        ordered = np.sort(columns, axis=1)
        present = self.n_members - np.isnan(columns).sum(axis=1)
        left_out = np.minimum(
            (self.cut * present).astype(np.int64), np.maximum(present - 1, 0) // 2
        )
        total = np.zeros(len(columns))
        for j in range(self.n_members):
            total += np.where((j >= left_out) & (j < present - left_out), ordered[:, j], 0.0)
        kept = present - 2 * left_out
        return np.where(kept > 0, total / np.maximum(kept, 1), np.nan)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {"kind": "trimmed_mean", "cut": self.cut, "scales": list(self.scales)}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "TrimmedCombiner":
        """Build a combiner from its description; errors are those of `LinearCombiner`."""
        check_fields("combiner", description, ("kind", "cut", "scales"))
        return cls(
            scales=check_numbers("combiner", "scales", description["scales"], most=MOST_MEMBERS),
            cut=check_number("combiner", "cut", description["cut"]),
        )


def _weighted(column: Floats, weight: ArrayLike) -> Floats:
    """Return a member's part of a sum; without a weight it has none, were its logit infinite."""
    used = np.where(np.isinf(column) & (np.asarray(weight) == 0), 0.0, column)
    return np.asarray(used * weight)


def exponent(size: ArrayLike) -> NDArray[np.int32]:
    """Return the power of two just above each size."""
    return np.frexp(size)[1]
