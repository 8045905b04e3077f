"""Near-duplicates: images that look the same, found by perceptual hashes, as groups."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synthdetect.data.dataset import CLASSES, Dataset, group_names
from synthdetect.errors import DataError, ImageError
from synthdetect.images.batches import Prepared, prepared
from synthdetect.images.decode import source_name
from synthdetect.images.limits import DEFAULT_LIMITS, Limits
from synthdetect.images.views import Pixels
from synthdetect.optional import require

# 12 x 12 coefficients of a cosine transform: 144 bits, 18 bytes. The usual 64 bits are too few for
# faces of one crop, which share most of their low frequencies.
_HASH_SIDE = 12
_N_BITS = _HASH_SIDE**2
# Among 10,242 crops of faces, 102 pairs were this near, and by eye each was one picture saved
# twice; at 8 the first pairs of different people appear, and at 14 most pairs are.
MAX_DISTANCE = 6
_BLOCK = 2048
_N_TOLD = 5


@dataclass(frozen=True)
class LookAlikes:
    """Near-duplicates of a dataset; as text by `str`.

    Parameters
    ----------
    first : ndarray of shape (n,), int64
        Of `near_duplicates`.
    across_splits, across_classes : tuple of str
        Of each group that is in two splits (of two classes), a pair of images that is.
    unread : mapping of int to ImageError
        Why images, by position, could not be read; each is in a group of its own.
    """

    first: NDArray[np.int64]
    across_splits: tuple[str, ...]
    across_classes: tuple[str, ...]
    unread: Mapping[int, ImageError] = field(default_factory=dict)

    @property
    def n_groups(self) -> int:
        """Number of groups of more than one image."""
        return int(np.sum(np.bincount(self.first) > 1))

    @property
    def n_images(self) -> int:
        """Number of images in them."""
        sizes = np.bincount(self.first)
        return int(sizes[sizes > 1].sum())

    def __str__(self) -> str:
        lines = [f"{self.n_images} images look like others, in {self.n_groups} groups"]
        for what, pairs in (("split", self.across_splits), ("class", self.across_classes)):
            lines.append(f"{len(pairs)} of the groups are in more than one {what}")
            lines.extend(f"- {pair}" for pair in pairs)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, of the groups of more than one image."""
        return {
            "n_images": self.n_images,
            "n_groups": self.n_groups,
            "across_splits": list(self.across_splits),
            "across_classes": list(self.across_classes),
        }


def perceptual_hashes(
    images: Iterable[Any], *, limits: Limits = DEFAULT_LIMITS, workers: int | None = None
) -> NDArray[np.uint8]:
    """Hash images so that those that look alike have hashes that differ in few bits.

    The hash is `imagehash.phash` of 144 bits: signs of the lowest frequencies of a cosine transform
    of the grey image, against their median.

    Parameters
    ----------
    images : iterable
        Of n images, each what `synthdetect.images.decode.decode` takes.
    limits : Limits, optional
    workers : int, optional
        Threads; by default one for each core that the process may use.

    Returns
    -------
    hashes : ndarray of shape (n, 18), uint8
        Packed bits.

    Raises
    ------
    ImageError
        If an image cannot be read.
    MissingExtraError
        If the package imagehash is not installed.
    """
    rows = []
    for image in _hashed(images, limits, workers):
        if image.error is not None:
            raise image.error
        rows.append(image.value)
    return _table(rows)


def near_duplicates(
    hashes: NDArray[np.uint8], max_distance: int = MAX_DISTANCE
) -> NDArray[np.int64]:
    """Group images whose hashes differ in few bits, also by way of others.

    Parameters
    ----------
    hashes : ndarray of shape (n, bytes), uint8
        Packed bits, of `perceptual_hashes`.
    max_distance : int, default=6
        Bits in which two near-duplicates differ at most. Hashes of `perceptual_hashes` differ in
        an even number of bits.

    Returns
    -------
    groups : ndarray of shape (n,), int64
        The position of the first image of each image's group: its own, if it is alone.

    Examples
    --------
    >>> near_duplicates(np.array([[0], [255], [1], [3]], dtype=np.uint8), max_distance=1).tolist()
    [0, 1, 0, 0]
    """
    if not len(hashes):
        return np.zeros(0, dtype=np.int64)
    # Equal hashes once: a thousand copies would make half a million pairs.
    kinds, kind = np.unique(hashes, axis=0, return_inverse=True)
    component = _components(len(kinds), *_near_pairs(kinds, max_distance))
    _, first, group = np.unique(component[kind], return_index=True, return_inverse=True)
    return np.asarray(first[group], dtype=np.int64)


def look_alikes(
    dataset: Dataset,
    *,
    max_distance: int = MAX_DISTANCE,
    limits: Limits = DEFAULT_LIMITS,
    workers: int | None = None,
) -> LookAlikes:
    """Find near-duplicates, and those that are in two splits or of two classes.

    Parameters
    ----------
    dataset : Dataset
    max_distance : int, default=6
        As in `near_duplicates`.
    limits : Limits, optional
    workers : int, optional
        Threads; by default one for each core that the process may use.

    Returns
    -------
    found : LookAlikes

    Raises
    ------
    MissingExtraError
        If the package imagehash is not installed.
    """
    rows, readable, unread = [], [], {}
    for i, image in enumerate(_hashed(dataset.images, limits, workers)):
        if image.error is not None:
            unread[i] = image.error
        else:
            readable.append(i)
            rows.append(image.value)
    first, good = np.arange(len(dataset)), np.array(readable, dtype=np.int64)
    first[good] = good[near_duplicates(_table(rows), max_distance)]
    classes = np.array(CLASSES, dtype=np.str_)[dataset.y]
    return LookAlikes(
        first=first,
        across_splits=_disagreements(dataset, first, dataset.split),
        across_classes=_disagreements(dataset, first, classes),
        unread=unread,
    )


