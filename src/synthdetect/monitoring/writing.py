"""From what was looked at to what is written, and what the caller gets of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.bars import Advance
from synthdetect.ensemble.checks import Floats
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.threshold import AnyThreshold
from synthdetect.errors import DataError, ImageError
from synthdetect.images.batches import iter_sources
from synthdetect.monitoring.events import SELECTED, Events, from_rows
from synthdetect.monitoring.recording import (
    Looked,
    Scorer,
    batches,
    from_scores,
    is_scores,
    look,
    rows_of,
)
from synthdetect.monitoring.schema import member_column
from synthdetect.monitoring.store import tags_text

BATCH = 256

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Recorded:
    """What `Monitor.record` wrote.

    Parameters
    ----------
    ids : ndarray of shape (n,), int64
        By which labels may come later.
    p : ndarray of shape (n,), float64
        P(synthetic); NaN for an image that could not be read.
    decisions : ndarray of shape (n,), str
        `real`, `synthetic`, `uncertain` or `unreadable`.
    errors : mapping of int to ImageError
        Why an image could not be read, by position.
    """

    ids: NDArray[np.int64]
    p: Floats
    decisions: NDArray[np.str_]
    errors: Mapping[int, ImageError]


def looked_at(
    images: Any,
    detector: Scorer | None,
    members: Sequence[str],
    decision: Decision | None,
    advance: Advance | None = None,
) -> Looked:
    """Look at images, or take scores, of a reference."""
    if is_scores(images):
        return from_scores(images, n_members=len(members), decision=decision)
    if detector is None:
        raise DataError("a reference of images needs the detector; use Monitor.for_detector")
    parts = [look(part, detector, advance=advance) for part in batches(iter_sources(images), BATCH)]
    if not parts:
        raise DataError("reference: there are no images; give some thousand")
    return Looked(
        np.concatenate([part.p for part in parts]),
        np.concatenate([part.logits for part in parts]),
        [facts for part in parts for facts in part.facts],
        {},
    )


def events_of(looked: Looked, threshold: AnyThreshold) -> Events:
    """Return what a store would give back of these images."""
    n = len(looked.p)
    nothing: list[None] = [None] * n
    rows, _ = rows_of(looked, threshold, at_s=np.zeros(n), tags=nothing, labels=nothing)
    names = (*SELECTED, *(member_column(i) for i in range(looked.logits.shape[1])))
    for i, row in enumerate(rows):
        row["id"] = i
    return from_rows([[row[name] for name in names] for row in rows], looked.logits.shape[1], {})


def part_of(looked: Looked, begin: int, end: int) -> Looked:
    errors = {i - begin: e for i, e in looked.errors.items() if begin <= i < end}
    return Looked(looked.p[begin:end], looked.logits[begin:end], looked.facts[begin:end], errors)


def joined(written: Sequence[Recorded]) -> Recorded:
    if not written:
        return Recorded(np.empty(0, np.int64), np.empty(0), np.empty(0, "U10"), {})
    errors: dict[int, ImageError] = {}
    begin = 0
    for one in written:
        errors |= {begin + i: error for i, error in one.errors.items()}
        begin += len(one.p)
    return Recorded(
        np.concatenate([one.ids for one in written]),
        np.concatenate([one.p for one in written]),
        np.concatenate([one.decisions for one in written]),
        errors,
    )


def tag_texts(tags: Tags | Sequence[Tags] | None, n: int) -> list[str | None]:
    if tags is None or isinstance(tags, Mapping):
        return [_checked_tags(tags)] * n
    if len(tags) != n:
        raise DataError(f"tags has {len(tags)} entries for {n} images; give one for each, or one")
    return [_checked_tags(one) for one in tags]


def _checked_tags(tags: Tags | None) -> str | None:
    if tags is not None and not (
        isinstance(tags, Mapping) and all(isinstance(x, str) for pair in tags.items() for x in pair)
    ):
        raise DataError(f"tags are {tags!r}; use a mapping of texts to texts")
    return tags_text(tags)
