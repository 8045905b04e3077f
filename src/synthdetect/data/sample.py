"""A part of labelled images that looks like the whole."""

import numpy as np

from synthdetect.data.dataset import Dataset
from synthdetect.errors import DataError


def sample(dataset: Dataset, n: int, *, seed: int) -> Dataset:
    """Return at most `n` images, with classes and sources in proportion, in their order.

    Parameters
    ----------
    dataset : Dataset
    n : int
        At least 1. All images if there are no more.
    seed : int
        The same seed draws the same images; a larger `n` draws those of a smaller one as well.

    Returns
    -------
    dataset : Dataset

    Raises
    ------
    DataError
        If `n` is below 1.
    """
    if n < 1:
        raise DataError(f"sample: n is {n}; use 1 or more")
    if n >= len(dataset):
        return dataset
    rng = np.random.default_rng(seed)
    kinds = np.column_stack([dataset.y.astype(np.str_), dataset.source])
    _, kind = np.unique(kinds, axis=0, return_inverse=True)
    kind = kind.ravel()
    # Each kind's images are spread over 0..1 in random order; the lowest n of all are drawn.
    place = np.empty(len(dataset))
    for one in range(int(kind.max()) + 1):
        rows = rng.permutation(np.flatnonzero(kind == one))
        place[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return dataset.take(np.sort(np.argsort(place, kind="stable")[:n]))
