"""From images, or from scores, to the rows of a store. No pixel and no name of a file is kept."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from synthdetect.bars import Advance
from synthdetect.ensemble.checks import Floats, check_vector
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.threshold import AnyThreshold
from synthdetect.errors import DataError, ImageError
from synthdetect.images.batches import prepared
from synthdetect.images.decode import source_name
from synthdetect.images.facts import file_facts
from synthdetect.images.limits import DEFAULT_LIMITS, Limits
from synthdetect.images.reading import read_encoded
from synthdetect.images.views import Pixels
from synthdetect.monitoring.events import UNREADABLE
from synthdetect.monitoring.schema import COLUMNS, FACTS, member_column

# Facts that a caller may give beside scores; `format` is text.
GIVEN = ("format", *FACTS)
_SHARPNESS_SIDE = 512
_LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)


class Scorer(Protocol):
    """What a monitor needs of a `Detector`."""

    decision_: Decision
    members_: Sequence[Any]
    limits: Limits | None
    workers: int | None

    def member_logits(self, images: Any, *, on_error: Any = ...) -> Floats:
        """Return logits of shape (n, members)."""
        ...


@dataclass(frozen=True)
class Looked:
    """What is known of some images, column by column.

    Parameters
    ----------
    p : ndarray of shape (n,), float64
        P(synthetic); NaN for an image that could not be read.
    logits : ndarray of shape (n, members), float64
    facts : sequence of dict
        Of each image, with keys of `GIVEN` and perhaps `sha256`.
    errors : dict of int to ImageError
        By position.
    """

    p: Floats
    logits: Floats
    facts: Sequence[Mapping[str, Any]]
    errors: Mapping[int, ImageError]


def look(
    sources: Sequence[Any],
    detector: Scorer,
    *,
    hashes: bool = False,
    first: int = 0,
    advance: Advance | None = None,
) -> Looked:
    """Score images and read what their files say; each is read and decoded once.

    Parameters
    ----------
    sources : sequence of n images
        What `synthdetect.images.decode.decode` takes.
    detector : Scorer
    hashes : bool, default=False
        Take the SHA-256 of each file's bytes, by which a label may come later. An array or PIL
        image has none.
    first : int, default=0
        Position of the first in the caller's stream, for the names in errors.
    advance : callable, optional
        Called after each image.

    Returns
    -------
    looked : Looked
    """
    limits, done = detector.limits or DEFAULT_LIMITS, advance or (lambda: None)
    facts: list[dict[str, Any]] = [{} for _ in sources]
    errors: dict[int, ImageError] = {}
    opened: list[int] = []
    scored: list[int] = []

    def encoded() -> Iterator[Any]:
        for i, source in enumerate(sources):
            try:
                content = _opened(source, source_name(source, first + i), facts[i], limits, hashes)
            except ImageError as error:
                errors[i] = error
                done()
                continue
            opened.append(i)
            yield content

    def pixels() -> Iterator[Pixels]:
        look_at = prepared(
            encoded(), lambda x: (x, sharpness(x)), limits=limits, workers=detector.workers
        )
        for image in look_at:
            done()
            i = opened[image.index]
            if image.value is None:
                reason = image.error.reason if image.error else "cannot be used"
                errors[i] = ImageError(source_name(sources[i], first + i), reason)
                continue
            decoded, facts[i]["sharpness"] = image.value
            height, width = decoded.shape[:2]
            facts[i] |= {"width": width, "height": height}
            scored.append(i)
            yield decoded

    logits = np.full((len(sources), len(detector.members_)), np.nan)
    found = detector.member_logits(pixels(), on_error="nan")
    logits[scored] = found
    return Looked(detector.decision_.probability(logits), logits, facts, errors)


def sharpness(pixels: Pixels) -> float:
    """Return the variance of the Laplacian of the luma, over at most the middle 512 x 512 pixels.

    Small for blurred and for strongly compressed images, large for sharp or noisy ones
    (Pech-Pacheco et al. 2000).

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3), uint8

    References
    ----------
    .. [1] Pech-Pacheco, Cristobal, Chamorro-Martinez and Fernandez-Valdivia, "Diatom autofocusing
       in brightfield microscopy: a comparative study", ICPR 2000.
    """
    from scipy.ndimage import laplace

    height, width = pixels.shape[:2]
    top, left = max(0, height - _SHARPNESS_SIDE) // 2, max(0, width - _SHARPNESS_SIDE) // 2
    middle = pixels[top : top + _SHARPNESS_SIDE, left : left + _SHARPNESS_SIDE]
    return float(laplace(middle @ _LUMA).var())


def from_scores(
    scores: ArrayLike,
    *,
    n_members: int,
    decision: Decision | None,
    facts: Mapping[str, Any] | None = None,
) -> Looked:
    """Take scores that were computed elsewhere.

    Parameters
    ----------
    scores : array-like of shape (n,) or (n, members), float
        P(synthetic), NaN for an image that could not be read; or the members' logits.
    n_members : int
    decision : Decision or None
        Makes probabilities of logits.
    facts : mapping of str to sequence of length n, optional
        `format`, `width`, `height`, `n_bytes`, `jpeg_quality`, `sharpness`, `sha256`.

    Raises
    ------
    DataError
        If shapes do not fit, a probability is out of range, or logits come without a decision.
    """
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"scores are not an array of numbers: {error}") from error
    if values.ndim == 2 and values.shape[1] == 2 and len(values) and _are_both(values):
        raise DataError(
            "scores look like rows of predict_proba, P(real) and P(synthetic); give its last "
            "column, predict_proba(images)[:, 1]"
        )
    if values.ndim == 2 and values.shape[1] == n_members:
        if decision is None:
            raise DataError(
                "scores are logits, and this monitor does not know how they become probabilities; "
                "open it with Monitor.for_detector, or give probabilities of shape (n,)"
            )
        p, logits = decision.probability(values), values
    else:
        if values.ndim != 1:
            raise DataError(
                f"scores have shape {values.shape}; give probabilities of shape (n,), or logits of "
                f"shape (n, {n_members})"
            )
        p, logits = check_vector("scores", values), np.full((len(values), n_members), np.nan)
    outside = np.flatnonzero((p < 0) | (p > 1))
    if len(outside):
        row = int(outside[0])
        raise DataError(f"score {row} is {p[row]}; give probabilities from 0 to 1, or NaN")
    return Looked(p, logits, _given(facts or {}, len(p)), {})


def rows_of(
    looked: Looked,
    threshold: AnyThreshold,
    *,
    at_s: Floats,
    tags: Sequence[str | None],
    labels: Sequence[int | None],
) -> tuple[list[dict[str, Any]], NDArray[np.str_]]:
    """Return rows as a store takes them, and the decisions, of shape (n,).

    Parameters
    ----------
    looked : Looked
    threshold : Threshold or BandThreshold
    at_s : ndarray of shape (n,), float64
    tags : sequence of n texts or None
    labels : sequence of n labels (1 = synthetic) or None
    """
    decisions = np.where(np.isnan(looked.p), UNREADABLE, threshold.decide(looked.p))
    empty = dict.fromkeys(COLUMNS)
    names = [member_column(i) for i in range(looked.logits.shape[1])]
    columns = zip(
        looked.p.tolist(),
        looked.logits.tolist(),
        decisions.tolist(),
        looked.facts,
        np.asarray(at_s).tolist(),
        tags,
        labels,
        strict=True,
    )
    rows = []
    for p, logits, decision, facts, at, tag, label in columns:
        row: dict[str, Any] = {**empty, **facts, "at_s": at, "decision": decision, "tags": tag}
        row["p"] = None if p != p else p
        for name, logit in zip(names, logits, strict=True):
            row[name] = None if logit != logit else logit
        if label is not None:
            row |= {"label": label, "labelled_s": at}
        rows.append(row)
    return rows, decisions


def _opened(source: Any, name: str, facts: dict[str, Any], limits: Limits, hashes: bool) -> Any:
    """Return what to decode in the source's place; write into `facts` what its file says."""
    if isinstance(source, np.ndarray | Image.Image):
        return source
    content = read_encoded(source, name=name, limits=limits)
    if hashes:
        facts["sha256"] = hashlib.sha256(content).hexdigest()
    said = file_facts(content, name=name, limits=limits)
    facts |= {
        "format": said.format,
        "n_bytes": said.n_bytes,
        "jpeg_quality": said.jpeg_quality,
    }
    return content


