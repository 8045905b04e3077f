"""Drift of a window: tests and distances against what they are known to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, kstest

from synthdetect.monitoring.drift import (
    adjusted,
    drifts,
    format_drift,
    number_drift,
    stability_index,
)


def normal(n, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, n)


def test_without_change_p_values_are_uniform():
    pairs = [(normal(400, i), np.sort(normal(400, 1000 + i))) for i in range(150)]
    p = [number_drift("x", *pair).p_value for pair in pairs]
    assert kstest(p, "uniform").pvalue > 1e-3


def test_a_shift_by_half_a_standard_deviation_is_told_by_every_distance():
    one = number_drift("x", normal(5000, 1, 0.5), np.sort(normal(5000, 2)))
    assert one.p_value < 1e-10
    assert one.wasserstein == pytest.approx(0.5, abs=0.06)
    assert one.statistic == pytest.approx(0.197, abs=0.03)  # 2 Phi(1/4) - 1
    assert 0.2 < one.psi < 0.3
    assert one.median - one.reference_median == pytest.approx(0.5, abs=0.08)


def test_psi_is_its_formula():
    p, q = np.array([10.5, 30.5]) / 41, np.array([20.5, 20.5]) / 41
    assert stability_index([10, 30], [20, 20]) == pytest.approx(np.sum((p - q) * np.log(p / q)))


@given(st.lists(st.integers(0, 1000), min_size=3, max_size=3), st.integers(1, 50))
def test_psi_is_never_negative_and_zero_for_equal_counts(counts, factor):
    assert stability_index(counts, counts) == pytest.approx(0)
    assert stability_index(counts, [factor, 1, 2]) >= 0


def test_values_that_are_all_the_same_can_be_compared():
    same = number_drift("x", np.full(100, 3.0), np.full(100, 3.0))
    assert (same.p_value, same.psi, same.wasserstein) == (1, pytest.approx(0), 0)
    other = number_drift("x", np.full(100, 4.0), np.full(100, 3.0))
    assert other.p_value < 1e-10


def test_formats_by_chi_square():
    assert format_drift({"JPEG": 100}, {"JPEG": 50}).p_value == 1
    same = format_drift({"JPEG": 90, "PNG": 10}, {"JPEG": 900, "PNG": 100})
    assert same.statistic == pytest.approx(0)
    new = format_drift({"JPEG": 60, "WEBP": 40}, {"JPEG": 1000})
    assert new.p_value < 1e-10
    assert new.psi > 0.25
    assert format_drift({}, {"JPEG": 10}) is None


def test_adjustment_is_over_all_windows():
    windows = [
        drifts({"x": normal(100, i, i / 10)}, {}, {"x": np.sort(normal(500, 9))}, {})
        for i in range(4)
    ]
    expected = false_discovery_control([one.p_value for window in windows for one in window])
    found = [one.p_adjusted for window in adjusted(windows) for one in window]
    np.testing.assert_allclose(found, expected)


def test_few_values_and_missing_ones_are_left_out():
    values = np.r_[np.full(1000, np.nan), normal(49, 1)]
    assert drifts({"x": values}, {"JPEG": 10}, {"x": np.sort(normal(100, 2))}, {"JPEG": 9}) == ()
    assert adjusted([(), ()]) == [(), ()]


def test_windows_without_change_are_rarely_called_drifted():
    reference = {f"q{k}": np.sort(normal(5000, 100 + k)) for k in range(8)}
    n_windows = 40
    windows = [
        drifts(
            {name: normal(1000, 10_000 + 100 * i + k) for k, name in enumerate(reference)},
            {},
            reference,
            {},
        )
        for i in range(n_windows)
    ]
    called = sum(one.p_adjusted <= 0.01 for window in adjusted(windows) for one in window)
    assert called <= 3
