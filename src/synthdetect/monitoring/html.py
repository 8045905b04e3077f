"""A report as one HTML page: pictures inside, no script, nothing fetched."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from synthdetect.evaluation.page import gallery, opening, page, picture, titled
from synthdetect.monitoring import displays
from synthdetect.monitoring.text import heading, tables, verdicts

if TYPE_CHECKING:
    from synthdetect.monitoring.report import MonitorReport

_OVER_TIME = (
    (
        displays.flagged,
        "Called synthetic",
        "Share of images that was called synthetic in each window, and the share that is estimated "
        "to be, with 95 % intervals. The dotted line is the reference.",
    ),
    (
        displays.scores,
        "Scores",
        "Where the scores of each window lie. If the shaded ranges leave the dotted lines, images "
        "are no longer like the reference.",
    ),
    (
        displays.stability,
        "Distance from the reference",
        "Population stability index of each quantity. Below 0.1 is usual, above 0.25 is a change.",
    ),
    (
        displays.volume,
        "Images",
        "Images recorded in each window, and those that could not be read.",
    ),
    (
        displays.performance,
        "Are alarms right?",
        "Share of images called synthetic that are: counted on those with labels, and what the "
        "probabilities alone lead to expect. With 95 % intervals.",
    ),
    (
        displays.evidence,
        "Evidence of change",
        "The most that the sequential test of each quantity has shown since the reference was set. "
        "A hatched bar has reached the limit and is an alarm.",
    ),
)
# A page with very many members would have a picture for each.
_MOST_HISTOGRAMS = 12


def as_html(report: "MonitorReport", *, title: str = "") -> str:
    """Return a report as one HTML page.

    Parameters
    ----------
    report : MonitorReport
    title : str
        By default it says what was watched.

    Returns
    -------
    html : str

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    title = title or "What the detector meets in use"
    parts = [
        *opening(title, heading(report), verdicts(report)),
        *gallery(
            "Over time",
            (picture(partial(draw, report), name, caption) for draw, name, caption in _OVER_TIME),
        ),
        *titled(tables(report)),
    ]
    if report.histograms:
        parts += gallery("The newest window and the reference", _histograms(report))
    parts += [
        "<h2>How to read this</h2>",
        "<p>Drift says that images are not like the reference, not that decisions are worse: a "
        "new camera drifts as a new generator does. Only labels tell. Where nothing drifts, a "
        "generator whose images look real to the detector may still be there.</p>",
        "<p>Never take an alarm of the detector as the only evidence against a person.</p>",
    ]
    return page(title, parts)


def _histograms(report: "MonitorReport") -> Iterator[str]:
    """Yield those of the quantities that are farthest from the reference."""
    farthest = sorted(report.newest.drift, key=lambda one: -one.psi)
    names = [one.quantity for one in farthest if one.quantity in report.histograms]
    for name in names[:_MOST_HISTOGRAMS]:
        caption = f"Distribution of {name}. Where the line leaves the grey, images differ."
        yield picture(partial(displays.histogram, report, name), name, caption)
