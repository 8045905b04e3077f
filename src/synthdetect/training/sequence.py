"""Batches of augmented random views for Keras, the same for every backend."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.data.dataset import Dataset
from synthdetect.images.decode import decode, source_name
from synthdetect.images.perturb import Augmentation, augment
from synthdetect.images.random_views import random_view
from synthdetect.images.views import Pixels, View
from synthdetect.members.schedule import Schedule
from synthdetect.optional import require

Batch = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]
Teacher = Callable[[NDArray[np.uint8]], NDArray[np.float64]]


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
    view: View,
    plan: Schedule,
    augmentation: Augmentation,
    teacher: Teacher | None = None,
    seed: int,
    epoch: int,
) -> Any:
    """Return one epoch as a `keras.utils.PyDataset`.

    What a batch is depends on the seed, the epoch and its place alone, so an epoch that is trained
    again after an interruption sees the same batches.

    Parameters
    ----------
    pixels : callable
        From an index to (h, w, 3) uint8.
    y : ndarray of shape (n,), int64
    view : View
        How the member looks at an image: crops, or the whole of it.
    plan : Schedule
        Says the size of crops and batches, whether crops are mixed and classes weighted.
    augmentation : Augmentation
    teacher : callable, optional
        From crops (n, 1, size, size, 3), uint8, to logits (n,).
    seed, epoch : int

    Returns
    -------
    batches : keras.utils.PyDataset
        Of (crops (batch, crop, crop, 3) uint8, labels (batch, 1) float32, weights (batch,)).
    """
    keras = require("keras", extra="train")
    order = np.random.default_rng([seed, epoch]).permutation(len(y))
    crop, batch_size = plan.crop(epoch), plan.batch_size
    labels = y.astype(np.float32)[:, np.newaxis]
    weights = class_weights(y) if plan.balanced else np.ones(len(y), np.float32)

    class Epoch(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return max(1, len(order) // batch_size)

        def __getitem__(self, batch: int) -> Batch:
            rows = order[batch * batch_size : (batch + 1) * batch_size]
            crops = np.stack([self._crop(int(row)) for row in rows])
            target, weight = labels[rows], weights[rows]
            if plan.mixup:
                rng = np.random.default_rng([seed, epoch, len(order), batch])
                share = float(rng.beta(plan.mixup, plan.mixup))
                crops, target, weight = _mixed(crops, target, weight, share)
            if teacher is not None:
                taught = 1 / (1 + np.exp(-teacher(crops[:, np.newaxis])))
                target = (0.5 * target + 0.5 * taught[:, np.newaxis]).astype(np.float32)
            return crops, target, weight

        def _crop(self, row: int) -> Pixels:
            rng = np.random.default_rng([seed, epoch, row])
            return random_view(augment(pixels(row), augmentation, rng), view, crop, rng)

    return Epoch(workers=2, max_queue_size=8)


def class_weights(y: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the weight of each image, 1 on average, so that both classes count the same."""
    return (len(y) / (2 * np.bincount(y, minlength=2))[y]).astype(np.float32)


def _mixed(
    crops: NDArray[np.uint8], target: NDArray[np.float32], weight: NDArray[np.float32], share: float
) -> Batch:
    """Mix each crop and label with those of the crop before it in the batch.

    A label counts in a mixture by its weight, so that classes that count the same still do.
    """
    other = np.roll(crops, 1, axis=0)
    mixed = np.rint(share * crops.astype(np.float32) + (1 - share) * other)
    mine, its = share * weight, (1 - share) * np.roll(weight, 1)
    both = mine + its
    labels = (mine[:, np.newaxis] * target + its[:, np.newaxis] * np.roll(target, 1, axis=0)) / (
        both[:, np.newaxis]
    )
    return mixed.astype(np.uint8), labels.astype(np.float32), both.astype(np.float32)
