"""Intervals of rates of clustered images, and of functions of rates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthdetect.evaluation.interval import (
    Estimate,
    clustered_variance,
    effective_n,
    json_ready,
    logit_interval,
    rate,
    rate_of,
    square_and_add,
    without_interval,
)

events = st.lists(st.booleans(), min_size=1, max_size=60).map(np.array)


@settings(max_examples=40)
@given(drawn=events)
def test_without_clusters_a_rate_is_clopper_and_pearsons(drawn):
    assert rate_of(drawn) == rate(int(drawn.sum()), len(drawn))


@settings(max_examples=40)
@given(drawn=events, seed=st.integers(0, 99))
def test_clusters_never_add_information(drawn, seed):
    cluster = np.random.default_rng(seed).integers(0, 5, len(drawn))
    clustered = rate_of(drawn, cluster)
    assert 1 <= effective_n(drawn, cluster) <= len(drawn)
    assert 0 <= clustered.low <= clustered.value <= clustered.high <= 1
    assert clustered.n == len(drawn)


def test_images_that_always_agree_count_as_one():
    drawn = np.repeat([True, False], [400, 100])
    copies = rate_of(np.repeat(drawn, 10), np.repeat(np.arange(500), 10))
    once = rate_of(drawn)
    assert copies.value == once.value
    assert (copies.low, copies.high) == pytest.approx((once.low, once.high), abs=2e-3)


def test_a_perfect_rate_of_few_clusters_stays_uncertain():
    perfect = rate_of(np.ones(1000, dtype=bool), np.arange(1000) % 10)
    assert (perfect.low, perfect.high) == pytest.approx((rate(10, 10).low, 1.0))


@pytest.mark.parametrize("n_events", [1, 2, 3, 5, 6])
def test_clusters_that_are_all_alike_count_as_one_image_each(n_events):
    alike = np.tile(np.arange(7) < n_events, 30)
    assert effective_n(alike, np.repeat(np.arange(30), 7)) == 30


def test_the_variance_of_clusters_of_one_is_that_of_a_mean():
    values = np.random.default_rng(0).normal(size=200)
    influence = (values - values.mean()) / len(values)
    wanted = np.var(values, ddof=1) / len(values)
    assert clustered_variance(influence, None) == pytest.approx(wanted)
    assert clustered_variance(influence, np.arange(200)) == pytest.approx(wanted)


def test_a_difference_of_rates_is_newcombes_with_exact_limits():
    a, b = rate(9, 10), rate(5, 10)
    got = square_and_add(lambda x, y: x - y, [a, b], n=20, bounds=(-1.0, 1.0))
    assert got.low == pytest.approx(0.4 - np.hypot(0.9 - a.low, b.high - 0.5))
    assert got.high == pytest.approx(0.4 + np.hypot(a.high - 0.9, 0.5 - b.low))


def test_a_function_of_perfect_rates_has_no_empty_interval():
    got = square_and_add(lambda a, b: (a + b) / 2, [rate(50, 50), rate(50, 50)], n=100)
    assert got.value == got.high == 1
    assert 0.93 < got.low < 0.97


def test_what_is_not_defined_has_the_whole_range():
    got = square_and_add(lambda a: a, [rate(0, 0)], n=0, bounds=(-1.0, 1.0))
    assert np.isnan(got.value)
    assert (got.low, got.high) == (-1.0, 1.0)


def test_a_function_that_breaks_at_an_end_reaches_its_bound():
    got = square_and_add(lambda a: a if a < 0.99 else np.nan, [rate(9, 10)], n=10)
    assert (got.low, got.high) == (0.0, 1.0)


@pytest.mark.parametrize("variance", [0.0, 1e-34])
def test_a_variance_of_nothing_is_the_largest_one_instead(variance):
    got = logit_interval(0.5, variance, 20, 40, 0.95)
    assert got.low < 0.35
    assert got.high > 0.65


def test_a_figure_without_an_interval_reads_as_its_value():
    assert str(without_interval(0.25, 4)) == "0.250"
    assert f"{without_interval(0.25, 4):.0%}" == "25%"


def test_json_has_lists_and_no_nan():
    value = {"a": (Estimate(float("nan"), 0.0, np.inf, 3),), "b": np.array([1.0, np.nan])}
    assert json_ready(value) == {
        "a": [{"value": None, "low": 0.0, "high": None, "n": 3}],
        "b": [1.0, None],
    }