def with_duplicate_groups(
    dataset: Dataset,
    *,
    max_distance: int = MAX_DISTANCE,
    limits: Limits = DEFAULT_LIMITS,
    workers: int | None = None,
) -> Dataset:
    """Put near-duplicates into one group, joined with the groups that there are.

    Splits made afterwards keep them on one side. Near-duplicates of different classes (a photograph
    and its edited copy, or a wrong label) are grouped as well, with a warning that names them.

    Parameters
    ----------
    dataset : Dataset
    max_distance : int, default=6
        As in `near_duplicates`.
    limits : Limits, optional
    workers : int, optional
        Threads; by default one for each core that the process may use.

    Returns
    -------
    dataset : Dataset
        The same images with a new `group`; images that are like no other keep theirs.

    Raises
    ------
    DataError
        If near-duplicates are in different splits; the message names them.
    ImageError
        If an image cannot be read.
    MissingExtraError
        If the package imagehash is not installed.
    """
    found = look_alikes(dataset, max_distance=max_distance, limits=limits, workers=workers)
    for error in found.unread.values():
        raise error
    if found.across_splits:
        raise DataError(
            f"near-duplicates are in different splits: {_some(found.across_splits)}; keep one of "
            "each, or drop the splits and deal them anew"
        )
    if found.across_classes:
        told = _some(found.across_classes)
        warnings.warn(f"near-duplicates are of different classes: {told}", stacklevel=2)
    _, representative, own = np.unique(group_names(dataset), return_index=True, return_inverse=True)
    everyone = np.arange(len(dataset))
    joined = _components(
        len(dataset), np.tile(everyone, 2), np.concatenate([found.first, representative[own]])
    )
    return replace(dataset, group=_names(dataset.group, joined))


def _hashed(
    images: Iterable[Any], limits: Limits, workers: int | None
) -> Iterator[Prepared[NDArray[np.uint8]]]:
    phash = require("imagehash", extra="data").phash

    def packed(pixels: Pixels) -> NDArray[np.uint8]:
        return np.packbits(phash(Image.fromarray(pixels), hash_size=_HASH_SIDE).hash)

    return prepared(images, packed, limits=limits, workers=workers)


def _table(rows: Sequence[NDArray[np.uint8] | None]) -> NDArray[np.uint8]:
    return np.array(rows, dtype=np.uint8).reshape(-1, _N_BITS // 8)


def _near_pairs(
    hashes: NDArray[np.uint8], max_distance: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the two positions of each pair that is near."""
    n_bits = 8 * hashes.shape[1]
    found_a, found_b = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    starts = range(0, len(hashes), _BLOCK)
    for start_a in starts:
        signs_a = _signs(hashes[start_a : start_a + _BLOCK])
        for start_b in range(start_a, len(hashes), _BLOCK):
            # Signs that agree less signs that differ: whole numbers, exact in float32, and a
            # matrix product is faster than counting bits.
            agreement = signs_a @ _signs(hashes[start_b : start_b + _BLOCK]).T
            a, b = np.nonzero(agreement >= n_bits - 2 * max_distance)
            a, b = a + start_a, b + start_b
            found_a.append(a[a < b])
            found_b.append(b[a < b])
    return np.concatenate(found_a), np.concatenate(found_b)


def _components(n: int, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int32]:
    """Number the connected components of n things, of which a[i] and b[i] are linked."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(a), dtype=np.int32), (a, b)), shape=(n, n))
    _, component = connected_components(links, directed=False)
    return np.asarray(component, dtype=np.int32)


def _signs(hashes: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.unpackbits(hashes, axis=1).astype(np.float32) * 2 - 1


def _names(group: NDArray[np.str_], joined: NDArray[np.int32]) -> NDArray[np.str_]:
    """Name the joined groups: by the first name in them, by number, or not if an image is alone."""
    sizes = np.bincount(joined)
    names = [""] * len(sizes)
    for name, number in zip(group.tolist(), joined.tolist(), strict=True):
        names[number] = names[number] or name
    taken = set(names)
    for number in np.flatnonzero(sizes > 1).tolist():
        if not names[number]:
            names[number] = f"look-alikes {number}"
            while names[number] in taken:
                names[number] += "'"
    return np.array(names, dtype=np.str_)[joined]


def _disagreements(
    dataset: Dataset, first: NDArray[np.int64], values: NDArray[np.str_]
) -> tuple[str, ...]:
    """Tell of each group one pair of images whose `values` differ; what is empty agrees."""
    earlier: dict[int, int] = {}
    pairs: dict[int, tuple[int, int]] = {}
    for i in np.flatnonzero(values != "").tolist():
        j = earlier.setdefault(int(first[i]), i)
        if values[i] != values[j]:
            pairs.setdefault(int(first[i]), (j, i))
    return tuple(
        " and ".join(f"{source_name(dataset.images[i], i)} ({values[i]})" for i in pair)
        for pair in pairs.values()
    )


def _some(pairs: tuple[str, ...]) -> str:
    more = f"; and {len(pairs) - _N_TOLD} more" if len(pairs) > _N_TOLD else ""
    return "; ".join(pairs[:_N_TOLD]) + more
