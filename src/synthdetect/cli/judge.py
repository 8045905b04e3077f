"""From what a detector says to rows: decisions, stability, evidence."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import isnan
from typing import TYPE_CHECKING, Any

from synthdetect.cli.output import Row
from synthdetect.errors import ImageError

if TYPE_CHECKING:
    from synthdetect.ensemble.threshold import AnyThreshold

# The names of the columns of stability, in the order of the detector's forms.
STABILITY = ("stable", "p_jpeg_60", "p_half_size", "p_thumbnail", "p_webp_75", "p_crop_90")
EVIDENCE = ("evidence",)


def judged(
    results: Iterable[tuple[str, Any, ImageError | None]], threshold: "AnyThreshold"
) -> Iterator[Row]:
    """Turn the results of `Detector.stream` into rows."""
    for name, p, error in results:
        if error is not None:
            yield Row(name, None, "unreadable", threshold.value, error.reason)
        else:
            yield Row(name, p, str(threshold.decide([p])[0]), threshold.value)


def judged_in_all_forms(
    results: Iterable[tuple[str, Any, ImageError | None]], threshold: "AnyThreshold"
) -> Iterator[Row]:
    """Turn the results of `Detector.stream_stability` into rows."""
    from synthdetect.evaluation.stability import Stability
    from synthdetect.scoring.streams import FORMS

    for name, p, error in results:
        if error is not None:
            more = dict.fromkeys(STABILITY)
            yield Row(name, None, "unreadable", threshold.value, error.reason, more)
            continue
        seen = Stability.of(FORMS, [p], threshold.decide)
        first, *others = (None if isnan(one) else one for one in p.tolist())
        more = dict(zip(STABILITY, (bool(seen.stable[0]), *others), strict=True))
        yield Row(name, first, str(seen.decided[0]), threshold.value, None, more)


def with_evidence(rows: Iterable[Row]) -> Iterator[Row]:
    """Add what each file says of itself; it is read once more for it, and not decoded."""
    from synthdetect.evidence.read import read_evidence

    for row in rows:
        told = None
        if row.error is None:
            try:
                told = read_evidence(row.path).summary
            except ImageError as error:
                told = f"not read: {error.reason}"
        yield replace(row, more={**row.more, "evidence": told})
