"""Learned votes."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthdetect.ensemble import voting
from synthdetect.ensemble.combine import TrimmedCombiner
from synthdetect.ensemble.voting import Best, Median, SoftVote, TrimmedMean
from synthdetect.errors import DataError


def member_logits(n, seed, strengths):
    """Labels, and logits of members that see the class with the given strength."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return rng.normal((2 * y[:, None] - 1) * np.asarray(strengths), 1.0), y


def mean_log_loss(logits, y, v):
    return np.mean(np.logaddexp(0, -(logits @ v) * np.where(y == 1, 1, -1)))


@pytest.mark.parametrize("learner", [Median(), TrimmedMean(0.25)])
def test_one_broken_member_hardly_moves_a_robust_combiner(learner):
    logits, y = member_logits(400, 0, [1.0, 1.0, 1.0, 1.0])
    combiner = learner.fit(logits, y)
    broken = logits.copy()
    broken[:, 1] = 1e6
    agree = (combiner(broken) > 0) == (combiner(logits) > 0)
    vote = SoftVote().fit(logits, y)
    assert agree.mean() > 0.85
    assert ((vote(broken) > 0) == (vote(logits) > 0)).mean() < 0.6


def test_robust_combiners_bring_members_to_one_scale():
    logits, y = member_logits(4000, 1, [1.0, 1.0, 1.0])
    scaled = logits * [1.0, 10.0, 0.1]
    one, other = Median().fit(logits, y), Median().fit(scaled, y)
    np.testing.assert_allclose(one(logits), other(scaled), rtol=1e-6)


def test_best_takes_the_member_that_sees_most_whatever_its_scale():
    logits, y = member_logits(1000, 2, [0.3, 1.0, 0.5])
    assert Best().fit(logits * [30.0, 0.1, 1.0], y).weights == (0.0, 1.0, 0.0)
    assert Best().fit(logits[:, [1, 1]], y).weights == (1.0, 0.0)


def test_shrinkage_moves_learned_weights_to_equal_ones():
    logits, y = member_logits(500, 3, [0.2, 1.0])
    learned = np.array(SoftVote().fit(logits, y).weights)
    half = np.array(SoftVote(shrinkage=0.5).fit(logits, y).weights)
    np.testing.assert_allclose(half, (learned + 0.5) / 2, rtol=1e-12)
    assert SoftVote(shrinkage=1.0).fit(logits, y).weights == (0.5, 0.5)


def test_given_weights_are_scaled_to_the_sum_1():
    logits, y = member_logits(50, 4, [1.0, 1.0])
    assert SoftVote(weights=(1, 3)).fit(logits, y).weights == (0.25, 0.75)
    assert SoftVote(weights=(1e308, 1e308)).fit(logits, y).weights == (0.5, 0.5)
    assert SoftVote(weights=(5e-324, 0.0)).fit(logits, y).weights == (1.0, 0.0)
    with pytest.raises(DataError, match="3 weights for 2 members"):
        SoftVote(weights=(1, 1, 1)).fit(logits, y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SoftVote(weights=(1.0, -1.0)), "use numbers of at least 0"),
        (lambda: SoftVote(weights=(0.0, 0.0)), "give one above 0"),
        (lambda: SoftVote(shrinkage=1.5), "shrinkage is 1.5"),
        (lambda: TrimmedMean(0.6), "cut is 0.6"),
        (lambda: TrimmedCombiner((1.0,), 0.6), "cut is 0.6"),
        (lambda: TrimmedCombiner((), 0.5), "scales is empty"),
        (lambda: TrimmedCombiner((float("inf"),), 0.5), r"scales\[0\] is inf"),
    ],
)
def test_impossible_options_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(10, 200),
    strengths=st.lists(st.floats(-1, 3), min_size=1, max_size=5),
)
def test_soft_vote_weights_lie_on_the_simplex(seed, n, strengths):
    logits, y = member_logits(n, seed, strengths)
    y[:2] = [0, 1]
    weights = np.array(SoftVote().fit(logits, y).weights)
    assert len(weights) == len(strengths)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_other_vote_has_a_lower_log_loss_at_its_best_scale(seed):
    from scipy.optimize import minimize_scalar

    logits, y = member_logits(150, seed, [0.3, 0.8, 0.1])

    def best(weights):
        return minimize_scalar(
            lambda s: mean_log_loss(logits, y, s * weights), bounds=(0, 50), method="bounded"
        ).fun

    learned = best(np.array(SoftVote().fit(logits, y).weights))
    others = np.random.default_rng(seed).dirichlet([0.5] * 3, 30)
    assert learned <= min(best(weights) for weights in others) + 1e-6


