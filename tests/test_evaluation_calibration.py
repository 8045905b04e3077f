"""Calibration errors without the bias of noise, reliability bands, parts of the Brier score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss

from synthdetect.evaluation.calibration import (
    Bins,
    brier_parts,
    calibration_errors,
    design_effect,
    reliability,
)
from synthdetect.evaluation.metrics import expected_calibration_error


def drawn(n, seed, temperature=1.0):
    """Labels and probabilities that are too certain by a temperature."""
    rng = np.random.default_rng(seed)
    p = expit(rng.normal(0, 3, n))
    return (rng.random(n) < expit(logit(p) / temperature)).astype(int), p


def errors(y, p, **options):
    return calibration_errors(y, p, rng=np.random.default_rng(0), **options)


def test_calibrated_probabilities_have_an_interval_from_0_and_less_than_the_plain_error():
    y, p = drawn(1000, 3)
    expected, maximum = errors(y, p)
    assert expected.low == maximum.low == 0
    assert expected.value < expected_calibration_error(y, p)


def test_probabilities_that_are_too_certain_are_found_out():
    y, p = drawn(1000, 1, temperature=2.5)
    expected, maximum = errors(y, p)
    assert 0.05 < expected.low < expected.value < expected.high
    assert maximum.value > expected.value


@settings(max_examples=15)
@given(seed=st.integers(0, 999), n=st.integers(1, 60), decimals=st.integers(0, 3))
def test_values_lie_in_their_intervals_and_these_in_0_to_1(seed, n, decimals):
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, 2, n), rng.random(n).round(decimals)
    for one in errors(y, p):
        assert 0 <= one.low <= one.value <= one.high <= 1 + 1e-9
        assert one.n == n


@pytest.mark.parametrize("confidence", [0.05, 0.3])
def test_an_interval_of_low_confidence_still_holds_its_value(confidence):
    for one in errors(*drawn(100, 2), confidence=confidence):
        assert one.low <= one.value <= one.high


def test_certain_and_right_is_not_proved_to_be_calibrated_by_few_images():
    for one in errors(np.zeros(20, dtype=int), np.zeros(20)):
        assert one.low == one.value == 0
        assert one.high > 0.1


def test_copies_of_images_in_clusters_prove_no_more():
    y, p = drawn(200, 0, temperature=1.5)
    copies = np.repeat(np.arange(200), 5)
    alone, _ = errors(y[copies], p[copies])
    together, _ = errors(y[copies], p[copies], cluster=copies)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert design_effect(y[copies] - p[copies], copies) == pytest.approx(5, rel=0.02)


def test_simulated_shares_have_the_mean_and_the_variance_of_the_bins():
    y, p = drawn(800, 0)
    bins = Bins.of(y, p, 10)
    shares = bins.simulated(bins.p, 1.0, 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(shares.mean(axis=0), bins.p, atol=3e-3)
    np.testing.assert_allclose(shares.var(axis=0), bins.variance, rtol=0.06)


def test_about_95_of_100_calibrated_bins_are_inside_their_bands():
    inside = []
    for seed in range(60):
        y, p = drawn(500, seed)
        curve = reliability(y, p, rng=np.random.default_rng(seed))
        inside.append((curve.low <= curve.share) & (curve.share <= curve.high))
    assert 0.93 < np.mean(inside) < 0.99


def test_the_curve_has_every_image_once():
    y, p = drawn(503, 0)
    curve = reliability(y, p, rng=np.random.default_rng(0))
    assert curve.n.sum() == 503
    assert curve.n @ curve.share == pytest.approx(y.sum())


@settings(max_examples=20)
@given(seed=st.integers(0, 999), n=st.integers(2, 40), decimals=st.integers(1, 3))
def test_the_parts_add_up_to_the_brier_score(seed, n, decimals):
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, 2, n), rng.random(n).round(decimals)
    got = brier_parts(y, p)
    total = got.miscalibration.value - got.discrimination.value + got.uncertainty.value
    assert total == pytest.approx(brier_score_loss(y, p))
    assert got.miscalibration.value >= -1e-12
    assert got.discrimination.value >= -1e-12


def test_miscalibration_grows_with_the_temperature_that_is_missing():
    right, wrong = (brier_parts(*drawn(800, 0, temperature=t)).miscalibration for t in (1, 3))
    assert right.value < wrong.value / 5


def test_noise_alone_makes_the_parts_larger_than_they_are():
    # Calibrated: the true miscalibration is 0, and the true discrimination is the variance of p.
    found = [brier_parts(*drawn(400, seed)) for seed in range(50)]
    p = expit(np.random.default_rng(0).normal(0, 3, 400_000))
    assert min(one.miscalibration.value for one in found) > 0
    assert np.mean([one.discrimination.value for one in found]) > p.var()
