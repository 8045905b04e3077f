"""Deal images to train, val and test; what belongs together stays together."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synthdetect.data.dataset import CLASSES, SPLITS, Dataset, group_names
from synthdetect.errors import DataError


def split(
    dataset: Dataset,
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    *,
    seed: int,
) -> Dataset:
    """Label each image `train`, `val` or `test`.

    A group is never divided. Groups are dealt one after the other, the largest first and equal ones
    at random, each to the split that is furthest behind its share of what the group has: of its
    class, and of its source within the class. Small groups even out what the large ones left, so
    classes and sources come out in proportion where the groups permit it. To keep near-duplicates
    together, make groups of them first: `synthdetect.data.dedupe.with_duplicate_groups`.

    Parameters
    ----------
    dataset : Dataset
        Its own `split` is not looked at.
    fractions : tuple of 3 floats, default=(0.7, 0.1, 0.2)
        Shares of train, val and test; at least 0, and 1 in sum.
    seed : int

    Returns
    -------
    dataset : Dataset
        The same images with a new `split`.

    Raises
    ------
    DataError
        If the fractions are no shares, or a split would lack a class.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or not np.isclose(shares.sum(), 1):
        raise DataError(
            f"fractions are {fractions}; give the shares of train, val and test, 1 in sum"
        )
    members, group = np.unique(group_names(dataset), return_inverse=True)
    kinds = _kinds(dataset)
    content = np.zeros((len(members), kinds.shape[1]))
    np.add.at(content, group, kinds)
    dealt = _deal(content, shares, np.random.default_rng(seed))
    named = np.array(SPLITS, dtype=np.str_)[dealt[group]]
    _check_classes(
        dataset, named, [name for name, share in zip(SPLITS, shares, strict=True) if share]
    )
    return replace(dataset, split=named)


def _kinds(dataset: Dataset) -> NDArray[np.float64]:
    """One-hot columns of the classes, then of the sources within a class, of shape (n, kinds)."""
    _, source = np.unique(dataset.source, return_inverse=True)
    _, stratum = np.unique(source * len(CLASSES) + dataset.y, return_inverse=True)
    classes = np.eye(len(CLASSES))[dataset.y]
    return np.hstack([classes, np.eye(stratum.max(initial=-1) + 1)[stratum]])


def _deal(
    content: NDArray[np.float64], shares: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the split of each group: that which is furthest behind its share of what is dealt."""
    dealt = np.empty(len(content), dtype=np.int64)
    # Of each split (row) and kind (column): its share of what is dealt so far, less what it has.
    behind = np.zeros((len(shares), content.shape[1]))
    sizes = content.sum(axis=1)
    for i in np.lexsort((rng.permutation(len(content)), -sizes)):
        behind += shares[:, np.newaxis] * content[i]
        lack = np.where(shares > 0, behind @ content[i], -np.inf)
        dealt[i] = np.argmax(lack)
        behind[dealt[i]] -= content[i]
    return dealt


def _check_classes(dataset: Dataset, named: NDArray[np.str_], splits: list[str]) -> None:
    for name in splits:
        for label, class_name in enumerate(CLASSES):
            if not np.any((named == name) & (dataset.y == label)):
                n = len(np.unique(group_names(dataset)[dataset.y == label]))
                raise DataError(
                    f"there is no {class_name} image for split {name!r}, as there are {n} in all "
                    "(a group counts once); give more, make the groups smaller, or raise its share"
                )
