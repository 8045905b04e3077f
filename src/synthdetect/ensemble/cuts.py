"""Every decision that a cut-off on P(synthetic) can make on labelled images, and resampled ones.

Policies work on counts at cuts, so that one line of theirs serves the images and, with a leading
axis, all bootstrap replicates at once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.checks import Floats, Labels

Indices = NDArray[np.intp]

# Rounding of a loss in 0..1 stays below this; two different losses differ by more, with equal
# weights of both classes and up to 2 million images of each. Closer losses count as equal.
TIE = 1e-13

# Cuts that the bootstrap tells apart; with fewer distinct scores it is exact.
_MOST_CELLS = 4096


@dataclass(frozen=True)
class Cuts:
    """Counts below each of the cuts between distinct scores.

    Parameters
    ----------
    lower, upper : ndarray of shape (..., cuts), float64
        The scores next to each cut; in a replicate those that were drawn, so that cuts without a
        drawn score between share their gap. The first cut lies below all scores, the last above.
    real_below, synthetic_below : ndarray of shape (..., cuts), float64
        Images of each class below each cut; a leading axis counts replicates.
    """

    lower: Floats
    upper: Floats
    real_below: Floats
    synthetic_below: Floats

    @property
    def n_cuts(self) -> int:
        """Cuts, the same in each replicate."""
        return int(self.lower.shape[-1])

    @property
    def n_real(self) -> int:
        """Real images, the same in each replicate."""
        return int(self.real_below.flat[-1])

    @property
    def n_synthetic(self) -> int:
        """Synthetic images, the same in each replicate."""
        return int(self.synthetic_below.flat[-1])

    @property
    def false_positive_rate(self) -> Floats:
        """Share of real images at or above each cut."""
        return np.asarray(1 - self.real_below / self.n_real)

    @property
    def false_negative_rate(self) -> Floats:
        """Share of synthetic images below each cut."""
        return np.asarray(self.synthetic_below / self.n_synthetic)

    @property
    def attainable(self) -> NDArray[np.bool_]:
        """Where a threshold of 0 to 1 lies at the cut: none is above a score of 1."""
        return np.asarray((self.lower < 1) | (self._below < self._n))

    @property
    def gaps(self) -> Floats:
        """Width of each cut's gap in logits; -1 where no image is on one side of it."""
        width = finite_logit(self.upper) - finite_logit(self.lower)
        return np.where((self._below > 0) & (self._below < self._n), width, -1.0)

    def middle(self, cut: Indices) -> Floats:
        """Return the threshold in the middle, in logits, of the gap of each cut."""
        lower, upper = at(self.lower, cut), at(self.upper, cut)
        middle = 1 / (1 + np.exp(-(finite_logit(lower) + finite_logit(upper)) / 2))
        # Between neighbouring floats there is no middle; the upper one has the same decisions.
        value = np.where((lower < middle) & (middle <= upper), middle, upper)
        return self._with_ends(cut, value)

    def top(self, cut: Indices) -> Floats:
        """Return the threshold at the upper end of the gap of each cut."""
        return self._with_ends(cut, at(self.upper, cut))

    def cut_of(self, value: Floats) -> Indices:
        """Return the cut at which each threshold lies; without a leading axis only."""
        return np.asarray(np.searchsorted(self.upper[:-1], value))

    def _with_ends(self, cut: Indices, value: Floats) -> Floats:
        below = at(self._below, cut)
        return np.where(below == 0, 0.0, np.where(below == self._n, 1.0, value))

    @property
    def _below(self) -> Floats:
        return np.asarray(self.real_below + self.synthetic_below)

    @property
    def _n(self) -> int:
        return self.n_real + self.n_synthetic


def cuts_of(labels: Labels, p: Floats) -> Cuts:
    """Return the cuts of clean labels and probabilities."""
    order = np.argsort(p)
    ordered = p[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] > ordered[:-1])))
    below = np.concatenate((starts, [len(p)])).astype(np.float64)
    cumulative = np.concatenate(([0.0], np.cumsum(labels[order])))
    synthetic_below = cumulative[below.astype(np.intp)]
    scores = ordered[starts]
    return Cuts(
        lower=np.concatenate(([0.0], scores)),
        upper=np.concatenate((scores, [1.0])),
        real_below=below - synthetic_below,
        synthetic_below=synthetic_below,
    )


