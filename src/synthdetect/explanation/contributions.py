"""What each member adds to the combined logit of one image."""

import itertools
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.combine import Combiner, LinearCombiner, TrimmedCombiner
from synthdetect.ensemble.stacked import StackedCombiner

Floats = NDArray[np.float64]

EXACT = "exact: the combined logit is this weighted sum"
FOR_THIS_IMAGE = (
    "exact for this image: the mean of the members that were kept; another image may keep others"
)
SHAPLEY = (
    "Shapley values: what a member adds when its usual (median) logit is replaced by this one, "
    "over all orders of the members"
)
SAMPLED = SHAPLEY.replace("over all orders", f"over {512} random orders")

# 720 orders; more members than that have too many.
_MOST_FOR_ALL_ORDERS = 6
_N_ORDERS = 512


@dataclass(frozen=True)
class Contributions:
    """The combined logit of one image as a sum.

    Parameters
    ----------
    start : float
        The combined logit before any member: 0, or that of the members' usual logits.
    adds : tuple of float
        What each member adds; `start` plus their sum is the combined logit, up to rounding. 0 for a
        member that did not look or was left out.
    weights : tuple of float or None
        What a member's logit is multiplied by, where the combiner is a weighted sum.
    method : str
        How exact this is.
    """

    start: float
    adds: tuple[float, ...]
    weights: tuple[float, ...] | None
    method: str


def contributions(combiner: Combiner, logits: Floats) -> Contributions:
    """Take the combined logit of one image apart.

    Parameters
    ----------
    combiner : Combiner
    logits : ndarray of shape (members,), float64
        NaN for a member that did not look.

    Returns
    -------
    contributions : Contributions

    Notes
    -----
    A vote is a sum as it stands. For a combiner that is none (stacking, trees, a classifier of
    your own) they are Shapley values [1]_ against the median logits that the combiner itself puts
    in the place of a member that did not look.

    References
    ----------
    .. [1] Lundberg and Lee, "A unified approach to interpreting model predictions", NeurIPS 2017.
    """
    present = ~np.isnan(logits)
    seen = np.where(present, logits, 0.0)
    if isinstance(combiner, LinearCombiner):
        weights = np.where(present, combiner.weights, 0.0)
        if weights.sum() != 0 and not present.all():
            weights *= sum(combiner.weights) / weights.sum()
        return _weighted(weights, seen, EXACT)
    if isinstance(combiner, TrimmedCombiner):
        kept = _kept(combiner, logits)
        weights = np.where(kept, combiner.scales, 0.0) / max(kept.sum(), 1)
        return _weighted(weights, seen, FOR_THIS_IMAGE)
    return _shapley(combiner, logits)


def _weighted(weights: Floats, seen: Floats, method: str) -> Contributions:
    return Contributions(0.0, tuple((weights * seen).tolist()), tuple(weights.tolist()), method)


def _kept(combiner: TrimmedCombiner, logits: Floats) -> NDArray[np.bool_]:
    """Which members the trimmed mean is of; of equal logits those that sort first go first."""
    order = np.argsort(logits * np.array(combiner.scales), kind="stable")
    present = int(np.sum(~np.isnan(logits)))
    left_out = min(int(combiner.cut * present), max(present - 1, 0) // 2)
    kept = np.zeros(len(logits), np.bool_)
    kept[order[left_out : present - left_out]] = True
    return kept


def _shapley(combiner: Combiner, logits: Floats) -> Contributions:
    n = len(logits)
    fill = np.asarray(getattr(combiner, "fill", np.zeros(n)), np.float64)
    values = np.where(np.isnan(logits), fill, logits)
    every = n <= _MOST_FOR_ALL_ORDERS
    orders = np.array(list(_orders(n, every=every)))
    # Row k of an order has its first k members as they are, the others at their usual logit.
    rank = np.argsort(orders, axis=1)
    known = rank[:, np.newaxis, :] < np.arange(n + 1)[:, np.newaxis]
    rows = np.where(known, values, fill).reshape(-1, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # nothing is imputed here but on purpose
        combined = combiner(rows).reshape(len(orders), n + 1)
    steps = np.take_along_axis(np.diff(combined, axis=1), rank, axis=1)
    adds = steps.mean(axis=0)
    weights = None
    if isinstance(combiner, StackedCombiner) and not combiner.pairs:
        weights = tuple((np.array(combiner.weights) / np.array(combiner.scale)).tolist())
    return Contributions(
        float(combined[0, 0]), tuple(adds.tolist()), weights, SHAPLEY if every else SAMPLED
    )


def _orders(n: int, *, every: bool) -> Iterable[tuple[int, ...]]:
    if every:
        return itertools.permutations(range(n))
    rng = np.random.default_rng(0)
    return (tuple(rng.permutation(n)) for _ in range(min(_N_ORDERS, math.factorial(n))))
