"""One logit from those of the members, by a vote.

A learner (`SoftVote`, `Best`, `Median`, `TrimmedMean`) learns from member logits and labels and
returns a combiner, which needs numpy alone. A member whose logit is NaN did not look at the image:
the others decide. `stacking.py` has combiners that learn how members go together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.ensemble.calibrate import TemperatureScaling
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

# Small against one misjudged image among a million, large enough that separable data has a minimum.
_RIDGE = 1e-7

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
        present = np.ldexp(present, -_exponent(np.abs(present).max(axis=1))[:, np.newaxis])
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


@dataclass(frozen=True)
class SoftVote:
    """Learns the weights of a soft vote in logit space, on the simplex.

    The log loss of sigmoid(logits @ v) is minimised over v >= 0. This is convex; the sum of v is
    a free scale, which is dropped (calibration learns it again), and v over its sum are the
    weights. A ridge of 1e-7 keeps v finite on separable data. Where v = 0 is the best, that is
    where every member is worse than chance, the weights are equal.

    Parameters
    ----------
    weights : sequence of float, optional
        Weights of your own, at least 0 and not all 0, scaled to the sum 1; then nothing is learned.
    shrinkage : float, default=0.0
        Moves the weights this share of the way to equal ones, which costs little where there is
        much to learn from and guards against chance where there is not. 0 to 1; 1 is the equal
        vote.

    Raises
    ------
    ValueError
        If a weight or the shrinkage is out of range.

    Examples
    --------
    >>> SoftVote().fit([[-1.0], [2.0]], [0, 1])
    LinearCombiner(weights=(1.0,), kind='soft_vote')
    >>> SoftVote(shrinkage=1.0).fit([[-1.0, 0.0], [2.0, 0.0]], [0, 1]).weights
    (0.5, 0.5)
    """

    weights: Sequence[float] | None = None
    shrinkage: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.shrinkage <= 1:
            raise ValueError(f"SoftVote: shrinkage is {self.shrinkage!r}; use a share from 0 to 1")
        if self.weights is not None:
            given = np.asarray(self.weights, dtype=np.float64)
            if given.ndim != 1 or not (np.isfinite(given).all() and (given >= 0).all()):
                raise ValueError(
                    f"SoftVote: weights is {self.weights!r}; use numbers of at least 0"
                )
            if not given.any():
                raise ValueError(f"SoftVote: weights is {self.weights!r}; give one above 0")

    def fit(self, logits: ArrayLike, y: ArrayLike) -> LinearCombiner:
        """Learn the weights.

        Parameters
        ----------
        logits : array-like of shape (n, members), float
            Finite.
        y : array-like of shape (n,), int
            1 = synthetic, 0 = real; both must occur.

        Returns
        -------
        combiner : LinearCombiner
            With weights of at least 0 and sum 1.

        Raises
        ------
        DataError
            If a logit is not finite, the labels are not 0 and 1 for these rows, or there is not
            one of your own weights for each member.
        """
        columns, labels = check_examples(logits, y)
        n_members = columns.shape[1]
        if self.weights is not None and len(self.weights) != n_members:
            raise DataError(
                f"SoftVote: {len(self.weights)} weights for {n_members} members; give one for each"
            )
        if n_members == 1:
            return LinearCombiner(weights=(1.0,))
        if self.weights is None:
            v = _nonnegative_logistic(columns, labels)
        else:
            v = np.asarray(self.weights, dtype=np.float64)
            # So that the sum is finite; a power of two leaves all other results as they are.
            v = np.ldexp(v, -_exponent(v.max()))
        weights = v / v.sum() if v.sum() > 0 else np.full(n_members, 1 / n_members)
        if self.shrinkage:
            weights = (1 - self.shrinkage) * weights + self.shrinkage / n_members
        return LinearCombiner(weights=tuple(weights.tolist()))


@dataclass(frozen=True)
class Best:
    """Takes the one member with the lowest log loss at its own best scale.

    Of equals the first is taken. An image that this member did not look at gets NaN.

    Examples
    --------
    >>> Best().fit([[0.1, -1.0], [-0.1, 2.0], [0.1, 1.0]], [0, 1, 1])
    LinearCombiner(weights=(0.0, 1.0), kind='best')
    """

    def fit(self, logits: ArrayLike, y: ArrayLike) -> LinearCombiner:
        """Choose the member; parameters and errors are those of `SoftVote.fit`."""
        columns, labels = check_examples(logits, y)
        sign = np.where(labels == 1, 1.0, -1.0)
        losses = [
            np.logaddexp(0.0, -sign * column * scale).mean()
            for column, scale in zip(columns.T, _own_scales(columns, labels), strict=True)
        ]
        weights = np.zeros(len(losses))
        weights[int(np.argmin(losses))] = 1.0
        return LinearCombiner(weights=tuple(weights.tolist()), kind="best")


@dataclass(frozen=True)
class Median:
    """Takes the median of the members' logits, each first calibrated by its own temperature.

    Robust to less than half of the members being broken. With two members it is their mean.

    Examples
    --------
    >>> combiner = Median().fit([[-1.0, -2.0, -9.0], [1.0, 2.0, 9.0]] * 20, [0, 1] * 20)
    >>> bool(combiner([[1.0, 2.0, -1e9]])[0] > 0)
    True
    """

    def fit(self, logits: ArrayLike, y: ArrayLike) -> TrimmedCombiner:
        """Learn the members' scales; parameters and errors are those of `SoftVote.fit`."""
        return TrimmedCombiner(_own_scales(*check_examples(logits, y)), cut=0.5)


