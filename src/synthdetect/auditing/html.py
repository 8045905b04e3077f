"""An `Audit` as one HTML page: pictures inside, no script, nothing fetched."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from synthdetect.auditing.section import Section
from synthdetect.evaluation.files import writable
from synthdetect.evaluation.frame import framed
from synthdetect.evaluation.html import body
from synthdetect.evaluation.page import page, table

if TYPE_CHECKING:
    from synthdetect.auditing.audit import Audit

_TITLE = "Audit of a detector of synthetic images"


def as_html(audit: "Audit") -> str:
    """Return the report as one HTML page.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    first, *figures = _parts_of_evaluation(audit)
    parts = [first, *_attention(audit), *figures]
    for section in audit.sections:
        parts += _section(section)
    return writable(page(_TITLE, parts))


def _parts_of_evaluation(audit: "Audit") -> list[str]:
    return body(audit.evaluation, _TITLE)


def _attention(audit: "Audit") -> Iterator[str]:
    yield "<h2>To look at first</h2>"
    if not audit.attention:
        yield "<p>Nothing stands out. That is no approval: read the limits of these images.</p>"
        return
    yield "<ul>"
    yield from (f"<li>{escape(line)}</li>" for line in audit.attention)
    yield "</ul>"


def _section(section: Section) -> Iterator[str]:
    if not (section.words or section.tables or section.pictures):
        return
    yield f"<h2>{escape(section.title)}</h2>"
    yield from (f"<p>{escape(words)}</p>" for words in section.words)
    for one in section.tables:
        yield table(one.header, one.rows, one.caption)
    for kind, chart in (("pictures", True), ("gallery", False)):
        if pictures := [one for one in section.pictures if one.chart is chart]:
            yield f'<div class="{kind}">'
            yield from (framed(one.title, one.source, one.caption) for one in pictures)
            yield "</div>"
