"""Batches of augmented random crops for Keras, the same for every backend."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.data.dataset import Dataset
from synthdetect.images.decode import decode, source_name
from synthdetect.images.perturb import Augmentation, augment, random_crop
from synthdetect.images.views import Pixels
from synthdetect.optional import require

Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]


class PixelCache:
    """Decoded images of a dataset, kept in memory up to a budget.

    Parameters
    ----------
    dataset : Dataset
    max_bytes : int
        Images past this budget are decoded again each time.
    """

    def __init__(self, dataset: Dataset, *, max_bytes: int = 6 << 30) -> None:
        self._images = dataset.images
        self._left = max_bytes
        self._pixels: dict[int, Pixels] = {}

    def __getitem__(self, index: int) -> Pixels:
        held = self._pixels.get(index)
        if held is not None:
            return held
        source = self._images[index]
        pixels = decode(source, name=source_name(source, index))
        if pixels.nbytes <= self._left:
            self._left -= pixels.nbytes
            self._pixels[index] = pixels
        return pixels


def epoch_batches(
    pixels: Callable[[int], Pixels],
    y: NDArray[np.int64],
    *,
    crop: int,
    batch_size: int,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
) -> Any:
    """Return one epoch as a `keras.utils.PyDataset`.

    What an image becomes depends on the seed, the epoch and the image alone, so an epoch that is
    trained again after an interruption sees the same batches.

    Parameters
    ----------
    pixels : callable
        From an index to (h, w, 3) uint8.
    y : ndarray of shape (n,), int64
    crop : int
        Side of the crops in pixels.
    batch_size : int
    augmentation : Augmentation
    seed, epoch : int

    Returns
    -------
    batches : keras.utils.PyDataset
        Of (crops (batch, crop, crop, 3) uint8, labels (batch, 1) float32).
    """
    keras = require("keras", extra="train")
    order = np.random.default_rng([seed, epoch]).permutation(len(y))

    class Epoch(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return max(1, len(order) // batch_size)

        def __getitem__(self, batch: int) -> Batch:
            rows = order[batch * batch_size : (batch + 1) * batch_size]
            return np.stack([self._crop(int(row)) for row in rows]), labels[rows]

        def _crop(self, row: int) -> Pixels:
            rng = np.random.default_rng([seed, epoch, row])
            return random_crop(augment(pixels(row), augmentation, rng), crop, rng)

    labels = y.astype(np.float32)[:, np.newaxis]
    return Epoch(workers=2, max_queue_size=8)
