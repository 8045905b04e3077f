"""Calibrators of one or a few numbers, learned."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from synthdetect.ensemble import scaling
from synthdetect.ensemble.calibrate import Beta
from synthdetect.ensemble.scaling import BetaCalibration, PlattScaling, TemperatureScaling
from synthdetect.errors import DataError


def calibrated_data(n, temperature, seed):
    """Logits that are `temperature` times too large, and labels drawn from the true ones."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, n)
    return logit * temperature, (rng.random(n) < expit(logit)).astype(int)


def smoothed_log_loss(logit, y, temperature):
    n_synthetic = y.sum()
    target = np.where(y == 1, (n_synthetic + 1) / (n_synthetic + 2), 1 / (len(y) - n_synthetic + 2))
    z = logit / temperature
    return np.mean(target * np.logaddexp(0, -z) + (1 - target) * np.logaddexp(0, z))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 3.0, 20.0])
def test_recovers_the_temperature_of_the_data(temperature):
    learned = TemperatureScaling().fit(*calibrated_data(40_000, temperature, 0)).temperature
    assert learned == pytest.approx(temperature, rel=0.03)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(5, 200), temperature=st.floats(0.05, 20))
def test_no_other_temperature_has_a_lower_loss(seed, n, temperature):
    logit, y = calibrated_data(n, temperature, seed)
    y[:2] = [0, 1]
    learned = TemperatureScaling().fit(logit, y).temperature
    assert 1 / 50 <= learned <= 50
    others = np.geomspace(1 / 50, 50, 300)
    best = min(smoothed_log_loss(logit, y, other) for other in others)
    assert smoothed_log_loss(logit, y, learned) <= best + 1e-12


def test_calibration_lowers_the_log_loss_of_overconfident_logits():
    from sklearn.metrics import log_loss

    logit, y = calibrated_data(5000, 6.0, 1)
    new_logit, new_y = calibrated_data(5000, 6.0, 2)
    calibrator = TemperatureScaling().fit(logit, y)
    assert log_loss(new_y, calibrator(new_logit)) < log_loss(new_y, expit(new_logit)) - 0.3


def test_few_separable_images_do_not_give_the_lowest_temperature():
    calibrator = TemperatureScaling().fit([-2.0, -2.0, 2.0, 2.0], [0, 0, 1, 1])
    np.testing.assert_allclose(calibrator([-2.0, 2.0]), [1 / 4, 3 / 4], rtol=1e-9)


@pytest.mark.parametrize(
    ("logit", "y", "temperature"),
    [
        ([1.0, -1.0, 2.0, -2.0], [0, 1, 0, 1], 50.0),
        ([0.0, 0.0], [0, 1], 50.0),
        (np.repeat([-1e-3, 1e-3], 5000), np.repeat([0, 1], 5000), 1 / 50),
    ],
)
def test_temperature_stops_at_its_bounds(logit, y, temperature):
    assert TemperatureScaling().fit(logit, y).temperature == temperature


def test_learning_twice_gives_the_same_bits():
    logit, y = calibrated_data(500, 2.0, 3)
    assert TemperatureScaling().fit(logit, y) == TemperatureScaling().fit(logit, y)


def test_huge_logits_neither_warn_nor_break():
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        learned = TemperatureScaling().fit([-1e6, 1e6, 1e6, -1e6], [0, 1, 0, 1]).temperature
    assert learned == 50.0


@pytest.mark.parametrize(
    ("logit", "y", "message"),
    [
        ([0.0, np.nan, np.nan], [0, 1, 1], "logit of row 1 is NaN .* 2 such row"),
        ([0.0, 1.0], [1, 1], "one class only"),
        ([[0.0], [1.0]], [0, 1], r"logit has shape \(2, 1\)"),
    ],
)
def test_temperature_scaling_refuses_by_name(logit, y, message):
    with pytest.raises(DataError, match=message):
        TemperatureScaling().fit(logit, y)


def test_platt_scaling_is_what_scikit_learn_learns():
    from sklearn.calibration import _SigmoidCalibration

    logit, y = calibrated_data(2000, 3.0, 4)
    theirs = _SigmoidCalibration().fit(logit, y)
    learned = PlattScaling().fit(logit, y)
    assert learned.slope == pytest.approx(-theirs.a_, rel=1e-3)
    assert learned.bias == pytest.approx(-theirs.b_, abs=1e-3)


@pytest.mark.parametrize(("slope", "bias"), [(0.2, -2.0), (1.0, 3.0), (5.0, 0.5)])
def test_platt_scaling_recovers_a_line(slope, bias):
    rng = np.random.default_rng(5)
    z = rng.normal(0, 2, 40_000)
    learned = PlattScaling().fit((z - bias) / slope, (rng.random(len(z)) < expit(z)).astype(int))
    assert learned.slope == pytest.approx(slope, rel=0.05)
    assert learned.bias == pytest.approx(bias, abs=0.1)


@pytest.mark.parametrize("true", [Beta(2.0, 0.5, 1.0), Beta(0.3, 1.5, -0.5)])
def test_beta_calibration_recovers_what_bends(true):
    rng = np.random.default_rng(6)
    logit = rng.normal(0, 2, 40_000)
    y = (rng.random(len(logit)) < true(logit)).astype(int)
    learned = BetaCalibration().fit(logit, y)
    np.testing.assert_allclose(learned(logit), true(logit), atol=0.03)


@pytest.mark.parametrize("learner", [PlattScaling(), BetaCalibration()])
def test_logits_that_are_worse_than_chance_give_a_flat_map_at_the_share(learner):
    logit, y = calibrated_data(2000, 1.0, 7)
    p = learner.fit(-logit, y)([-3.0, 0.0, 3.0])
    np.testing.assert_allclose(p, y.mean(), atol=2e-3)


@pytest.mark.parametrize("learner", [PlattScaling(), BetaCalibration()])
@pytest.mark.parametrize("logit", [0.0, 5.0, -30.0])
def test_logits_that_are_all_equal_give_a_flat_map_at_the_share(learner, logit):
    learned = learner.fit([logit] * 90, [0, 1, 1] * 30)
    p = learned([-3.0, 0.0, logit, 3.0])
    np.testing.assert_array_equal(p, p[0])
    assert p[0] == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize("learner", [PlattScaling(), BetaCalibration()])
@pytest.mark.parametrize(
    ("logit", "y"),
    [
        ([-2.0, -2.0, 2.0, 2.0], [0, 0, 1, 1]),
        ([0.0, 0.0], [0, 1]),
        ([-1e6, 1e6, 1e6], [0, 1, 0]),
        ([-1e-6, 1e-6, 1e-6], [0, 1, 1]),
    ],
    ids=["separable", "zero", "huge", "tiny"],
)
def test_odd_logits_still_give_a_map_inside_the_bounds(learner, logit, y):
    p = learner.fit(logit, y)(logit)
    assert ((p > 0) & (p < 1)).all()
    assert p[0] <= p[1]


def test_docstring_examples_run():
    assert doctest.testmod(scaling).failed == 0
