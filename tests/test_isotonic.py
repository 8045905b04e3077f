import doctest
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from synthdetect.ensemble import isotonic
from synthdetect.ensemble.isotonic import Isotonic, IsotonicCalibration
from synthdetect.errors import DataError

any_logit = st.floats(allow_nan=False)


def images(n, seed):
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, n)
    y = (rng.random(n) < expit(logit)).astype(int)
    y[:2] = [0, 1]
    return logit, y


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(2, 200),
    logit=arrays(np.float64, 30, elements=any_logit),
)
def test_probability_is_inside_and_never_falls_and_is_bit_equal_in_any_batch(seed, n, logit):
    learned = IsotonicCalibration().fit(*images(n, seed))
    p = learned(logit)
    assert ((p > 0) & (p < 1)).all()
    assert (np.diff(learned(np.sort(logit))) >= 0).all()
    assert p.tobytes() == np.concatenate([learned([x]) for x in logit]).tobytes()


@settings(deadline=None, max_examples=40)
@given(start=st.floats(-1, 1))
def test_probability_never_falls_between_neighbouring_floats(start):
    learned = Isotonic((-1.0, 0.1, 0.3, 1.0), (0.1, 0.4, 0.4, 0.7))
    steps = start + np.arange(200) * np.spacing(abs(start))
    assert (np.diff(learned(steps)) >= 0).all()


def test_it_is_what_scikit_learn_gives_between_the_most_certain():
    from sklearn.isotonic import IsotonicRegression

    logit, y = images(500, 0)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(logit, y)
    learned = IsotonicCalibration().fit(logit, y)
    new = np.linspace(-6, 6, 301)
    expected = np.clip(theirs.predict(new), learned.p[0], learned.p[-1])
    np.testing.assert_allclose(learned(new), expected, atol=0.02)
    inside = (expected > 0.2) & (expected < 0.8)
    np.testing.assert_allclose(learned(new)[inside], expected[inside], atol=1e-12)


def test_it_bends_where_one_temperature_cannot():
    rng = np.random.default_rng(1)
    logit = rng.uniform(-3, 3, 20_000)
    true = 0.1 + 0.3 * (logit > -1) + 0.4 * (logit > 1)
    learned = IsotonicCalibration().fit(logit, (rng.random(len(logit)) < true).astype(int))
    np.testing.assert_allclose(learned([-2.0, 0.0, 2.0]), [0.1, 0.4, 0.8], atol=0.03)


def test_one_value_for_all_gives_the_share_and_nan_stays_nan():
    learned = IsotonicCalibration().fit([1.0] * 4, [0, 1, 1, 1])
    np.testing.assert_allclose(learned([0.0, np.nan]), [0.75, np.nan])


def test_it_survives_json():
    learned = IsotonicCalibration().fit(*images(300, 2))
    assert Isotonic.from_dict(json.loads(json.dumps(learned.to_dict()))) == learned


def test_images_that_were_not_read_are_refused():
    with pytest.raises(DataError, match="logit of row 1 is NaN"):
        IsotonicCalibration().fit([0.0, np.nan], [0, 1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "temperature"}, "kind is 'temperature'"),
        ({"logit": [0.0]}, "1 knots with 2 values"),
        ({"logit": [1.0, 0.0]}, "logit does not rise"),
        ({"logit": [0.0, 1e200]}, "or is too large"),
        ({"logit": [0.0, float("inf")]}, r"logit\[1\] is inf"),
        ({"logit": [], "p": []}, "0 knots"),
        ({"p": [0.9, 0.1]}, "p falls"),
        ({"p": [0.0, 1.0]}, "not between 0 and 1"),
        ({"p": "ab"}, "p is 'ab'; use a list"),
        ({"p": [0.5] * 20_001}, "p has 20001 numbers"),
        ({"extra": 1}, "extra is not known"),
    ],
)
def test_description_is_refused_by_field(changed, message):
    description = {"kind": "isotonic", "logit": [-1.0, 1.0], "p": [0.2, 0.8]}
    with pytest.raises(ValueError, match=message):
        Isotonic.from_dict(description | changed)


def test_docstring_examples_run():
    assert doctest.testmod(isotonic).failed == 0