def _given(facts: Mapping[str, Any], n: int) -> list[dict[str, Any]]:
    known = (*GIVEN, "sha256")
    for name, values in facts.items():
        if name not in known:
            raise DataError(f"fact {name!r} is not known; use some of {list(known)}")
        if len(values) != n:
            raise DataError(f"fact {name!r} has {len(values)} values for {n} scores; give one each")
    if not facts:
        return [{}] * n
    columns = {
        name: values.tolist() if isinstance(values, np.ndarray) else list(values)
        for name, values in facts.items()
    }
    return [{name: _plain(values[i]) for name, values in columns.items()} for i in range(n)]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


def is_scores(values: Any) -> bool:
    """Say whether these are scores and not images: numbers, alone or in rows.

    Arrays of floats, of one or two axes; arrays of whole numbers of one axis; lists of numbers or
    of rows; and a table or a column of pandas.
    """
    if isinstance(values, int | float | np.number):
        return True  # one score is refused by its shape, and not taken for an image
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if isinstance(values, np.ndarray):
        return (values.dtype.kind == "f" and values.ndim in (1, 2)) or _are_numbers(values)
    if isinstance(values, list | tuple) and values:
        return _are_numbers(values) or all(map(_are_numbers, values))
    return False


def _are_both(rows: Floats) -> bool:
    """Say whether rows are two probabilities that make 1; NaN is of an unreadable image."""
    known = rows[~np.isnan(rows).any(axis=1)]
    return bool(len(known) and (known >= 0).all() and np.allclose(known.sum(axis=1), 1, atol=1e-6))


def _are_numbers(row: Any) -> bool:
    """Say whether this is a row of numbers, of which some, but not all, may be None."""
    if isinstance(row, np.ndarray):
        if row.dtype.kind != "O":
            return row.dtype.kind in "fiu" and row.ndim == 1
        row = row.tolist() if row.ndim == 1 else None
    if not isinstance(row, list | tuple):
        return False
    known = [value for value in row if value is not None]
    kinds = int | float | np.integer | np.floating
    return bool(known) and all(isinstance(v, kinds) and not isinstance(v, bool) for v in known)


def batches(sources: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Cut a stream of sources into lists of at most `size`."""
    part: list[Any] = []
    for source in sources:
        part.append(source)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def as_id(key: Any) -> int:
    """Return the id of a recorded image, or raise DataError."""
    try:
        number = int(key)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if not 0 <= number < 2**63:
        raise DataError(f"{key!r} is no id of a recorded image; use those of Recorded.ids")
    return number
