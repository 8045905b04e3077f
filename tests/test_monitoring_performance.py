"""Rates in use: counted on labels, weighted for who was labelled, and expected without labels."""

import numpy as np
import pytest

from monitored import traffic
from synthdetect.evaluation.interval import rate
from synthdetect.monitoring.events import Events
from synthdetect.monitoring.performance import expected, labelled, prevalence_of

NOTHING = np.empty(0)


def events_of(p, label=None, cut=0.5):
    n = len(p)
    return Events(
        id=np.arange(n),
        at_s=np.zeros(n),
        p=np.asarray(p, dtype=float),
        decision=(np.asarray(p) >= cut).astype(np.int16),
        logits=np.empty((n, 0)),
        facts={},
        format=np.full(n, -1, dtype=np.int16),
        formats=(),
        label=np.full(n, np.nan) if label is None else np.asarray(label, dtype=float),
    )


def truth(y, p, cut=0.5):
    flagged = p >= cut
    return {
        "accuracy": np.mean(flagged == y),
        "precision": np.mean(y[flagged]),
        "recall": np.mean(flagged[y == 1]),
        "false_positive_rate": np.mean(flagged[y == 0]),
        "prevalence": np.mean(y),
    }


def assert_near(performance, figures, tolerance):
    for name, value in figures.items():
        one = getattr(performance, name)
        assert one.value == pytest.approx(value, abs=tolerance), name
        assert one.low - tolerance / 2 <= value <= one.high + tolerance / 2, name


@pytest.mark.parametrize("prevalence", [0.02, 0.5])
def test_probabilities_alone_tell_the_rates_if_they_are_calibrated(prevalence):
    y, p = traffic(60_000, prevalence, seed=1, d=3.0)
    events = events_of(p)
    share = prevalence_of(events, training=0.5)
    assert share.low - 0.002 <= np.mean(y) <= share.high + 0.002
    assert_near(expected(events, training=0.5, prevalence=share), truth(y, p), 0.04)


def test_counts_on_labels_have_clopper_pearson_intervals():
    p = np.r_[np.full(30, 0.9), np.full(70, 0.1)]
    y = np.r_[np.ones(24), np.zeros(6), np.ones(2), np.zeros(68)]
    found = labelled(events_of(p, y))
    assert (found.n, found.n_flagged) == (100, 30)
    assert found.precision == rate(24, 30)
    assert found.recall == rate(24, 26)
    assert found.false_positive_rate == rate(6, 74)
    assert found.false_negative_rate == rate(2, 26)
    assert found.accuracy == rate(92, 100)


def test_weights_undo_that_alarms_are_labelled_more_often():
    y, p = traffic(40_000, 0.05, seed=3, d=3.0)
    rng = np.random.default_rng(0)
    known = rng.random(len(p)) < np.where(p >= 0.5, 0.8, 0.05)
    found = labelled(events_of(p, np.where(known, y, np.nan)))
    real = truth(y, p)
    assert found.false_positive_rate.low > real["false_positive_rate"]  # what was to be undone
    assert_near(found.weighted, real, 0.03)


def test_where_only_alarms_are_labelled_nothing_is_said_of_what_was_missed():
    y, p = traffic(5000, 0.05, seed=4)
    found = labelled(events_of(p, np.where(p >= 0.5, y, np.nan)))
    assert found.weighted.precision == found.precision
    assert np.isnan(found.weighted.recall.value)
    assert (found.weighted.recall.low, found.weighted.recall.high) == (0, 1)


def test_without_labels_there_is_no_figure():
    assert labelled(events_of([0.2, 0.8])) is None


def test_nothing_flagged_has_a_recall_of_none_found():
    events = events_of(np.full(100, 0.2))
    found = expected(events, training=0.5, prevalence=prevalence_of(events, training=0.5))
    assert found.recall.value == pytest.approx(0, abs=1e-9)
    assert np.isnan(found.precision.value)


def test_an_undecided_image_counts_as_not_flagged():
    events = events_of([0.9, 0.5, 0.1], [1, 1, 0], cut=0.8)
    events.decision[1] = 2  # uncertain
    found = labelled(events)
    assert found.recall.value == 0.5


def test_the_prevalence_of_many_images_is_estimated_on_some_of_them():
    p = traffic(60_000, 0.1, seed=5)[1]
    assert prevalence_of(events_of(p), training=0.5).n == 50_000
