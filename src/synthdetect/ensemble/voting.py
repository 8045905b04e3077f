"""How votes are learned: which members count, and how much."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.checks import (
    Floats,
    Labels,
)
from synthdetect.ensemble.combine import LinearCombiner, TrimmedCombiner, check_examples, exponent
from synthdetect.ensemble.scaling import TemperatureScaling
from synthdetect.errors import DataError

# Small against one misjudged image among a million, large enough that separable data has a minimum.
_RIDGE = 1e-7


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
            v = np.ldexp(v, -exponent(v.max()))
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


def _own_scales(columns: Floats, labels: Labels) -> tuple[float, ...]:
    """Return for each member one over its own temperature."""
    learner = TemperatureScaling()
    return tuple(1 / learner.fit(column, labels).temperature for column in columns.T)


def _nonnegative_logistic(columns: Floats, y: Labels) -> Floats:
    """Return v >= 0 that minimises the log loss of sigmoid(columns @ v), up to a common scale."""
    from scipy.optimize import minimize

    # Each member by its own size, or the ridge would tell a member of small logits to be silent.
    scale = np.sqrt(np.mean(columns**2, axis=0))
    speaks = scale > 0
    scale[~speaks] = 1.0
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
        speaks / n_members,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None if speaks_here else 0.0) for speaks_here in speaks],
        options={"maxiter": 2000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return np.asarray(result.x / scale, dtype=np.float64)