def test_soft_vote_matches_the_unconstrained_optimum_of_scikit_learn_inside_the_simplex():
    from sklearn.linear_model import LogisticRegression

    logits, y = member_logits(3000, 1, [0.5, 1.0, 0.25])
    model = LogisticRegression(C=1e8, fit_intercept=False, tol=1e-10).fit(logits, y)
    expected = model.coef_[0] / model.coef_[0].sum()
    np.testing.assert_allclose(SoftVote().fit(logits, y).weights, expected, atol=1e-5)


def test_a_member_worse_than_chance_gets_no_weight():
    logits, y = member_logits(500, 2, [1.0, -1.0])
    assert SoftVote().fit(logits, y).weights == (1.0, 0.0)


def test_members_that_are_all_worse_than_chance_get_equal_weights():
    logits, y = member_logits(500, 3, [-1.0, -2.0])
    assert SoftVote().fit(logits, y).weights == (0.5, 0.5)


def test_constant_zero_logits_get_equal_weights():
    assert SoftVote().fit(np.zeros((4, 2)), [0, 1, 0, 1]).weights == (0.5, 0.5)


def test_one_member_gets_weight_one():
    assert SoftVote().fit([[3.0], [-1.0]], [0, 1]).weights == (1.0,)


def test_separable_data_gives_finite_weights_that_separate():
    logits = np.array([[-1.0, 0.2], [-2.0, -0.1], [1.0, 0.1], [3.0, -0.2]])
    combiner = SoftVote().fit(logits, [0, 0, 1, 1])
    assert np.isfinite(combiner.weights).all()
    assert (combiner(logits) > 0).tolist() == [False, False, True, True]


def test_weights_do_not_depend_on_the_unit_of_the_logits():
    logits, y = member_logits(300, 4, [0.5, 1.0])
    small, large = (SoftVote().fit(logits * unit, y).weights for unit in (1e-3, 1e3))
    np.testing.assert_allclose(small, large, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e3, 1e6])
def test_a_member_of_another_unit_is_not_silenced(unit):
    logits, y = member_logits(2000, 6, [2.0, 0.2])
    equal = np.array(SoftVote().fit(logits, y).weights)
    found = np.array(SoftVote().fit(logits * [1.0, unit], y).weights) * [1.0, unit]
    np.testing.assert_allclose(found / found.sum(), equal, atol=1e-4)


def test_a_member_that_always_says_zero_gets_no_weight():
    logits, y = member_logits(300, 7, [1.0, 1.0])
    assert SoftVote().fit(logits * [1.0, 0.0], y).weights == (1.0, 0.0)


def test_weights_do_not_depend_on_the_order_of_the_images():
    logits, y = member_logits(300, 5, [0.5, 1.0])
    turned = SoftVote().fit(logits[::-1], y[::-1]).weights
    np.testing.assert_allclose(SoftVote().fit(logits, y).weights, turned, atol=1e-6)


@pytest.mark.parametrize(
    ("logits", "y", "message"),
    [
        ([[1.0, 1.0], [np.nan, 1.0]], [0, 1], r"logits of row 1 is NaN .* 1 such row"),
        ([[1.0, np.inf], [0.0, 1.0]], [0, 1], "logits of row 0 is inf"),
        ([[1.0], [2.0]], [1, 1], r"one class only: all 2 labels are synthetic .* real \(0\)"),
        ([[1.0], [2.0]], [0, 0], r"one class only: all 2 labels are real .* synthetic \(1\)"),
        ([[1.0], [2.0]], [0, 2], "y of row 1 is 2; use 0 for real"),
        ([[1.0], [2.0]], ["real", "synthetic"], "y of row 0 is 'real'"),
        ([[1.0], [2.0]], [0, 1, 1], r"y has shape \(3,\); use \(2,\)"),
        ([["a"], ["b"]], [0, 1], "logits is not an array of numbers"),
        (np.empty((0, 2)), [], "y is empty"),
    ],
)
def test_soft_vote_refuses_by_name(logits, y, message):
    with pytest.raises(DataError, match=message):
        SoftVote().fit(logits, y)


def test_docstring_examples_run():
    assert doctest.testmod(voting).failed == 0
