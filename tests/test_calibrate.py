import doctest
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from synthdetect.ensemble import calibrate
from synthdetect.ensemble.calibrate import Beta, Platt, Temperature

any_logit = st.floats(allow_nan=False)
temperatures = st.floats(1 / 50, 50)


@settings(deadline=None, max_examples=60)
@given(logit=arrays(np.float64, st.integers(1, 50), elements=any_logit), temperature=temperatures)
def test_probability_is_inside_the_open_interval(logit, temperature):
    p = Temperature(temperature)(logit)
    assert ((p > 0) & (p < 1)).all()
    assert ((1 - p > 0) & (1 - p < 1)).all()


@settings(deadline=None, max_examples=60)
@given(logit=arrays(np.float64, st.integers(2, 50), elements=any_logit), temperature=temperatures)
def test_probability_never_falls_when_the_logit_rises(logit, temperature):
    assert (np.diff(Temperature(temperature)(np.sort(logit))) >= 0).all()


@settings(deadline=None, max_examples=60)
@given(start=st.floats(-40, 40), temperature=temperatures)
def test_probability_never_falls_between_neighbouring_floats(start, temperature):
    steps = start + np.arange(200) * np.spacing(abs(start))
    assert (np.diff(Temperature(temperature)(steps)) >= 0).all()


@settings(deadline=None, max_examples=60)
@given(logit=arrays(np.float64, st.integers(1, 70), elements=any_logit), temperature=temperatures)
def test_probability_is_bit_equal_whatever_the_batch(logit, temperature):
    calibrator = Temperature(temperature)
    whole = calibrator(logit)
    alone = np.concatenate([calibrator(logit[i : i + 1]) for i in range(len(logit))])
    assert whole.tobytes() == alone.tobytes()
    assert calibrator(logit[::-1])[::-1].tobytes() == whole.tobytes()
    assert calibrator(np.repeat(logit, 3)[::3]).tobytes() == whole.tobytes()


@settings(deadline=None, max_examples=60)
@given(logit=arrays(np.float64, 20, elements=st.floats(-35, 35)))
def test_probability_is_the_sigmoid(logit):
    np.testing.assert_allclose(Temperature(1.0)(logit), expit(logit), rtol=1e-14)


def test_nan_stays_nan():
    p = Temperature(2.0)([0.0, np.nan])
    np.testing.assert_array_equal(p, [0.5, np.nan])


@settings(deadline=None, max_examples=60)
@given(temperature=temperatures)
def test_calibrator_survives_json(temperature):
    calibrator = Temperature(temperature)
    assert Temperature.from_dict(json.loads(json.dumps(calibrator.to_dict()))) == calibrator


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"kind": "temperature"}, "temperature is missing"),
        ({"kind": "isotonic", "temperature": 1.0}, "kind is 'isotonic'"),
        ({"kind": "temperature", "temperature": 0.0}, "temperature is 0.0"),
        ({"kind": "temperature", "temperature": -1}, "temperature is -1"),
        ({"kind": "temperature", "temperature": float("inf")}, "temperature is inf"),
        ({"kind": "temperature", "temperature": None}, "temperature is None"),
        ({"kind": "temperature", "temperature": 1.0, "bias": 0.0}, "bias is not known"),
    ],
)
def test_calibrator_description_is_refused_by_field(description, message):
    with pytest.raises(ValueError, match=message):
        Temperature.from_dict(description)


lines = st.builds(Platt, slope=st.just(0.0) | st.floats(1e-3, 50), bias=st.floats(-40, 40))
betas = st.builds(Beta, a=st.floats(0, 50), b=st.floats(0, 50), bias=st.floats(-40, 40))


@settings(deadline=None, max_examples=80)
@given(logit=arrays(np.float64, st.integers(1, 40), elements=any_logit), calibrator=lines | betas)
def test_lines_and_betas_are_inside_and_never_fall_and_are_bit_equal_in_any_batch(
    logit, calibrator
):
    p = calibrator(logit)
    assert ((p > 0) & (p < 1)).all()
    assert (np.diff(calibrator(np.sort(logit))) >= -1e-13).all()
    assert p.tobytes() == np.concatenate([calibrator([x]) for x in logit]).tobytes()
    assert calibrator(np.repeat(logit, 2)[::2]).tobytes() == p.tobytes()
    assert type(calibrator).from_dict(json.loads(json.dumps(calibrator.to_dict()))) == calibrator


@settings(deadline=None, max_examples=60)
@given(start=st.floats(-40, 40), calibrator=lines)
def test_a_line_never_falls_between_neighbouring_floats(start, calibrator):
    steps = start + np.arange(200) * np.spacing(abs(start))
    assert (np.diff(calibrator(steps)) >= 0).all()


@settings(deadline=None, max_examples=60)
@given(start=st.floats(-40, 40), calibrator=betas)
def test_a_beta_never_falls_by_more_than_rounding_between_neighbouring_floats(start, calibrator):
    steps = start + np.arange(200) * np.spacing(abs(start))
    assert (np.diff(calibrator(steps)) >= -1e-13).all()


def test_nan_stays_nan_in_lines_and_betas():
    for calibrator in (Platt(1.0, 0.0), Beta(1.0, 1.0, 0.0)):
        np.testing.assert_array_equal(calibrator([np.nan, 0.0]), [np.nan, 0.5])


def test_a_beta_of_equal_slopes_is_a_line():
    logit = np.linspace(-20, 20, 101)
    np.testing.assert_allclose(Beta(0.7, 0.7, 1.0)(logit), Platt(0.7, 1.0)(logit), rtol=1e-12)


@pytest.mark.parametrize(
    ("read", "description", "message"),
    [
        (Platt, {"kind": "platt", "slope": -1.0, "bias": 0.0}, "slope is -1.0"),
        (Platt, {"kind": "platt", "slope": 1e200, "bias": 0.0}, "slope is 1e"),
        (Platt, {"kind": "platt", "slope": 1.0}, "bias is missing"),
        (Platt, {"kind": "beta", "slope": 1.0, "bias": 0.0}, "kind is 'beta'"),
        (Beta, {"kind": "beta", "a": 1.0, "b": -0.5, "bias": 0.0}, "b is -0.5"),
        (Beta, {"kind": "beta", "a": 1.0, "b": 1.0, "bias": "x"}, "bias is 'x'"),
    ],
)
def test_lines_and_betas_are_refused_by_field(read, description, message):
    with pytest.raises(ValueError, match=message):
        read.from_dict(description)


def test_docstring_examples_run():
    assert doctest.testmod(calibrate).failed == 0
