"""Pictures of a report over time, each drawn on the matplotlib Axes that it is given."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from synthdetect.evaluation.displays import NEUTRAL, REAL, SYNTHETIC
from synthdetect.monitoring.report import QUANTILES

if TYPE_CHECKING:
    from synthdetect.monitoring.report import MonitorReport, WindowReport

_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
_PSI_LOOK, _PSI_CHANGE = 0.1, 0.25


def flagged(report: "MonitorReport", ax: Any) -> None:
    """Draw the shares called synthetic and estimated to be so, with their intervals."""
    for get, colour, mark, name in (
        (lambda w: w.flagged, SYNTHETIC, "o", "called synthetic"),
        (lambda w: w.prevalence, NEUTRAL, "s", "estimated share of synthetic images"),
    ):
        _with_interval(ax, report.windows, get, colour, mark, name)
    ax.axhline(
        report.reference.flagged,
        color="black",
        linestyle=":",
        label="called synthetic in the reference",
    )
    ax.set(ylabel="share of images")
    ax.set_ylim(bottom=0)
    _finish(ax)


def volume(report: "MonitorReport", ax: Any) -> None:
    """Draw how many images were recorded in each window."""
    times = _times(report.windows)
    ax.plot(times, [one.n for one in report.windows], "o-", color=REAL, label="images")
    n_bad = [one.unreadable.value * one.n if one.n else 0 for one in report.windows]
    ax.plot(times, n_bad, "s--", color=SYNTHETIC, label="unreadable")
    ax.set(ylabel="images")
    ax.set_ylim(bottom=0)
    _finish(ax)


def scores(report: "MonitorReport", ax: Any) -> None:
    """Draw quantiles of the score over time, and those of the reference."""
    known = [one for one in report.windows if one.score_quantiles]
    times = _times(known)
    values = np.array([one.score_quantiles for one in known]).reshape(len(known), len(QUANTILES)).T
    for low, high, alpha, name in ((0, 4, 0.18, "5 to 95 %"), (1, 3, 0.35, "25 to 75 %")):
        ax.fill_between(times, values[low], values[high], color=REAL, alpha=alpha, label=name)
    ax.plot(times, values[2], "o-", color=REAL, label="median")
    sample = report.reference.samples.get("score")
    if sample is not None:
        for share in (0.05, 0.5, 0.95):
            label = "reference: 5, 50 and 95 %" if share == 0.5 else None
            ax.axhline(float(np.quantile(sample, share)), color="black", linestyle=":", label=label)
    ax.set(ylabel="logit of P(synthetic)")
    _finish(ax)


def stability(report: "MonitorReport", ax: Any) -> None:
    """Draw the PSI of every quantity over time."""
    names = list(dict.fromkeys(d.quantity for one in report.windows for d in one.drift))
    for i, name in enumerate(names):
        found = [
            (one, drift.psi)
            for one in report.windows
            for drift in one.drift
            if drift.quantity == name
        ]
        times = _times([one for one, _ in found])
        mark = _MARKS[i % len(_MARKS)]
        ax.plot(times, [max(psi, 1e-3) for _, psi in found], f"{mark}-", label=name, markersize=4)
    for limit, line in ((_PSI_LOOK, ":"), (_PSI_CHANGE, "--")):
        ax.axhline(limit, color="black", linestyle=line, linewidth=1, label=f"PSI {limit}")
    ax.set(ylabel="PSI (logarithmic)", yscale="log")
    _finish(ax)


def performance(report: "MonitorReport", ax: Any) -> None:
    """Draw the precision of alarms: by labels, and expected by the probabilities alone."""
    for get, colour, mark, name in (
        (lambda w: w.labelled and w.labelled.precision, SYNTHETIC, "o", "by labels"),
        (lambda w: w.expected and w.expected.precision, NEUTRAL, "s", "by probabilities alone"),
    ):
        _with_interval(ax, report.windows, get, colour, mark, name)
    ax.set(ylabel="share of alarms that are right", ylim=(0, 1.02))
    _finish(ax)


def evidence(report: "MonitorReport", ax: Any) -> None:
    """Draw the highest evidence of each sequential test against its limit."""
    names = [one.quantity for one in report.evidence][::-1]
    places = np.arange(len(names))
    peaks = [one.log10_peak for one in report.evidence][::-1]
    over = [one.alarm_n is not None for one in report.evidence][::-1]
    colours = [SYNTHETIC if alarm else REAL for alarm in over]
    bars = ax.barh(places, peaks, color=colours, height=0.6)
    for bar, alarm in zip(bars, over, strict=True):
        bar.set_hatch("///" if alarm else "")
    if report.evidence:
        limit = report.evidence[0].log10_limit
        ax.axvline(limit, color="black", linestyle="--", label="limit: alarm")
        ax.legend()
    ax.set_yticks(places, names)
    ax.set(xlabel="highest evidence of change (power of ten)")


def histogram(report: "MonitorReport", name: str, ax: Any) -> None:
    """Draw a quantity's distribution in the newest window and in the reference."""
    one = report.histograms[name]
    ax.stairs(one.reference, one.edges, color=NEUTRAL, fill=True, alpha=0.35, label="reference")
    ax.stairs(one.window, one.edges, color=SYNTHETIC, linewidth=1.6, label="this window")
    ax.set(xlabel=name, ylabel="share of images")
    ax.legend()


def _with_interval(
    ax: Any, windows: Sequence["WindowReport"], get: Any, colour: str, mark: str, name: str
) -> None:
    known = [(one, figure) for one in windows if (figure := get(one)) is not None]
    known = [(one, figure) for one, figure in known if not np.isnan(figure.value)]
    if not known:
        return
    values = np.array([figure.value for _, figure in known])
    margins = np.abs([[f.value - f.low, f.high - f.value] for _, f in known]).T
    ax.errorbar(
        _times([one for one, _ in known]),
        values,
        yerr=margins,
        fmt=f"{mark}-",
        color=colour,
        capsize=3,
        markersize=4,
        label=name,
    )


def _times(windows: Sequence["WindowReport"]) -> list[datetime]:
    """Middles of the windows."""
    return [datetime.fromtimestamp((w.since_s + w.until_s) / 2, UTC) for w in windows]


def _finish(ax: Any) -> None:
    ax.set(xlabel="time (UTC)")
    ax.tick_params(axis="x", labelrotation=30, labelsize="small")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize="x-small")
