"""What happened in a window, against the reference; and a report over several windows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from synthdetect.ensemble.checks import Floats
from synthdetect.evaluation.interval import Estimate, Rate, json_ready, rate
from synthdetect.monitoring.drift import Drift, adjusted, drifts
from synthdetect.monitoring.events import DECISIONS, UNREADABLE, Events
from synthdetect.monitoring.performance import (
    Labelled,
    Performance,
    expected,
    labelled,
    prevalence_of,
)
from synthdetect.monitoring.quantities import SCORE, Reference, format_counts, quantities
from synthdetect.monitoring.streams import StreamStatus
from synthdetect.monitoring.windows import Window

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_N_BINS = 40
_IN_SD = 4.0


@dataclass(frozen=True)
class Histogram:
    """Shares of a quantity's values in bins, in the window and in the reference.

    Parameters
    ----------
    edges : ndarray of shape (bins + 1,), float64
        Values beyond the ends count in the outer bins.
    window, reference : ndarray of shape (bins,), float64
    """

    edges: Floats
    window: Floats
    reference: Floats


@dataclass(frozen=True)
class WindowReport:
    """One window.

    Parameters
    ----------
    since_s, until_s : float
        Seconds since 1970, UTC.
    n : int
        Images recorded, those that could not be read included.
    unreadable : Rate
        Share of these that could not be read.
    flagged, uncertain : Rate
        Shares of the readable images that were called synthetic, or neither.
    prevalence : Estimate or None
        Estimated share of synthetic images; None without readable images.
    expected : Performance or None
        Rates by the probabilities alone.
    labelled : Labelled or None
        Rates by the labels; None without any.
    drift : tuple of Drift
    score_quantiles : tuple of float
        Of the logit of P(synthetic), at `QUANTILES`; empty without readable images.
    """

    since_s: float
    until_s: float
    n: int
    unreadable: Rate
    flagged: Rate
    uncertain: Rate
    prevalence: Estimate | None
    expected: Performance | None
    labelled: Labelled | None
    drift: tuple[Drift, ...]
    score_quantiles: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        described = {name: json_ready(value) for name, value in vars(self).items()}
        described["drift"] = [one.to_dict() for one in self.drift]
        for name in ("expected", "labelled"):
            value = getattr(self, name)
            described[name] = value and value.to_dict()
        return described


@dataclass(frozen=True)
class MonitorReport:
    """What `Monitor.report` gives; print it, or see `to_html` and `to_json`.

    Parameters
    ----------
    window : Window
    windows : tuple of WindowReport
        Oldest first; the last is the one that drift and pictures speak of.
    evidence : tuple of StreamStatus
        The sequential tests, over all images since the reference was set.
    reference : Reference
    histograms : mapping of str to Histogram
        Of the newest window.
    tags : mapping of str to str
        Only images with these were looked at; the sequential tests look at all.
    """

    window: Window
    windows: tuple[WindowReport, ...]
    evidence: tuple[StreamStatus, ...]
    reference: Reference
    histograms: Mapping[str, Histogram]
    tags: Mapping[str, str]

    @property
    def newest(self) -> WindowReport:
        """The last window."""
        return self.windows[-1]

    @property
    def alarms(self) -> tuple[StreamStatus, ...]:
        """The sequential tests that have raised their alarm."""
        return tuple(one for one in self.evidence if one.alarm_n is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return {
            "window": str(self.window),
            "windows": [one.to_dict() for one in self.windows],
            "evidence": [one.to_dict() for one in self.evidence],
            "reference": {"n": self.reference.n, "flagged": json_ready(self.reference.flagged)},
            "tags": dict(self.tags),
        }

    def to_json(self, path: Any = None) -> str:
        """Return the report as JSON, and write it to `path` if one is given."""
        from synthdetect.evaluation.files import write_whole

        return write_whole(path, json.dumps(self.to_dict(), indent=2) + "\n")

    def to_html(self, path: Any = None, *, title: str = "") -> str:
        """Return the report as one HTML page, and write it to `path` if one is given.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        OSError
            If the file cannot be written.
        """
        from synthdetect.evaluation.files import write_whole
        from synthdetect.monitoring.html import as_html

        return write_whole(path, as_html(self, title=title))

    def __str__(self) -> str:
        from synthdetect.monitoring.text import as_text

        return as_text(self)


def window_report(
    events: Events,
    *,
    since_s: float,
    until_s: float,
    members: Sequence[str],
    reference: Reference,
    training: float,
) -> tuple[WindowReport, dict[str, Histogram]]:
    """Measure one window; p-values of its drift are not yet adjusted.

    Parameters
    ----------
    events : Events
    since_s, until_s : float
    members : sequence of str
    reference : Reference
    training : float
        Share of synthetic images that probabilities were calibrated for.
    """
    good = events.readable
    values = quantities(good, members)
    n_good = len(good)
    shares = {
        name: rate(int(np.count_nonzero(good.decision == DECISIONS.index(name))), n_good)
        for name in ("synthetic", "uncertain")
    }
    prevalence = prevalence_of(good, training=training) if n_good else None
    report = WindowReport(
        since_s=since_s,
        until_s=until_s,
        n=len(events),
        unreadable=rate(
            int(np.count_nonzero(events.decision == DECISIONS.index(UNREADABLE))), len(events)
        ),
        flagged=shares["synthetic"],
        uncertain=shares["uncertain"],
        prevalence=prevalence,
        expected=None
        if prevalence is None
        else expected(good, training=training, prevalence=prevalence),
        labelled=labelled(good) if n_good else None,
        drift=drifts(values, format_counts(good), reference.samples, reference.formats),
        score_quantiles=tuple(np.quantile(values[SCORE], QUANTILES).tolist()) if n_good else (),
    )
    return report, {
        name: _histogram(values[name], sample) for name, sample in reference.samples.items()
    }


def with_adjusted(windows: Sequence[WindowReport]) -> tuple[WindowReport, ...]:
    """Adjust the p-values of all windows together."""
    drift = adjusted([one.drift for one in windows])
    return tuple(replace(one, drift=found) for one, found in zip(windows, drift, strict=True))


def _histogram(values: Floats, reference: Floats) -> Histogram:
    known = values[np.isfinite(values)]
    # A few wild values must not squeeze all others into one bin.
    middle, spread = float(np.median(reference)), float(np.std(reference)) or 1.0
    low, high = middle - _IN_SD * spread, middle + _IN_SD * spread
    edges = np.linspace(low, high, _N_BINS + 1)
    shares = [
        np.histogram(np.clip(x, low, high), edges)[0] / max(1, len(x)) for x in (known, reference)
    ]
    return Histogram(edges, *shares)
