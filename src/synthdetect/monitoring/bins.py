"""Bins of a quantity with about equal shares of a reference."""

import numpy as np

from synthdetect.ensemble.checks import Floats


def bin_edges(reference: Floats, n_bins: int) -> Floats:
    """Return where bins begin, for `np.searchsorted(edges, values, side="right")`.

    Quantiles of the reference, so that each bin has about the same share. A value that alone holds
    more than such a share (one encoder's quality, the size of one camera) gets a bin of its own:
    what is just above it is not taken for the same.

    Parameters
    ----------
    reference : ndarray of shape (m,), float64
        Finite, m >= 1.
    n_bins : int
        At least 2.

    Returns
    -------
    edges : ndarray of shape (k,), float64
        Rising; k is n_bins - 1 where no value is that frequent.

    Examples
    --------
    >>> bin_edges(np.arange(8.0), 4)
    array([1.75, 3.5 , 5.25])
    >>> edges = bin_edges(np.full(8, 95.0), 4)
    >>> np.searchsorted(edges, [94.0, 95.0, 96.0], side="right")
    array([0, 1, 2])
    """
    cuts = np.quantile(reference, np.arange(1, n_bins) / n_bins)
    values, times = np.unique(reference, return_counts=True)
    frequent = values[times > max(1.0, len(reference) / n_bins)]
    edges: Floats = np.unique(np.r_[cuts, frequent, np.nextafter(frequent, np.inf)])
    return edges
