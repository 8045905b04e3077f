"""Figures of decisions are scikit-learn's, and the study's own."""

import doctest

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
)

from synthdetect.evaluation import decisions
from synthdetect.evaluation.decisions import decision_figures, predictive_values
from synthdetect.evaluation.interval import Estimate, rate

rows = st.lists(st.tuples(st.integers(0, 1), st.booleans()), min_size=2, max_size=50)


@settings(max_examples=80)
@given(drawn=rows)
def test_every_figure_is_scikit_learns(drawn):
    y, called = (np.array(column) for column in zip(*drawn, strict=True))
    assume(0 < y.sum() < len(y))
    got = decision_figures(y, called)
    np.testing.assert_array_equal(got.confusion, confusion_matrix(y, called))
    assert got.accuracy.value == pytest.approx(accuracy_score(y, called))
    assert got.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(y, called))
    assert got.matthews.value == pytest.approx(matthews_corrcoef(y, called), abs=1e-9)
    precision, recall, _, support = precision_recall_fscore_support(
        y, called, labels=[0, 1], zero_division=np.nan
    )
    f1 = f1_score(y, called, labels=[0, 1], average=None, zero_division=0)
    for i, one in enumerate((got.real, got.synthetic)):
        assert one.precision.value == pytest.approx(precision[i], nan_ok=True)
        assert one.recall.value == pytest.approx(recall[i])
        assert one.f1.value == pytest.approx(f1[i])
        assert one.support == support[i]


@settings(max_examples=80)
@given(drawn=rows, label=st.sampled_from([0, 1, None]))
def test_f1_is_scikit_learns_with_one_class_too(drawn, label):
    y, called = (np.array(column) for column in zip(*drawn, strict=True))
    y = y if label is None else np.full(len(y), label)
    got = decision_figures(y, called)
    wanted = f1_score(y, called, labels=[0, 1], average=None, zero_division=np.nan)
    assert [got.real.f1.value, got.synthetic.f1.value] == pytest.approx(wanted, nan_ok=True)


@settings(max_examples=80)
@given(drawn=rows)
def test_every_interval_holds_its_value(drawn):
    y, called = (np.array(column) for column in zip(*drawn, strict=True))
    got = decision_figures(y, called)
    figures = [*vars(got).values(), *vars(got.real).values(), *vars(got.synthetic).values()]
    for one in figures:
        if isinstance(one, Estimate) and not np.isnan(one.value):
            assert one.low - 1e-9 <= one.value <= one.high + 1e-9
            assert one.low < one.high


def study():
    """4 errors among 1,638 images."""
    y = np.repeat([0, 1], [819, 819])
    called = y == 1
    called[[0, 1, 819, 820]] ^= True
    return decision_figures(y, called)


def test_the_combined_error_rate_of_the_study_is_reproduced():
    got = study()
    assert f"{got.error.value:.2%}" == "0.24%"
    assert f"{got.accuracy.low:.2%} to {got.accuracy.high:.2%}" == "99.38% to 99.93%"
    assert got.accuracy.n == 1638


def test_the_sum_of_the_rates_is_another_figure():
    got = study()
    assert got.sum_of_error_rates.value == pytest.approx(4 / 819)
    assert got.sum_of_error_rates.value == pytest.approx(
        got.false_positive_rate.value + got.false_negative_rate.value
    )


def test_rare_synthetic_images_make_most_alarms_false():
    values = predictive_values(rate(950, 1000), rate(50, 1000), 0.01)
    assert f"{values.synthetic.value:.0%}" == "16%"
    assert values.synthetic.low < 0.15 < 0.17 < values.synthetic.high
    assert values.real.value > 0.999


def test_at_the_share_of_the_data_the_predictive_value_is_the_precision():
    got = study()
    values = predictive_values(got.synthetic.recall, got.false_positive_rate, 0.5)
    assert values.synthetic.value == pytest.approx(got.synthetic.precision.value)


@pytest.mark.parametrize("prevalence", [-0.1, 1.1, float("nan")])
def test_an_impossible_prevalence_is_refused(prevalence):
    with pytest.raises(ValueError, match=r"prevalence is .*use a share of images from 0 to 1"):
        predictive_values(rate(1, 2), rate(1, 2), prevalence)


def test_clusters_widen_every_rate():
    y = np.tile(np.arange(100) % 2, 5)
    called = np.tile(np.random.default_rng(0).random(100) < 0.8, 5)
    alone, together = (decision_figures(y, called, cluster=c) for c in (None, np.arange(500) % 100))
    for name in ("accuracy", "matthews", "false_positive_rate", "balanced_accuracy"):
        narrow, wide = getattr(alone, name), getattr(together, name)
        assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_examples_run():
    assert doctest.testmod(decisions).failed == 0