def resampled(cuts: Cuts, n_replicates: int, seed: int) -> tuple[Cuts, Cuts]:
    """Draw bootstrap replicates, stratified by class.

    Both classes are drawn with replacement as counts of the scores (multinomial). Where there are
    more than `_MOST_CELLS` distinct scores, neighbours share a cell: half of the cuts are evenly
    spaced in rank, the others ever closer to both ends, where bounded rates are decided.

    Parameters
    ----------
    cuts : Cuts
        Of the images, without a leading axis.
    n_replicates, seed : int

    Returns
    -------
    cells : Cuts
        Of the images, at the cuts that the replicates have.
    replicates : Cuts
        With a leading axis of n_replicates; their gaps are between scores that were drawn.
    """
    last = cuts.n_cuts - 1
    kept = np.arange(last + 1)
    if last > _MOST_CELLS:
        even = np.linspace(0, last, _MOST_CELLS // 2)
        tail = np.geomspace(1, last, _MOST_CELLS // 4)
        kept = np.unique(np.concatenate((even, tail, last - tail)).astype(np.intp))
    cells = Cuts(
        cuts.lower[kept], cuts.upper[kept], cuts.real_below[kept], cuts.synthetic_below[kept]
    )
    rng = np.random.default_rng(seed)

    def draw(below: Floats) -> Floats:
        n = int(below[-1])
        drawn = rng.multinomial(n, np.diff(below) / n, size=n_replicates)
        return _padded(np.cumsum(drawn, axis=-1), (1, 0)).astype(np.float64)

    real_below, synthetic_below = draw(cells.real_below), draw(cells.synthetic_below)
    drawn = np.diff(real_below + synthetic_below, axis=-1) > 0
    place = np.arange(len(kept))
    # Of each cut, the nearest one at or below it with a drawn score right below, and likewise up.
    down = np.maximum.accumulate(np.where(_padded(drawn, (1, 0)), place, 0), axis=-1)
    up = np.where(_padded(drawn, (0, 1)), place, len(kept) - 1)
    up = np.minimum.accumulate(up[:, ::-1], axis=-1)[:, ::-1]
    return cells, Cuts(cells.lower[down], cells.upper[up], real_below, synthetic_below)


def _padded(rows: NDArray[Any], width: tuple[int, int]) -> NDArray[Any]:
    """Return rows with zeros at their ends."""
    return np.pad(rows, ((0, 0), width))


def pick(cuts: Cuts, loss: Floats, allowed: NDArray[np.bool_] | None = None) -> Indices:
    """Return the cut of the lowest loss; of equals the widest gap, then the lowest.

    Parameters
    ----------
    cuts : Cuts
    loss : ndarray of shape (..., cuts), float64
        In units in which `TIE` is nothing.
    allowed : ndarray of shape (..., cuts), bool, optional
        Where a cut may lie; one at least must be allowed.

    Returns
    -------
    cut : ndarray of shape (...), int
    """
    possible = cuts.attainable if allowed is None else cuts.attainable & allowed
    bounded = np.where(possible, loss, np.inf)
    best = bounded <= bounded.min(axis=-1, keepdims=True) + TIE
    return np.asarray(np.where(best, cuts.gaps, -np.inf).argmax(axis=-1))


def at(values: Floats, cut: Indices) -> Floats:
    """Return the value of each row of (..., cuts) at its cut; of one row at any number of cuts."""
    if values.ndim == 1:
        return np.asarray(values[cut])
    return np.take_along_axis(values, cut[..., np.newaxis], axis=-1)[..., 0]


def spread(thresholds: Floats) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of replicates' thresholds; None without a width.

    Where nearly all replicates agree, the scores are too coarse to tell how far it would move.
    """
    if not len(thresholds):
        return None
    low, high = np.quantile(thresholds, (0.025, 0.975))
    return (float(low), float(high)) if low < high else None


def finite_logit(p: Floats) -> Floats:
    """Return log(p / (1 - p)), with 0 and 1 as their nearest neighbours within."""
    inside = np.clip(p, np.finfo(np.float64).tiny, 1 - np.finfo(np.float64).epsneg)
    return np.asarray(np.log(inside) - np.log1p(-inside))
