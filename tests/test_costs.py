import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.ensemble import costs as module
from synthdetect.ensemble.band import Band
from synthdetect.ensemble.costs import cost_curve, spread_thresholds
from synthdetect.ensemble.policies import CostWeighted
from synthdetect.errors import DataError


@given(st.integers(0, 1000), st.floats(0.01, 0.99), st.floats(0.1, 100))
def test_the_chosen_threshold_costs_least(seed, prevalence, false_positive):
    rng = np.random.default_rng(seed)
    y = np.arange(80) % 2
    p = 1 / (1 + np.exp(-rng.normal(2 * y - 1, 1.5)))
    policy = CostWeighted(false_positive=false_positive, prevalence=prevalence)
    chosen = policy.fit(y, p, n_replicates=0).value
    curve = cost_curve(y, p, policy, [chosen, *spread_thresholds(p, 50)])
    assert curve[0].cost <= min(at.cost for at in curve) + 1e-6


def test_errors_are_those_of_1000_images_at_the_prevalence():
    y, p = [0] * 4 + [1] * 2, [0.1, 0.2, 0.3, 0.8, 0.4, 0.9]
    costs = CostWeighted(false_positive=3, false_negative=2, prevalence=0.25)
    (at,) = cost_curve(y, p, costs, [0.5])
    assert (at.threshold, at.false_positives, at.false_negatives) == (0.5, 187.5, 125.0)
    assert at.cost == 3 * 187.5 + 2 * 125.0


def test_without_a_prevalence_it_is_the_share_in_the_data():
    y, p = [0, 0, 0, 1], [0.1, 0.2, 0.7, 0.1]
    (at,) = cost_curve(y, p, Band(), [0.5])
    assert at.false_positives == at.false_negatives == 250.0


def test_ends_cost_all_of_one_kind():
    y, p = [0, 1, 0, 1], [0.1, 0.2, 0.7, 0.6]
    everything, nothing = cost_curve(y, p, CostWeighted(), [0.0, 1.0])
    assert (everything.false_positives, everything.false_negatives) == (500.0, 0.0)
    assert (nothing.false_positives, nothing.false_negatives) == (0.0, 500.0)


def test_spread_thresholds_go_from_the_lowest_to_the_highest_score():
    thresholds = spread_thresholds(np.array([0.2, 0.9, 0.5]), 4)
    np.testing.assert_allclose(thresholds[[0, -1]], [0.2, 0.9])
    logits = np.log(thresholds / (1 - thresholds))
    np.testing.assert_allclose(np.diff(logits), np.diff(logits)[0])
    assert np.isfinite(spread_thresholds(np.array([0.0, 1.0]))).all()


def test_one_class_is_refused():
    with pytest.raises(DataError, match="one class only"):
        cost_curve([0, 0], [0.1, 0.2], CostWeighted(), [0.5])


def test_docstring_examples_run():
    assert doctest.testmod(module).failed == 0
