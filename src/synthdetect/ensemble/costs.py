"""What each threshold would cost, so that a chosen one is seen among its neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.checks import Floats, check_scores
from synthdetect.ensemble.cuts import finite_logit

_PER = 1000


class Costs(Protocol):
    """What errors cost, and how rare synthetic images are: `CostWeighted` has it."""

    @property
    def false_positive(self) -> float: ...
    @property
    def false_negative(self) -> float: ...
    @property
    def prevalence(self) -> float | None: ...


@dataclass(frozen=True)
class CostAt:
    """What is to be expected of 1,000 images at a threshold.

    Parameters
    ----------
    threshold : float
    false_positives, false_negatives : float
        Real images called synthetic, synthetic ones called real.
    cost : float
        In the unit of the policy's costs.
    """

    threshold: float
    false_positives: float
    false_negatives: float
    cost: float


def cost_curve(
    y: ArrayLike, p: ArrayLike, costs: Costs, thresholds: Sequence[float]
) -> tuple[CostAt, ...]:
    """Return the errors and their cost among 1,000 images at each threshold.

    Parameters
    ----------
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real; both must occur.
    p : array-like of shape (n,), float
        P(synthetic), 0 to 1.
    costs : CostWeighted
        The prevalence is its own, or the share in `y`.
    thresholds : sequence of float

    Returns
    -------
    curve : tuple of CostAt
        In the order of `thresholds`. Rates are those of these images: optimistic at a threshold
        that they chose.

    Raises
    ------
    DataError
        If one class is missing, a label is not 0 or 1, or a probability is not in 0..1.

    Examples
    --------
    >>> from synthdetect.ensemble.policies import CostWeighted
    >>> costs = CostWeighted(false_positive=10, prevalence=0.1)
    >>> (at,) = cost_curve([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], costs, [0.5])
    >>> at.false_positives, at.false_negatives, at.cost
    (450.0, 50.0, 4550.0)
    """
    labels, scores = check_scores(y, p)
    prevalence = float(labels.mean()) if costs.prevalence is None else costs.prevalence
    real, synthetic = scores[labels == 0], scores[labels == 1]
    curve = []
    for threshold in thresholds:
        false_positives = _PER * (1 - prevalence) * float(np.mean(real >= threshold))
        false_negatives = _PER * prevalence * float(np.mean(synthetic < threshold))
        cost = costs.false_positive * false_positives + costs.false_negative * false_negatives
        curve.append(CostAt(float(threshold), false_positives, false_negatives, cost))
    return tuple(curve)


def spread_thresholds(p: Floats, n: int = 10) -> Floats:
    """Return `n` thresholds from the lowest to the highest probability, evenly spaced in logits.

    Parameters
    ----------
    p : ndarray of shape (n,), float64
        0 to 1.
    n : int, default=10

    Returns
    -------
    thresholds : ndarray of shape (n,), float64
    """
    low, high = np.clip(finite_logit(np.array([p.min(), p.max()])), -36.0, 36.0).tolist()
    return np.asarray(1 / (1 + np.exp(-np.linspace(low, high, n))))
