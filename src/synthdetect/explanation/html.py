"""An `Explanation` as one HTML page: pictures inside, no script, nothing fetched."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from synthdetect.evaluation.files import writable
from synthdetect.evaluation.frame import framed
from synthdetect.evaluation.page import opening, page, table
from synthdetect.explanation import draw
from synthdetect.explanation.text import (
    HEADER,
    NO_PROOF,
    headline,
    in_turn_line,
    member_rows,
    occlusion_line,
    patch_line,
    rank_line,
    seen_line,
    sum_line,
)

if TYPE_CHECKING:
    from synthdetect.explanation.explain import Explanation


def as_html(explanation: "Explanation") -> str:
    """Return the explanation as one HTML page."""
    title = f"Why this image was called {explanation.decision}"
    return writable(page(title, [*_verdict(explanation, title), *_body(explanation)]))


def _verdict(one: "Explanation", title: str) -> list[str]:
    return [
        *opening(title, headline(one)),
        *([f"<p>{escape(in_turn_line(one))}</p>"] if one.in_turn else []),
        f'<p class="note">{escape(NO_PROOF)}</p>',
        "<h2>Who said what</h2>",
        table(
            HEADER, member_rows(one), "Members and what each adds to the combined logit", words=True
        ),
        f"<p>{escape(sum_line(one))}</p>",
        f"<p>{escape(rank_line(one))}</p>",
    ]


def _body(one: "Explanation") -> Iterator[str]:
    yield "<h2>Where</h2>"
    yield f"<p>{escape(seen_line(one))}</p>"
    yield '<div class="pictures">'
    frame = "The verdict rests on the pixels within the frame."
    yield framed("What was judged", draw.photograph(one.pixels, one.seen), frame)
    if one.patches is not None:
        caption = (
            f"{patch_line(one)} Red looks synthetic, blue real; the frame is around the highest. A "
            "patch's number ranks it among the others and is no calibrated probability."
        )
        overlay = draw.patch_overlay(one.pixels, one.patches)
        yield framed("Each place judged alone", overlay, caption)
    if one.occlusion is not None:
        caption = (
            f"{occlusion_line(one)} A number is how far the combined logit falls: the grain of red "
            "cells speaks for synthetic, that of blue ones for real. Erased grain is not neutral "
            "either."
        )
        overlay = draw.occlusion_overlay(one.pixels, one.occlusion)
        yield framed("What the verdict hangs on", overlay, caption)
    yield "</div>"
    yield "<h2>In which frequencies</h2>"
    real = one.spectrum.real
    yield f"<p>{escape(one.spectrum.verdict)}.</p>"
    yield (
        f'<figure><div class="scroll" tabindex="0">{draw.spectrum_lines(one.spectrum)}</div>'
        "<figcaption>Orange: this image. Grey band: "
        f"nine in ten real images, dashed their median, n = {real.n:,}, {escape(real.on)}. Scaling "
        "and compression move it too, so a strange spectrum alone proves nothing.</figcaption>"
        "</figure>"
    )
    yield from _evidence(one)


def _evidence(one: "Explanation") -> Iterator[str]:
    yield "<h2>What the file says of itself</h2>"
    yield "<p>No part of the probability above.</p>"
    if one.evidence is None:
        yield "<p>The image came without a file.</p>"
        return
    if one.evidence.findings:
        header = ("what", "where", "value", "says", "worth")
        rows = [(f.kind, f.where, f.value, f.says.value, f.worth) for f in one.evidence]
        yield table(header, rows, "", words=True)
    else:
        yield f"<p>{escape(str(one.evidence))}</p>"
    for note in one.evidence.notes:
        yield f"<p>{escape(note)}</p>"
