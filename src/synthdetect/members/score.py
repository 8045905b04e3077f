"""Score a stream of images by all members: decode once, view once, a bounded number in memory."""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        NaN where the image could not be read, or a member was not asked.
    error : ImageError or None
        Why it could not be read.
    """

    index: int
    name: str
    logits: NDArray[np.float64]
    error: ImageError | None = None


@dataclass(frozen=True)
class Turn:
    """Members that are asked together, and who must go on after them.

    Parameters
    ----------
    columns : tuple of int
    undecided : callable
        From the logits so far, (n, members) with NaN for who was not asked, to (n,) bool: the
        images about which the next turn is asked.
    """

    columns: tuple[int, ...]
    undecided: Callable[[NDArray[np.float64]], NDArray[np.bool_]]


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
    turns: Sequence[Turn] = (),
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
    turns : sequence of Turn, optional
        Members that are asked first; all others are asked about what is undecided then. By default
        all are asked about every image.

    Yields
    ------
    scored : Scored
    """
    steps = _steps(turns, len(scorers))
    # What the threads look at themselves, and what needs the crops of several images.
    alone = [column for column in steps[0].columns if not scorers[column].uses_all_cores]
    later = [column for column in range(len(scorers)) if column not in alone]
    # Many short array operations: two threads of them only pass the interpreter's lock to and fro.
    one_at_a_time = threading.Lock()

    def look(pixels: Pixels) -> Seen:
        crops = apply_views(pixels, views)
        logits = np.full(len(scorers), np.nan)
        with one_at_a_time:
            for column in alone:
                logits[column] = scorers[column].logits(crops[views[column]][np.newaxis])[0]
        return Seen(logits, {views[column]: crops[views[column]] for column in later})

    stream = prepared(iter_sources(images), look, limits=limits, workers=workers, ahead=batch_size)
    while batch := list(itertools.islice(stream, batch_size)):
        seen = [image.value for image in batch if image.value is not None]
        for step in steps:
            if not seen:
                break
            for column in step.columns:
                if column not in alone:
                    _ask(scorers[column], column, views[column], seen)
            go_on = step.undecided(np.stack([value.logits for value in seen]))
            seen = [value for value, on in zip(seen, go_on, strict=True) if on]
        for image in batch:
            logits = np.full(len(scorers), np.nan) if image.value is None else image.value.logits
            yield Scored(image.index, image.name, logits, image.error)


def _ask(scorer: Scorer, column: int, view: View, seen: Sequence[Seen]) -> None:
    """Write a member's logits of the images into theirs."""
    crops = np.stack([value.crops[view] for value in seen])
    for value, logit in zip(seen, scorer.logits(crops), strict=True):
        value.logits[column] = logit


def _steps(turns: Sequence[Turn], n_members: int) -> list[Turn]:
    """Return the turns and a last one of all members that are in none."""
    early = {column for turn in turns for column in turn.columns}
    rest = tuple(column for column in range(n_members) if column not in early)
    return [*turns, Turn(rest, lambda logits: np.zeros(len(logits), dtype=bool))]
