"""Stratified bootstrap: how often each image is in each replicate."""

from collections.abc import Iterator

import numpy as np

from synthdetect.ensemble.checks import Floats, Labels
from synthdetect.evaluation.interval import Clusters

# Counts of one block, so that memory stays flat with the number of images.
_BLOCK = 2_000_000


def replicate_counts(
    y: Labels, cluster: Clusters | None, n_replicates: int, rng: np.random.Generator
) -> Iterator[Floats]:
    """Yield how often each image is drawn, in blocks of replicates.

    Images are drawn with replacement within their class. With clusters, whole clusters are, within
    those of real images only, of synthetic ones only, and of both.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    cluster : ndarray of shape (n,), int64, or None
    n_replicates : int
    rng : Generator

    Yields
    ------
    counts : ndarray of shape (replicates of this block, n), float64

    References
    ----------
    .. [1] Efron and Tibshirani, "An introduction to the bootstrap", 1993.
    """
    n = len(y)
    _, unit = np.unique(np.arange(n) if cluster is None else cluster, return_inverse=True)
    n_synthetic, n_images = np.bincount(unit, weights=y), np.bincount(unit)
    kind = np.where(n_synthetic == 0, 0, np.where(n_synthetic == n_images, 1, 2))
    strata = [np.flatnonzero(kind == value) for value in np.unique(kind)]
    size = max(1, _BLOCK // n)
    for start in range(0, n_replicates, size):
        n_rows = min(size, n_replicates - start)
        drawn = np.zeros((n_rows, len(n_images)))
        for units in strata:
            chosen = rng.integers(0, len(units), (n_rows, len(units)))
            cells = (chosen + np.arange(n_rows)[:, None] * len(units)).ravel()
            counts = np.bincount(cells, minlength=n_rows * len(units))
            drawn[:, units] = counts.reshape(n_rows, len(units))
        yield drawn[:, unit]
