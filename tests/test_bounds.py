import doctest
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from synthdetect.ensemble import bounds
from synthdetect.ensemble.bounds import (
    ExpectedRate,
    counted_rate,
    fewest_needed,
    lower_limit,
    most_allowed,
    upper_limit,
)


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 3000), rate=st.floats(0.001, 0.9), confidence=st.floats(0.5, 0.999))
def test_most_allowed_is_the_last_count_whose_upper_limit_is_within(n, rate, confidence):
    most = most_allowed(n, rate, confidence)
    if most >= 0:
        assert binom.cdf(most, n, rate) <= 1 - confidence + 1e-9
        assert upper_limit(most, n, confidence) <= rate + 1e-9
    if most + 1 < n:
        assert binom.cdf(most + 1, n, rate) > 1 - confidence - 1e-9


@example(rate=0.5, confidence=0.5000000000000001)
@settings(deadline=None, max_examples=60)
@given(rate=st.floats(0.001, 0.5), confidence=st.floats(0.5, 0.999))
def test_fewest_needed_is_just_enough(rate, confidence):
    n = fewest_needed(rate, confidence)
    assert most_allowed(n, rate, confidence) >= 0
    assert n == 1 or most_allowed(n - 1, rate, confidence) == -1


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 500), data=st.data())
def test_limits_are_those_of_scipy(n, data):
    from scipy.stats import binomtest

    k = data.draw(st.integers(0, n))
    exact = binomtest(k, n).proportion_ci(0.9)
    assert upper_limit(k, n, 0.95) == pytest.approx(exact.high, abs=1e-10)
    assert lower_limit(k, n, 0.95) == pytest.approx(exact.low, abs=1e-10)


def test_2995_real_images_are_needed_to_bound_a_rate_at_one_in_a_thousand():
    assert fewest_needed(0.001, 0.95) == 2995


@pytest.mark.parametrize("rate", [1e-9, 1e-10, 1e-12, 1e-15])
@pytest.mark.timeout(20)
def test_the_number_needed_for_a_tiny_rate_is_found_at_once(rate):
    # No success in n leaves a rate of 3 / n, as the rule of three says.
    assert fewest_needed(rate, 0.95) == pytest.approx(2.995732 / rate, rel=1e-6)


@pytest.mark.parametrize("rate", [counted_rate(3, 40), counted_rate(0, 7, optimism=-0.01)])
def test_a_rate_survives_json(rate):
    assert ExpectedRate.from_dict(json.loads(json.dumps(rate.to_dict()))) == rate


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"value": 0.9}, "use 0 <= low <= value <= high <= 1"),
        ({"n": -1}, "n is -1"),
        ({"n": 2.0}, "n is 2.0"),
        ({"optimism": "much"}, "optimism is 'much'"),
        ({"extra": 1}, "extra is not known"),
    ],
)
def test_description_is_refused_by_field(changed, message):
    with pytest.raises(ValueError, match=message):
        ExpectedRate.from_dict(counted_rate(3, 40).to_dict() | changed)


def test_docstring_examples_run():
    assert doctest.testmod(bounds).failed == 0
