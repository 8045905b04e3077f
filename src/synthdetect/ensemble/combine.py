"""One logit from those of the members.

A learner (`SoftVote`) learns from member logits and labels and returns a combiner
(`LinearCombiner`), which needs numpy alone. The checks that the later steps share live here too,
because this is the lowest module of the folder.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.errors import DataError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

# Small against one misjudged image among a million, large enough that separable data has a minimum.
_RIDGE = 1e-7

KINDS = ("soft_vote",)


@dataclass(frozen=True)
class LinearCombiner:
    """A weighted sum of the members' logits.

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
    >>> LinearCombiner(weights=(0.75, 0.25))([[4.0, 0.0], [-1.0, 1.0]])
    array([ 3. , -0.5])
    """

    weights: tuple[float, ...]
    kind: str = "soft_vote"

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError("combiner: weights is empty; give one weight for each member")
        for j, weight in enumerate(self.weights):
            if not np.isfinite(weight):
                raise ValueError(f"combiner: weights[{j}] is {weight!r}; use a finite number")

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return the combined logit of each row.

        Parameters
        ----------
        logits : array-like of shape (n, members), float
            A row that has a NaN gives NaN, whatever the weight of that member.

        Returns
        -------
        logit : ndarray of shape (n,), float64
            Bit-equal for a row whatever else is in the batch.

        Raises
        ------
        DataError
            If there is not one column for each weight.
        """
        columns = check_logits(logits)
        if columns.shape[1] != len(self.weights):
            raise DataError(
                f"logits has {columns.shape[1]} columns, the combiner has {len(self.weights)} "
                "weights; give one column for each member it was learned with"
            )
        # No matrix product: BLAS adds in an order that depends on the size of the batch.
        total = columns[:, 0] * self.weights[0]
        for j in range(1, len(self.weights)):
            total += columns[:, j] * self.weights[j]
        return total

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
        weights = description["weights"]
        if not isinstance(weights, list | tuple):
            raise ValueError(f"combiner: weights is {weights!r}; use a list of numbers")
        return cls(
            weights=tuple(
                check_number("combiner", f"weights[{j}]", w) for j, w in enumerate(weights)
            ),
            kind=description["kind"],
        )


class CombinerLearner(Protocol):
    """What learns a combiner."""

    def fit(self, logits: ArrayLike, y: ArrayLike) -> LinearCombiner:
        """Learn from logits of shape (n, members) and labels of shape (n,)."""
        ...


@dataclass(frozen=True)
class SoftVote:
    """Learns the weights of a soft vote in logit space, on the simplex.

    The log loss of sigmoid(logits @ v) is minimised over v >= 0. This is convex; the sum of v is
    a free scale, which is dropped (calibration learns it again), and v over its sum are the
    weights. A ridge of 1e-7 keeps v finite on separable data. Where v = 0 is the best, that is
    where every member is worse than chance, the weights are equal.

    Examples
    --------
    >>> SoftVote().fit([[-1.0], [2.0]], [0, 1])
    LinearCombiner(weights=(1.0,), kind='soft_vote')
    """

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
            If a logit is not finite, or the labels are not 0 and 1 for these rows.
        """
        columns = check_logits(logits)
        check_finite("logits", columns)
        labels = check_both_classes(check_labels(y, len(columns)))
        n_members = columns.shape[1]
        if n_members == 1:
            return LinearCombiner(weights=(1.0,))
        v = _nonnegative_logistic(columns, labels)
        weights = v / v.sum() if v.sum() > 0 else np.full(n_members, 1 / n_members)
        return LinearCombiner(weights=tuple(weights.tolist()))


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


def check_logits(logits: ArrayLike) -> Floats:
    """Return `logits` as float64 of shape (n, members), members >= 1, or raise DataError."""
    columns = _as_floats("logits", logits)
    if columns.ndim != 2 or columns.shape[1] == 0:
        raise DataError(
            f"logits has shape {columns.shape}; use (n, members), one column for each member"
        )
    return columns


def check_vector(name: str, values: ArrayLike) -> Floats:
    """Return `values` as float64 of shape (n,), or raise DataError."""
    vector = _as_floats(name, values)
    if vector.ndim != 1:
        raise DataError(f"{name} has shape {vector.shape}; use (n,), one number for each image")
    return vector


def _as_floats(name: str, values: ArrayLike) -> Floats:
    """Return `values` as float64, or raise DataError."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is not an array of numbers: {error}") from error


def check_finite(name: str, values: Floats) -> None:
    """Raise DataError, with the first row and the reason, if a value is NaN or infinite."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    bad_rows = np.flatnonzero(bad if values.ndim == 1 else bad.any(axis=1))
    row = int(bad_rows[0])
    value = np.atleast_1d(values[row])[np.atleast_1d(bad[row])][0]
    what = "NaN (an image that could not be read)" if np.isnan(value) else f"{value}"
    raise DataError(
        f"{name} of row {row} is {what}, {len(bad_rows)} such row(s) in all; "
        "drop these rows and their labels first"
    )


def check_labels(y: ArrayLike, n: int) -> Labels:
    """Return `y` as int64 of shape (n,) with values 0 and 1, or raise DataError."""
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise DataError(f"y has shape {labels.shape}; use ({n},), one label for each row")
    if n == 0:
        raise DataError("y is empty; give at least one image")
    known = np.isin(labels, (0, 1)) if labels.dtype.kind in "biuf" else np.zeros(n, dtype=bool)
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise DataError(
            f"y of row {row} is {labels[row].item()!r}; use 0 for real and 1 for synthetic"
        )
    return labels.astype(np.int64)


def check_both_classes(labels: Labels) -> Labels:
    """Return `labels`, or raise DataError if only one class occurs."""
    n_synthetic = int(labels.sum())
    if 0 < n_synthetic < len(labels):
        return labels
    only, missing = ("synthetic (1)", "real (0)") if n_synthetic else ("real (0)", "synthetic (1)")
    raise DataError(
        f"y has one class only: all {len(labels)} labels are {only}; add images that are {missing}"
    )


def check_fields(owner: str, description: Mapping[str, Any], fields: Sequence[str]) -> None:
    """Raise ValueError unless `description` is a mapping with exactly these fields."""
    if not isinstance(description, Mapping):
        raise ValueError(f"{owner}: {description!r} is not a mapping; use fields {list(fields)}")
    for field in fields:
        if field not in description:
            raise ValueError(f"{owner}: {field} is missing; use fields {list(fields)}")
    for field in description:
        if field not in fields:
            raise ValueError(f"{owner}: {field} is not known; use fields {list(fields)}")


def check_number(owner: str, field: str, value: object) -> float:
    """Return `value` as a finite float, or raise ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        # A whole number of JSON may be too large for a float.
        number = float(value) if abs(value) <= sys.float_info.max else np.inf
        if np.isfinite(number):
            return number
    raise ValueError(f"{owner}: {field} is {value!r}; use a finite number")


def check_text(owner: str, field: str, value: object) -> str:
    """Return `value` as a non-empty string, or raise ValueError."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{owner}: {field} is {value!r}; use a non-empty string")
    return value
