"""A report as Prometheus metrics."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from synthdetect.evaluation.interval import Estimate
from synthdetect.optional import require

if TYPE_CHECKING:
    from synthdetect.monitoring.monitor import Monitor


class MonitorCollector:
    """What Prometheus collects of a monitor: a report is made whenever it asks.

    Parameters
    ----------
    monitor : Monitor
    window : str, default="1h"
        As for `Monitor.report`.

    Raises
    ------
    MissingExtraError
        If prometheus-client is not installed.
    """

    def __init__(self, monitor: "Monitor", *, window: Any = "1h") -> None:
        self._core = require("prometheus_client.core", extra="prometheus")
        self._monitor, self._window = monitor, window

    def collect(self) -> Iterator[Any]:
        """Yield metric families, as prometheus-client asks for them."""
        report = self._monitor.report(window=self._window)
        newest = report.newest
        yield self._gauge("window_images", "Images recorded in the window.", newest.n)
        shares: dict[str, tuple[str, Estimate | None]] = {
            "flagged_share": ("Share of readable images called synthetic.", newest.flagged),
            "uncertain_share": ("Share of readable images in the band.", newest.uncertain),
            "unreadable_share": ("Share of images that could not be read.", newest.unreadable),
            "prevalence": ("Estimated share of synthetic images.", newest.prevalence),
        }
        if newest.expected is not None:
            told = "Share of alarms expected to be right, by the probabilities."
            shares["expected_precision"] = (told, newest.expected.precision)
        if newest.labelled is not None:
            told = "Share of labelled alarms that are right."
            shares["labelled_precision"] = (told, newest.labelled.precision)
        for name, (told, figure) in shares.items():
            if figure is not None:
                yield self._gauge(name, told, figure.value)
        drift = {one.quantity: one for one in newest.drift}
        yield self._by_quantity(
            "drift_psi",
            "Population stability index against the reference.",
            {name: one.psi for name, one in drift.items()},
        )
        yield self._by_quantity(
            "drift_p_adjusted",
            "P-value of no drift, adjusted for the number of tests.",
            {name: one.p_adjusted for name, one in drift.items()},
        )
        yield self._by_quantity(
            "evidence_log10",
            "Evidence of change since the reference was set, power of ten.",
            {one.quantity: one.log10_evidence for one in report.evidence},
        )
        yield self._by_quantity(
            "evidence_alarm",
            "1 where the evidence has reached its limit.",
            {one.quantity: float(one.alarm_n is not None) for one in report.evidence},
        )
        yield self._gauge(
            "outbox_waiting", "Webhook messages still to be sent.", self._monitor.n_waiting
        )

    def _gauge(self, name: str, told: str, value: float) -> Any:
        family = self._core.GaugeMetricFamily(f"synthdetect_{name}", told)
        family.add_metric([], value)
        return family

    def _by_quantity(self, name: str, told: str, values: dict[str, float]) -> Any:
        family = self._core.GaugeMetricFamily(f"synthdetect_{name}", told, labels=["quantity"])
        for quantity, value in values.items():
            family.add_metric([quantity], value)
        return family


def metrics_text(monitor: "Monitor", *, window: Any = "1h") -> str:
    """Return the metrics in Prometheus' text format.

    Parameters
    ----------
    monitor : Monitor
    window : as for `Monitor.report`

    Raises
    ------
    MissingExtraError
        If prometheus-client is not installed.
    """
    client = require("prometheus_client", extra="prometheus")
    registry = client.CollectorRegistry()
    registry.register(MonitorCollector(monitor, window=window))
    return str(client.generate_latest(registry).decode("utf-8"))
