import doctest
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from synthdetect.ensemble import prevalence
from synthdetect.ensemble.calibrate import Temperature
from synthdetect.ensemble.kinds import calibrator_from_dict
from synthdetect.ensemble.prevalence import Shifted, estimate_prevalence, shift_prevalence
from synthdetect.errors import DataError

shares = st.floats(0.01, 0.99)
probabilities = arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1))


def mixture(n, share, seed, strength=1.0):
    """Labels, and P(synthetic) that is right where half of the images are synthetic."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    return y, expit(2 * strength * rng.normal(strength * (2 * y - 1), 1.0))


@settings(deadline=None, max_examples=60)
@given(p=probabilities, training=shares, deployed=shares)
def test_shifted_probabilities_are_inside_the_open_interval_and_keep_their_order(
    p, training, deployed
):
    shifted = shift_prevalence(np.sort(p), training=training, deployed=deployed)
    assert ((shifted > 0) & (shifted < 1)).all()
    assert (np.diff(shifted) >= -1e-15).all()


@settings(deadline=None, max_examples=60)
@given(p=arrays(np.float64, 10, elements=st.floats(1e-6, 1 - 1e-6)), one=shares, other=shares)
def test_shifting_is_bayes_rule_and_can_be_undone(p, one, other):
    shifted = shift_prevalence(p, training=one, deployed=other)
    synthetic, real = p * other / one, (1 - p) * (1 - other) / (1 - one)
    np.testing.assert_allclose(shifted, synthetic / (synthetic + real), rtol=1e-9)
    again = shift_prevalence(shifted, training=other, deployed=one)
    np.testing.assert_allclose(again, p, rtol=1e-6)


def test_shifted_probabilities_are_calibrated_at_the_new_share():
    y, p = mixture(200_000, 0.05, 0)
    shifted = shift_prevalence(p, training=0.5, deployed=0.05)
    for low in (0.0, 0.1, 0.3, 0.6, 0.8):
        inside = (shifted >= low) & (shifted < low + 0.1)
        assert y[inside].mean() == pytest.approx(shifted[inside].mean(), abs=0.02)


def test_nan_stays_nan():
    shifted = shift_prevalence([np.nan, 0.5], training=0.5, deployed=0.25)
    np.testing.assert_allclose(shifted, [np.nan, 0.25])


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
def test_em_finds_the_share_of_unlabelled_images(share):
    y, p = mixture(20_000, share, 1)
    found = estimate_prevalence(p, training=0.5)
    assert found.converged
    assert found.value == pytest.approx(y.mean(), abs=0.012)
    assert found.low < found.value < found.high


def test_the_interval_covers_the_share_about_as_often_as_it_says():
    inside = []
    for seed in range(200):
        found = estimate_prevalence(mixture(500, 0.2, seed)[1], training=0.5)
        inside.append(found.low <= 0.2 <= found.high)
    assert 0.90 <= np.mean(inside) <= 0.99


@settings(deadline=None, max_examples=40)
@given(p=arrays(np.float64, st.integers(1, 30), elements=st.floats(0.001, 0.999)), share=shares)
def test_no_other_share_has_a_higher_likelihood(p, share):
    found = estimate_prevalence(p, training=share)

    def likelihood(value):
        return np.log(value * p / share + (1 - value) * (1 - p) / (1 - share)).sum()

    best = max(likelihood(value) for value in np.linspace(0, 1, 101))
    assert likelihood(found.value) >= best - 0.01
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize(
    ("p", "value"), [([0.0, 0.0], 0.0), ([1.0, 1.0], 1.0), ([0.0, 1.0], 0.5), ([0.5] * 9, 1.0)]
)
def test_degenerate_probabilities_are_defined(p, value):
    found = estimate_prevalence(p, training=0.3)
    assert found.value == pytest.approx(value, abs=1e-6)
    assert 0 <= found.low <= found.high <= 1


def test_probabilities_that_say_nothing_leave_the_whole_range():
    found = estimate_prevalence([0.3] * 50, training=0.3)
    assert (found.low, found.high) == (0.0, 1.0)


def test_em_that_stops_at_its_limit_says_so():
    found = estimate_prevalence(mixture(100, 0.1, 2)[1], training=0.5, max_iterations=1)
    assert not found.converged
    assert found.n_iterations == 1


def test_a_shifted_calibrator_survives_json_and_gives_the_shifted_probabilities():
    shifted = Shifted(Temperature(2.0), training=0.4, deployed=0.1)
    again = calibrator_from_dict(json.loads(json.dumps(shifted.to_dict())))
    assert again == shifted
    expected = shift_prevalence(Temperature(2.0)([1.0]), training=0.4, deployed=0.1)
    np.testing.assert_array_equal(again([1.0]), expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: shift_prevalence([0.5], training=0, deployed=0.1), ValueError, "training is 0"),
        (lambda: shift_prevalence([0.5], training=0.5, deployed=1), ValueError, "deployed is 1"),
        (lambda: shift_prevalence([1.5], training=0.5, deployed=0.1), DataError, "p of row 0"),
        (lambda: estimate_prevalence([], training=0.5), DataError, "p is empty"),
        (lambda: estimate_prevalence([np.nan], training=0.5), DataError, "p of row 0 is NaN"),
        (lambda: Shifted(Temperature(1.0), 0.5, 2.0), ValueError, "deployed is 2.0"),
        (
            lambda: Shifted(Shifted(Temperature(1.0), 0.5, 0.2), 0.5, 0.2),
            ValueError,
            "shifted already",
        ),
    ],
)
def test_impossible_arguments_are_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_docstring_examples_run():
    assert doctest.testmod(prevalence).failed == 0
