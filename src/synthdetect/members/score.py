"""Score a stream of images by all members: decode once, view once, a bounded number in memory."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.errors import ImageError
from synthdetect.images.batches import iter_sources, prepared
from synthdetect.images.decode import Limits
from synthdetect.images.views import Pixels, View, apply_views
from synthdetect.locks import Lock
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


@dataclass(frozen=True)
class Seen:
    """What is kept of an image once it was decoded: its crops, and logits that are known."""

    logits: NDArray[np.float64]
    crops: Mapping[View, Pixels]


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
    alone = [column for column, scorer in enumerate(scorers) if not scorer.uses_all_cores]
    together = [column for column, scorer in enumerate(scorers) if scorer.uses_all_cores]
    # Many short array operations: two threads of them only pass the interpreter's lock to and fro.
    one_at_a_time = Lock()

    def look(pixels: Pixels) -> Seen:
        crops = apply_views(pixels, views)
        logits = np.full(len(scorers), np.nan)
        with one_at_a_time:
            for column in alone:
                logits[column] = scorers[column].logits(crops[views[column]][np.newaxis])[0]
        return Seen(logits, {views[column]: crops[views[column]] for column in together})

    stream = prepared(iter_sources(images), look, limits=limits, workers=workers, ahead=batch_size)
    while batch := list(itertools.islice(stream, batch_size)):
        seen = [image.value for image in batch if image.value is not None]
        for column in together if seen else ():
            crops = np.stack([value.crops[views[column]] for value in seen])
            for value, logit in zip(seen, scorers[column].logits(crops), strict=True):
                value.logits[column] = logit
        for image in batch:
            logits = np.full(len(scorers), np.nan) if image.value is None else image.value.logits
            yield Scored(image.index, image.name, logits, image.error)
