"""The numbers of each image that a monitor watches, and the sample of them that is normal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthdetect.ensemble.checks import Floats
from synthdetect.errors import DataError
from synthdetect.monitoring.events import Events

SCORE, DISAGREEMENT = "score", "disagreement"
# With fewer, tests see little and quantile bins are noise.
FEWEST = 50
_MOST = 10_000


def member_quantity(name: str) -> str:
    """Return what a member's logit is called among quantities."""
    return f"member {name}"


def quantities(events: Events, members: Sequence[str]) -> dict[str, Floats]:
    """Return what is watched of each image, by name.

    Parameters
    ----------
    events : Events
        Readable ones.
    members : sequence of str

    Returns
    -------
    quantities : dict of str to ndarray of shape (n,), float64
        `score`, the logit of P(synthetic); the logit of each member; `disagreement`, the standard
        deviation of these where there are two or more; `megapixels`, `bytes per pixel`,
        `JPEG quality` and `sharpness`. NaN where an image has none.
    """
    p = np.clip(events.p, 1e-12, 1 - 1e-12)
    found = {SCORE: np.log(p) - np.log1p(-p)}
    for column, name in enumerate(members):
        found[member_quantity(name)] = events.logits[:, column]
    if len(members) > 1:
        # Not nanstd: without all members the spread would be of other members.
        found[DISAGREEMENT] = np.std(events.logits, axis=1)
    pixels = events.facts["width"] * events.facts["height"]
    found["megapixels"] = pixels / 1e6
    found["bytes per pixel"] = events.facts["n_bytes"] / pixels
    found["JPEG quality"] = events.facts["jpeg_quality"]
    found["sharpness"] = events.facts["sharpness"]
    return found


@dataclass(frozen=True)
class Reference:
    """What is normal: a sample of each quantity, and counts of formats.

    Parameters
    ----------
    n : int
        Images that it is of.
    samples : mapping of str to ndarray of shape (at most 10,000,), float64
        Sorted, without NaN; a quantity with fewer than 50 values is left out.
    formats : mapping of str to int
        Images of each format.
    flagged : float
        Share that was called synthetic.
    """

    n: int
    samples: Mapping[str, Floats]
    formats: Mapping[str, int]
    flagged: float

    def to_json(self) -> str:
        """Return it as text, the inverse of `from_json`."""
        samples = {name: values.tolist() for name, values in self.samples.items()}
        return json.dumps(
            {"n": self.n, "samples": samples, "formats": self.formats, "flagged": self.flagged}
        )

    @classmethod
    def from_json(cls, text: str) -> "Reference":
        """Build a reference from its text."""
        read: dict[str, Any] = json.loads(text)
        samples = {name: np.array(values) for name, values in read["samples"].items()}
        return cls(read["n"], samples, read["formats"], read["flagged"])


def reference_of(events: Events, members: Sequence[str], *, seed: int = 0) -> Reference:
    """Take images as the normal ones.

    Parameters
    ----------
    events : Events
    members : sequence of str
    seed : int
        Of the draw, where there are more than 10,000.

    Returns
    -------
    reference : Reference

    Raises
    ------
    DataError
        If fewer than 50 can be read.
    """
    good = events.readable
    if len(good) < FEWEST:
        raise DataError(
            f"reference: {len(good)} readable images; give {FEWEST} or more, better some thousands"
        )
    rng = np.random.default_rng(seed)
    if len(good) > _MOST:
        good = good.take(np.sort(rng.choice(len(good), _MOST, replace=False)))
    samples = {}
    for name, values in quantities(good, members).items():
        known = values[np.isfinite(values)]
        if len(known) >= FEWEST:
            samples[name] = np.sort(known)
    return Reference(len(events.readable), samples, format_counts(events), share_flagged(good))


def format_counts(events: Events) -> dict[str, int]:
    """Return how many images are of each format; those of unknown format are left out."""
    known = events.format[events.format >= 0]
    counts = np.bincount(known, minlength=len(events.formats))
    return {name: int(n) for name, n in zip(events.formats, counts, strict=True) if n}


def share_flagged(events: Events) -> float:
    """Return the share of readable images that were called synthetic; NaN without any."""
    return float(np.mean(events.flagged)) if len(events) else float("nan")