@dataclass(frozen=True)
class TrimmedMean:
    """Takes the mean of the members' logits without the extremes, each first calibrated alone.

    Parameters
    ----------
    cut : float, default=0.25
        Share of the members to leave out at each end, 0 to 0.5, rounded down: with 4 members, one
        at each end.

    Raises
    ------
    ValueError
        If the share is out of range.
    """

    cut: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.cut <= 0.5:
            raise ValueError(f"TrimmedMean: cut is {self.cut!r}; use a share from 0 to 0.5")

    def fit(self, logits: ArrayLike, y: ArrayLike) -> TrimmedCombiner:
        """Learn the members' scales; parameters and errors are those of `SoftVote.fit`."""
        return TrimmedCombiner(_own_scales(*check_examples(logits, y)), cut=self.cut)


def _weighted(column: Floats, weight: ArrayLike) -> Floats:
    """Return a member's part of a sum; without a weight it has none, were its logit infinite."""
    used = np.where(np.isinf(column) & (np.asarray(weight) == 0), 0.0, column)
    return np.asarray(used * weight)


def _exponent(size: ArrayLike) -> NDArray[np.int32]:
    """Return the power of two just above each size."""
    return np.frexp(size)[1]


def _own_scales(columns: Floats, labels: Labels) -> tuple[float, ...]:
    """Return for each member one over its own temperature."""
    learner = TemperatureScaling()
    return tuple(1 / learner.fit(column, labels).temperature for column in columns.T)


def _nonnegative_logistic(columns: Floats, y: Labels) -> Floats:
    """Return v >= 0 that minimises the log loss of sigmoid(columns @ v), up to a common scale."""
    from scipy.optimize import minimize

    scale = float(np.sqrt(np.mean(columns**2)))
    if scale == 0:
        return np.zeros(columns.shape[1])
    # Signed, the loss of a row is log(1 + exp(-margin)).
    signed = columns / scale * np.where(y == 1, 1.0, -1.0)[:, np.newaxis]

    def loss_and_gradient(v: Floats) -> tuple[float, Floats]:
        margin = np.einsum("ij,j->i", signed, v)
        residual = np.exp(-np.logaddexp(0.0, margin))
        loss = np.mean(np.logaddexp(0.0, -margin)) + _RIDGE * np.dot(v, v)
        gradient = -np.einsum("ij,i->j", signed, residual) / len(signed) + 2 * _RIDGE * v
        return float(loss), gradient

    n_members = columns.shape[1]
    result = minimize(
        loss_and_gradient,
        np.full(n_members, 1 / n_members),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * n_members,
        options={"maxiter": 2000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return np.asarray(result.x, dtype=np.float64)
