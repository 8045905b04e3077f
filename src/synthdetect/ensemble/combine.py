"""One logit from those of the members.

A learner (`SoftVote`) learns from member logits and labels and returns a combiner
(`LinearCombiner`), which needs numpy alone. The checks that the later steps share live here too,
because this is the lowest module of the folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.checks import (
    Floats,
    Labels,
    check_both_classes,
    check_fields,
    check_finite,
    check_labels,
    check_logits,
    check_number,
)
from synthdetect.errors import DataError

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
