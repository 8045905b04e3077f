"""Prometheus metrics: valid, and equal to the report."""

import numpy as np
import pytest

from monitored import started, two_members

pytest.importorskip("prometheus_client", reason="needs the prometheus extra")

from prometheus_client.parser import text_string_to_metric_families

from synthdetect.monitoring.metrics import metrics_text


def samples(monitor):
    return {
        (sample.name, sample.labels.get("quantity")): sample.value
        for family in text_string_to_metric_families(metrics_text(monitor))
        for sample in family.samples
    }


def test_metrics_are_those_of_the_report(tmp_path):
    monitor = started(tmp_path / "m.db")
    monitor.record(two_members(1000, 0.5, 2), labels=np.arange(1000) % 2)
    newest = monitor.report(window="1h").newest
    found = samples(monitor)
    assert found["synthdetect_window_images", None] == 1000
    assert found["synthdetect_flagged_share", None] == newest.flagged.value
    assert found["synthdetect_prevalence", None] == newest.prevalence.value
    assert found["synthdetect_labelled_precision", None] == newest.labelled.precision.value
    assert found["synthdetect_evidence_alarm", "score"] == 1
    score = next(one for one in newest.drift if one.quantity == "score")
    assert found["synthdetect_drift_psi", "score"] == pytest.approx(score.psi)


def test_an_empty_store_has_metrics(tmp_path):
    assert samples(started(tmp_path / "m.db"))["synthdetect_window_images", None] == 0
