"""Score a stream of images by all members: decode once, view once, a bounded number in memory."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.errors import ImageError
from synthdetect.images.batches import Prepared, iter_sources, prepared_in_place
from synthdetect.images.limits import Limits
from synthdetect.images.perturbations import UNTOUCHED, Perturbation
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
        NaN where the image could not be read, or a member was not asked.
    error : ImageError or None
        Why it could not be read.
    """

    index: int
    name: str
    logits: NDArray[np.float64]
    error: ImageError | None = None


@dataclass(frozen=True)
class ScoredVariants:
    """One image with the logits of what perturbations made of it.

    Parameters
    ----------
    index : int
        Position in the stream.
    name : str
        The image's path, or `image 3`.
    logits : ndarray of shape (perturbations, members), float64
        NaN where the image could not be read, and in the rows of `refused`.
    refused : mapping of str to ImageError
        Perturbations, by name, whose result the limits do not let through.
    error : ImageError or None
        Why the image could not be read.
    """

    index: int
    name: str
    logits: NDArray[np.float64]
    refused: Mapping[str, ImageError] = field(default_factory=dict)
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
    """What is kept of an image once it was decoded: crops of each variant, and known logits."""

    logits: NDArray[np.float64]
    crops: Sequence[tuple[int, Mapping[View, Pixels]]]
    refused: Mapping[str, ImageError]


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
    for one in score_variants(
        images,
        (UNTOUCHED,),
        views,
        scorers,
        limits=limits,
        workers=workers,
        batch_size=batch_size,
        turns=turns,
    ):
        yield Scored(one.index, one.name, one.logits[0], one.error)


def score_variants(
    images: Any,
    perturbations: Sequence[Perturbation],
    views: Sequence[View],
    scorers: Sequence[Scorer],
    *,
    limits: Limits,
    seed: int = 0,
    workers: int | None = None,
    batch_size: int = 16,
    turns: Sequence[Turn] = (),
) -> Iterator[ScoredVariants]:
    """Decode each image once and yield the logits of what each perturbation makes of it.

    A thread holds one variant at a time; what is kept of it are the crops that members look at.

    Parameters
    ----------
    images, views, scorers, limits, workers, turns
        As for `score_stream`.
    perturbations : sequence of Perturbation
        At least one.
    seed : int
        Of what is random in them, with an image's position.
    batch_size : int
        Variants that are scored together, or those of one image if they are more.

    Yields
    ------
    scored : ScoredVariants
        In the order of `images`.
    """
    shape = (len(perturbations), len(scorers))
    steps = _steps(turns, len(scorers))
    # What the threads look at themselves, and what needs the crops of several images.
    alone = [column for column in steps[0].columns if not scorers[column].uses_all_cores]
    later = [column for column in range(len(scorers)) if column not in alone]
    # Many short array operations: two threads of them only pass the interpreter's lock to and fro.
    one_at_a_time = Lock()

    def look(index: int, pixels: Pixels) -> Seen:
        logits = np.full(shape, np.nan)
        kept: list[tuple[int, Mapping[View, Pixels]]] = []
        refused: dict[str, ImageError] = {}
        for row, perturbation in enumerate(perturbations):
            try:
                variant = perturbation.apply(pixels, seed=seed, index=index, limits=limits)
            except ImageError as error:
                refused[perturbation.name] = error
                continue
            crops = apply_views(variant, views)
            with one_at_a_time:
                for column in alone:
                    logit = scorers[column].logits(crops[views[column]][np.newaxis])[0]
                    logits[row, column] = logit
            # Copies, as a crop that is a slice would keep all pixels of its variant in memory.
            kept.append((row, {views[column]: crops[views[column]].copy() for column in later}))
        return Seen(logits, kept, refused)

    stream = prepared_in_place(
        iter_sources(images), look, limits=limits, workers=workers, ahead=batch_size
    )
    n_images = max(1, batch_size // len(perturbations))
    while batch := list(itertools.islice(stream, n_images)):
        _score_together(batch, steps, later, views, scorers)
        for image in batch:
            seen = image.value or Seen(np.full(shape, np.nan), (), {})
            refused = {
                name: ImageError(image.name, error.reason) for name, error in seen.refused.items()
            }
            yield ScoredVariants(image.index, image.name, seen.logits, refused, image.error)


def _score_together(
    batch: Sequence[Prepared[Seen]],
    steps: Sequence[Turn],
    later: Sequence[int],
    views: Sequence[View],
    scorers: Sequence[Scorer],
) -> None:
    """Put the logits of members that the threads did not ask in their places, turn by turn."""
    waiting = [
        (image.value.logits[row], crops)
        for image in batch
        if image.value is not None
        for row, crops in image.value.crops
    ]
    for step in steps:
        if not waiting:
            return
        for column in (column for column in step.columns if column in later):
            crops = np.stack([crops[views[column]] for _, crops in waiting])
            for (row, _), logit in zip(waiting, scorers[column].logits(crops), strict=True):
                row[column] = logit
        go_on = step.undecided(np.stack([row for row, _ in waiting]))
        waiting = [one for one, on in zip(waiting, go_on, strict=True) if on]


def _steps(turns: Sequence[Turn], n_members: int) -> list[Turn]:
    """Return the turns and a last one of all members that are in none."""
    early = {column for turn in turns for column in turn.columns}
    rest = tuple(column for column in range(n_members) if column not in early)
    return [*turns, Turn(rest, lambda logits: np.zeros(len(logits), dtype=bool))]
