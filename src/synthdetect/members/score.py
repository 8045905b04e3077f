"""Score a stream of images by all members: decode once, view once, a bounded number in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.errors import ImageError
from synthdetect.images.batches import iter_sources, prepared
from synthdetect.images.decode import Limits
from synthdetect.images.views import Pixels, View, apply_views
from synthdetect.members.base import Scorer


@dataclass(frozen=True)
class Scored:
    """One image with its logits.

    Parameters
    ----------
    index : int
        Position in the stream.
    name : str
        The image's path, or `image 3`.
    logits : ndarray of shape (members,), float64
        NaN where the image could not be read.
    error : ImageError or None
        Why it could not be read.
    """

    index: int
    name: str
    logits: NDArray[np.float64]
    error: ImageError | None = None


def score_stream(
    images: Any,
    views: Sequence[View],
    scorers: Sequence[Scorer],
    *,
    limits: Limits,
    workers: int | None = None,
    batch_size: int = 16,
) -> Iterator[Scored]:
    """Yield the logits of each image, in order.

    Parameters
    ----------
    images : path, bytes, array, PIL image, directory, or an iterable of those
    views, scorers : sequences of equal length
        Of the members.
    limits : Limits
        What the decoder accepts.
    workers : int, optional
        Threads that decode; by default one a core.
    batch_size : int
        Images that are scored together.

    Yields
    ------
    scored : Scored
    """
    batch: list[Any] = []

    def look(pixels: Pixels) -> dict[View, Pixels]:
        return apply_views(pixels, views)

    stream = prepared(iter_sources(images), look, limits=limits, workers=workers)
    for image in stream:
        batch.append(image)
        if len(batch) == batch_size:
            yield from _score(batch, views, scorers)
            batch = []
    yield from _score(batch, views, scorers)


def _score(batch: list[Any], views: Sequence[View], scorers: Sequence[Scorer]) -> Iterator[Scored]:
    readable = [image for image in batch if image.error is None]
    logits = np.full((len(batch), len(scorers)), np.nan)
    if readable:
        where = [i for i, image in enumerate(batch) if image.error is None]
        crops = {
            view: np.stack([image.value[view] for image in readable])
            for view in dict.fromkeys(views)
        }
        for column, (view, scorer) in enumerate(zip(views, scorers, strict=True)):
            logits[where, column] = scorer.logits(crops[view])
    for image, row in zip(batch, logits, strict=True):
        yield Scored(image.index, image.name, row, image.error)
