"""What was recorded, as columns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.checks import Floats
from synthdetect.monitoring.schema import FACTS

UNREADABLE = "unreadable"
DECISIONS = ("real", "synthetic", "uncertain", UNREADABLE)

Codes = NDArray[np.int16]


@dataclass(frozen=True)
class Events:
    """Recorded images, in the order in which they were recorded.

    Parameters
    ----------
    id : ndarray of shape (n,), int64
    at_s : ndarray of shape (n,), float64
        Seconds since 1970, UTC.
    p : ndarray of shape (n,), float64
        P(synthetic); NaN for an image that could not be read.
    decision : ndarray of shape (n,), int16
        Place in `DECISIONS`.
    logits : ndarray of shape (n, members), float64
    facts : mapping of str to ndarray of shape (n,), float64
        `width`, `height` (pixels), `n_bytes`, `jpeg_quality` (1 to 100), `sharpness`; NaN where
        unknown.
    format : ndarray of shape (n,), int16
        Place in `formats`; -1 where unknown.
    formats : tuple of str
    label : ndarray of shape (n,), float64
        1 = synthetic, 0 = real, NaN where nobody has said.
    """

    id: NDArray[np.int64]
    at_s: Floats
    p: Floats
    decision: Codes
    logits: Floats
    facts: Mapping[str, Floats]
    format: Codes
    formats: tuple[str, ...]
    label: Floats

    def __len__(self) -> int:
        return len(self.id)

    @property
    def readable(self) -> "Events":
        """Those that have a probability."""
        good = ~np.isnan(self.p)
        return self if good.all() else self.take(good)

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which were called synthetic, of shape (n,)."""
        flagged: NDArray[np.bool_] = self.decision == DECISIONS.index("synthetic")
        return flagged

    def take(self, rows: NDArray[Any]) -> "Events":
        """Return the images at `rows`, indices or a mask of shape (n,)."""
        columns = ("id", "at_s", "p", "decision", "logits", "format", "label")
        facts = {name: values[rows] for name, values in self.facts.items()}
        return replace(self, facts=facts, **{name: getattr(self, name)[rows] for name in columns})


def from_rows(rows: list[Any], n_members: int, formats: dict[str, int]) -> Events:
    """Make columns of rows of `SELECTED`, followed by the members' logits.

    Parameters
    ----------
    rows : list of rows
    n_members : int
    formats : dict of str to int
        Place of each format met so far; grows.
    """
    columns = list(zip(*rows, strict=True)) or [()] * (len(SELECTED) + n_members)
    named = dict(zip(SELECTED, columns, strict=False))
    place = {name: code for code, name in enumerate(DECISIONS)}

    def floats(values: Any) -> Floats:
        return np.array(values, dtype=np.float64)  # None becomes NaN

    for name in set(named["format"]) - {None}:
        formats.setdefault(name, len(formats))
    logits = [floats(column) for column in columns[len(SELECTED) :]]
    return Events(
        id=np.array(named["id"], dtype=np.int64),
        at_s=floats(named["at_s"]),
        p=floats(named["p"]),
        decision=np.array([place[name] for name in named["decision"]], dtype=np.int16),
        logits=np.column_stack(logits) if logits else np.empty((len(rows), 0)),
        facts={name: floats(named[name]) for name in FACTS},
        format=np.array([formats.get(name, -1) for name in named["format"]], dtype=np.int16),
        formats=tuple(formats),
        label=floats(named["label"]),
    )


def joined(parts: list[Events]) -> Events:
    """Join parts, at least one, that share their dict of formats."""
    columns = ("id", "at_s", "p", "decision", "logits", "format", "label")
    return Events(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns},
        facts={name: np.concatenate([part.facts[name] for part in parts]) for name in FACTS},
        formats=parts[-1].formats,
    )


# What a report reads of each row, in this order.
SELECTED = ("id", "at_s", "p", "decision", "format", *FACTS, "label")
