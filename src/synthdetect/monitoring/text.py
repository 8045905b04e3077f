"""A report as tables of text; the HTML page has the same ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from synthdetect.evaluation.files import one_line
from synthdetect.evaluation.interval import Estimate
from synthdetect.evaluation.table import Table
from synthdetect.monitoring.performance import Performance
from synthdetect.monitoring.windows import as_text as time_text

if TYPE_CHECKING:
    from synthdetect.monitoring.report import MonitorReport, WindowReport

SIGNIFICANT = 0.01
DASH = "-"


def as_text(report: "MonitorReport") -> str:
    """Return a report as text."""
    lines = [heading(report), *verdicts(report)]
    for table in tables(report):
        lines += ["", table.title, *_aligned((table.header, *table.rows)), f"({table.note})"]
    return "\n".join(lines)


def heading(report: "MonitorReport") -> str:
    """Say what the report is of."""
    newest = report.newest
    tags = ", ".join(f"{k} = {v}" for k, v in report.tags.items())
    return one_line(
        f"{newest.n:,} images from {time_text(newest.since_s)} to {time_text(newest.until_s)}"
        f"{f' with {tags}' if tags else ''}, against a reference of {report.reference.n:,}"
    )


def verdicts(report: "MonitorReport") -> list[str]:
    """Say in a sentence each what stands out, or that nothing does."""
    told = []
    for one in report.alarms:
        told.append(
            f"ALARM: {one.quantity} is no longer like the reference, since image {one.alarm_n:,} "
            f"after it ({time_text(one.alarm_at_s or 0)}) at the latest."
        )
    drifted = [one for one in report.newest.drift if one.p_adjusted <= SIGNIFICANT]
    if large := [one.quantity for one in drifted if one.psi > 0.25]:
        told.append(f"Far from the reference in this window (PSI above 0.25): {', '.join(large)}.")
    if small := [one.quantity for one in drifted if one.psi <= 0.25]:
        told.append(f"Somewhat off the reference in this window: {', '.join(small)}.")
    return told or ["Nothing in this window tells it from the reference."]


def tables(report: "MonitorReport") -> list[Table]:
    """Return the tables of a report."""
    return [
        _windows(report),
        _drift(report),
        _evidence(report),
        *_performance(report.newest),
    ]


def _windows(report: "MonitorReport") -> Table:
    rows = []
    for one in report.windows:
        score = next((d for d in one.drift if d.quantity == "score"), None)
        rows.append(
            (
                time_text(one.since_s),
                f"{one.n:,}",
                percent(one.flagged),
                percent(one.unreadable),
                percent(one.prevalence),
                DASH if score is None else f"{score.psi:.3f}",
            )
        )
    header = ("from", "images", "called synthetic", "unreadable", "estimated synthetic", "PSI")
    note = (
        "with 95 % intervals; the estimate by EM, if each class looks as it did; PSI of the score"
    )
    return Table("Windows", note, header, tuple(rows))


def _drift(report: "MonitorReport") -> Table:
    rows = tuple(
        (
            one.quantity,
            f"{one.n:,}",
            one.test,
            f"{one.p_adjusted:.2g}",
            f"{one.psi:.3f}",
            f"{one.jensen_shannon:.3f}",
            number(one.wasserstein, ".2f"),
            f"{number(one.median, '.4g')} ({number(one.reference_median, '.4g')})",
        )
        for one in sorted(report.newest.drift, key=lambda one: -one.psi)
    )
    header = ("quantity", "n", "test", "p adjusted", "PSI", "JS", "W", "median (reference)")
    note = (
        "p by Benjamini and Hochberg over all tests of the report; PSI above 0.1 is worth a look, "
        "above 0.25 a change; JS: Jensen-Shannon distance; W: Wasserstein distance in standard "
        "deviations of the reference"
    )
    return Table("Drift of the newest window", note, header, rows)


def _evidence(report: "MonitorReport") -> Table:
    rows = tuple(
        (
            one.quantity,
            f"{one.n:,}",
            f"{one.log10_evidence:.1f}",
            f"{one.log10_peak:.1f}",
            f"{one.log10_limit:.1f}",
            DASH if one.alarm_n is None else f"image {one.alarm_n:,}",
        )
        for one in report.evidence
    )
    header = ("quantity", "images since", "evidence", "highest", "limit", "alarm")
    note = (
        "powers of ten; if nothing changes, any of them ever reaches its limit with at most the "
        "probability that was set, however long the stream"
    )
    return Table("Evidence of change since the reference was set", note, header, rows)


def _performance(window: "WindowReport") -> list[Table]:
    header = ("figure", "value", "images")
    found = []
    if window.labelled is not None:
        one = window.labelled
        counted: list[tuple[str, Estimate]] = [
            ("accuracy", one.accuracy),
            ("precision of alarms", one.precision),
            ("synthetic images found", one.recall),
            ("real images flagged", one.false_positive_rate),
        ]
        note = (
            f"{one.n:,} labels, {one.n_flagged:,} of them of images called synthetic; "
            "Clopper-Pearson intervals, 95 %"
        )
        found.append(Table("By labels", note, header, _figures(counted)))
        note = (
            "the same labels weighted to all images, if the labelled ones are a fair sample of "
            "those called synthetic and of the others"
        )
        weighted = _rates(one.weighted)
        found.append(Table("By labels, for all images", note, header, _figures(weighted)))
    if window.expected is not None:
        note = (
            "what calibrated probabilities imply at the estimated share of synthetic images; blind "
            "to generators that look real to the detector"
        )
        rows = _rates(window.expected)
        found.append(Table("By probabilities alone", note, header, _figures(rows)))
    return found


def _rates(one: Performance) -> list[tuple[str, Estimate]]:
    return [
        ("accuracy", one.accuracy),
        ("precision of alarms", one.precision),
        ("synthetic images found", one.recall),
        ("real images flagged", one.false_positive_rate),
        ("share of synthetic images", one.prevalence),
    ]


def _figures(rows: Sequence[tuple[str, Estimate]]) -> tuple[tuple[str, ...], ...]:
    return tuple((name, percent(one), f"{one.n:,}") for name, one in rows)


def percent(one: Estimate | None) -> str:
    """Return a share and its interval in percent; a dash where it is not known."""
    if one is None or np.isnan(one.value):
        return DASH
    return f"{100 * one.value:.2f} % [{100 * one.low:.2f}, {100 * one.high:.2f}]"


def number(value: float, spec: str) -> str:
    """Return a number, or a dash for NaN."""
    return DASH if np.isnan(value) else f"{value:{spec}}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
