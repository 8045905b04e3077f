import doctest
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scored import columns, few_images_are_meant, labelled, many, rates
from synthdetect.ensemble import cuts, policies
from synthdetect.ensemble.policies import CostWeighted, EqualError, FBeta, Fixed, Youden
from synthdetect.ensemble.threshold import Threshold
from synthdetect.errors import DataError

pytestmark = few_images_are_meant

rows = labelled()
costs = st.floats(0.01, 100)
prevalences = st.one_of(st.none(), st.floats(0.01, 0.99))


def cost_of(policy, y, p, value):
    prevalence = y.mean() if policy.prevalence is None else policy.prevalence
    false_positive_rate, false_negative_rate = rates(y, p, value)
    return (
        policy.false_positive * (1 - prevalence) * false_positive_rate
        + policy.false_negative * prevalence * false_negative_rate
    )


def every_cut(p):
    """One value for each decision that a threshold of 0 to 1 can make."""
    return [*np.unique(p), 0.0, 1.0]


@settings(deadline=None, max_examples=60)
@given(drawn=rows)
def test_youden_equals_brute_force_over_all_cuts(drawn):
    y, p = columns(drawn)
    learned = 1 - sum(rates(y, p, Youden().fit(y, p).value))
    assert learned == pytest.approx(max(1 - sum(rates(y, p, c)) for c in every_cut(p)), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, false_positive=costs, false_negative=costs, prevalence=prevalences)
def test_cost_weighted_equals_brute_force_over_all_cuts(
    drawn, false_positive, false_negative, prevalence
):
    y, p = columns(drawn)
    policy = CostWeighted(false_positive, false_negative, prevalence)
    learned = cost_of(policy, y, p, policy.fit(y, p).value)
    best = min(cost_of(policy, y, p, cut) for cut in every_cut(p))
    assert learned == pytest.approx(best, rel=1e-11)


def possible_of_roc(y, p):
    """Rates of scikit-learn's curve at the cuts that a threshold of 0 to 1 can make."""
    from sklearn.metrics import roc_curve

    false_positive_rate, recall, threshold = roc_curve(y, p, drop_intermediate=False)
    # Its first point calls nothing synthetic, which no threshold does to a probability of 1.
    kept = np.isfinite(threshold) | (p.max() < 1)
    return false_positive_rate[kept], recall[kept]


def test_youden_equals_scikit_learn_on_many_images():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 5000)
    p = 1 / (1 + np.exp(-rng.normal(2 * y - 1, 1.5)))
    false_positive_rate, recall = possible_of_roc(y, p)
    learned = 1 - sum(rates(y, p, Youden().fit(y, p).value))
    assert learned == pytest.approx((recall - false_positive_rate).max(), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, false_positive=costs, false_negative=costs, prevalence=prevalences)
def test_youden_and_cost_weighted_are_the_best_of_scikit_learns_roc_curve(
    drawn, false_positive, false_negative, prevalence
):
    y, p = columns(drawn)
    false_positive_rate, recall = possible_of_roc(y, p)
    learned = 1 - sum(rates(y, p, Youden().fit(y, p, n_replicates=0).value))
    assert learned == pytest.approx((recall - false_positive_rate).max(), abs=1e-12)
    policy = CostWeighted(false_positive, false_negative, prevalence)
    share = y.mean() if prevalence is None else prevalence
    cost = false_positive * (1 - share) * false_positive_rate
    cost += false_negative * share * (1 - recall)
    found = cost_of(policy, y, p, policy.fit(y, p, n_replicates=0).value)
    assert found == pytest.approx(cost.min(), rel=1e-11)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, beta=st.floats(0.2, 5))
def test_f_beta_is_the_best_of_scikit_learns_precision_recall_curve(drawn, beta):
    from sklearn.metrics import precision_recall_curve

    y, p = columns(drawn)
    # Its last point calls nothing synthetic; its F score of 0 is never the best.
    precision, recall, _ = (column[: len(np.unique(p))] for column in precision_recall_curve(y, p))
    weighed = beta**2 * precision + recall
    scores = (1 + beta**2) * precision * recall / np.where(weighed, weighed, 1)
    learned = f_beta(beta, y, p, FBeta(beta).fit(y, p, n_replicates=0).value)
    assert learned == pytest.approx(scores.max(), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, cheap=costs, factor=st.floats(1, 1000), prevalence=prevalences)
def test_cost_weighted_moves_right_when_false_positives_cost_more(drawn, cheap, factor, prevalence):
    y, p = columns(drawn)
    left = CostWeighted(false_positive=cheap, prevalence=prevalence).fit(y, p)
    right = CostWeighted(false_positive=cheap * factor, prevalence=prevalence).fit(y, p)
    assert left(p).sum() >= right(p).sum()


@settings(deadline=None, max_examples=60)
@given(drawn=rows, prevalence=st.floats(0.01, 0.5), factor=st.floats(1, 2))
def test_cost_weighted_moves_left_when_synthetic_images_are_commoner(drawn, prevalence, factor):
    y, p = columns(drawn)
    rare = CostWeighted(prevalence=prevalence).fit(y, p)
    common = CostWeighted(prevalence=min(0.99, prevalence * factor)).fit(y, p)
    assert rare(p).sum() <= common(p).sum()


any_policy = st.one_of(
    st.sampled_from([Youden(), EqualError(), Fixed(0.3)]),
    st.builds(CostWeighted, costs, costs, prevalences),
    st.builds(FBeta, st.floats(0.1, 10), prevalences),
)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, policy=any_policy, order=st.randoms())
def test_threshold_does_not_depend_on_the_order_of_the_images(drawn, policy, order):
    y, p = columns(drawn)
    place = list(range(len(y)))
    order.shuffle(place)
    assert policy.fit(y[place], p[place]) == policy.fit(y, p)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, policy=any_policy, times=st.integers(2, 7))
def test_threshold_does_not_change_when_the_data_is_repeated(drawn, policy, times):
    y, p = columns(drawn)
    repeated = policy.fit(np.tile(y, times), np.tile(p, times))
    assert repeated.value == policy.fit(y, p).value
    assert repeated.n == times * len(y)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, policy=any_policy)
def test_threshold_is_finite_and_within_0_and_1(drawn, policy):
    y, p = columns(drawn)
    assert 0 <= policy.fit(y, p).value <= 1


def test_cut_is_the_middle_of_the_gap_in_logits():
    low, high = 0.2, 0.99
    value = Youden().fit([0, 0, 1, 1], [0.1, low, high, 0.999]).value
    middle = (np.log(low / (1 - low)) + np.log(high / (1 - high))) / 2
    assert np.log(value / (1 - value)) == pytest.approx(middle, rel=1e-12)


def test_of_equally_good_gaps_the_widest_is_taken():
    y, p = [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9]
    assert 0.3 < Youden().fit(y, p).value < 0.9
    y, p = [0, 1, 0, 1], [0.1, 0.8, 0.85, 0.9]
    assert 0.1 < Youden().fit(y, p).value < 0.8


def test_of_equally_wide_gaps_the_lowest_is_taken():
    y, p = [0, 1, 0, 1], [0.125, 0.5, 0.5, 0.875]
    assert 0.125 < Youden().fit(y, p).value < 0.5


@pytest.mark.parametrize("seed", range(40))
def test_ties_are_judged_as_in_exact_arithmetic(seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], rng.integers(3, 15, 2)))
    logit = np.cumsum(rng.uniform(0.1, 1, len(y)))
    logit -= logit.mean()
    n_real, n_synthetic = int(np.sum(y == 0)), int(np.sum(y == 1))
    index = {
        k: Fraction(int(np.sum(y[k:])), n_synthetic) - Fraction(int(np.sum(1 - y[k:])), n_real)
        for k in range(1, len(y))
    }
    best = [k for k in index if index[k] == max(index.values())]
    widest = max(best, key=lambda k: logit[k] - logit[k - 1])
    value = Youden().fit(y, 1 / (1 + np.exp(-logit))).value
    if max(index.values()) >= 0:
        assert np.log(value / (1 - value)) == pytest.approx(logit[widest - 1 : widest + 1].mean())
    else:
        assert value in (0.0, 1.0)


def test_where_the_highest_probability_is_1_no_threshold_calls_none_synthetic():
    y, p = [1, 0], [0.5, 1.0]
    assert CostWeighted(false_positive=100).fit(y, p).value == 0.0


def test_neighbouring_floats_are_still_told_apart():
    low = 0.3
    high = np.nextafter(low, 1)
    assert Youden().fit([0, 1], [low, high])([low, high]).tolist() == [False, True]


def test_probabilities_of_exactly_0_and_1_are_told_apart():
    assert Youden().fit([0, 1], [0.0, 1.0])([0.0, 1.0]).tolist() == [False, True]


def test_reversed_scores_end_in_all_or_none_and_not_in_a_sentinel():
    y, p = [1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]
    assert Youden().fit(y, p).value == 0.0
    assert CostWeighted(false_positive=100).fit(y, p).value == 1.0


def test_threshold_says_what_it_was_learned_on():
    learned = CostWeighted(false_positive=10).fit([0, 0, 1], [0.1, 0.2, 0.9])
    assert (learned.n_real, learned.n_synthetic, learned.n) == (2, 1, 3)
    assert "false_positive=10" in learned.policy


def test_fixed_keeps_its_value_and_counts_the_data():
    learned = Fixed(0.9).fit([0, 1, 1], [0.1, 0.2, 0.3])
    assert (learned.value, learned.n_real, learned.n_synthetic) == (0.9, 1, 2)


@pytest.mark.parametrize("policy", [Youden(), CostWeighted(), Fixed(0.5)])
@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([1, 1], [0.1, 0.2], "one class only: all 2 labels are synthetic"),
        ([0, 0], [0.1, 0.2], "one class only: all 2 labels are real"),
        ([0, 1], [0.1, np.nan], "p of row 1 is NaN"),
        ([0, 1], [0.1, 1.5], "p of row 1 is 1.5; use probabilities"),
        ([0, 1, 1], [0.1, 0.5], "y has shape"),
        ([0, 3], [0.1, 0.5], "y of row 1 is 3"),
    ],
)
def test_policies_refuse_by_name(policy, y, p, message):
    with pytest.raises(DataError, match=message):
        policy.fit(y, p)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"false_positive": -1.0}, "false_positive is -1.0"),
        ({"false_negative": float("inf")}, "false_negative is inf"),
        ({"false_positive": 0, "false_negative": 0}, "both costs are 0"),
        ({"prevalence": 0.0}, "prevalence is 0.0"),
        ({"prevalence": 1.0}, "prevalence is 1.0"),
    ],
)
def test_cost_weighted_refuses_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        CostWeighted(**options)


@pytest.mark.filterwarnings("always")
def test_fixed_warns_of_rates_that_few_images_cannot_tell():
    with pytest.warns(UserWarning, match="judged on 1 real images, fewer than 20"):
        learned = Fixed(0.5).fit([0, 1], [0.2, 0.8])
    assert len(learned.notes) == 2
    assert Fixed(0.5).fit(*many(100)).notes == ()


def test_fixed_refuses_a_value_outside_0_and_1():
    with pytest.raises(ValueError, match=r"value is 1\.1"):
        Fixed(1.1)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, policy=any_policy)
def test_threshold_survives_json(drawn, policy):
    learned = policy.fit(*columns(drawn))
    assert Threshold.from_dict(json.loads(json.dumps(learned.to_dict()))) == learned


def f_beta(beta, y, p, value):
    from sklearn.metrics import fbeta_score

    return fbeta_score(y, p >= value, beta=beta, zero_division=0.0)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, beta=st.floats(0.2, 5))
def test_f_beta_equals_brute_force_with_scikit_learn(drawn, beta):
    y, p = columns(drawn)
    learned = f_beta(beta, y, p, FBeta(beta).fit(y, p, n_replicates=0).value)
    best = max(f_beta(beta, y, p, cut) for cut in every_cut(p))
    assert learned == pytest.approx(best, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(drawn=rows)
def test_equal_error_equals_brute_force(drawn):
    y, p = columns(drawn)
    learned = np.subtract(*rates(y, p, EqualError().fit(y, p, n_replicates=0).value))
    best = min(abs(np.subtract(*rates(y, p, cut))) for cut in every_cut(p))
    assert abs(learned) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(
    ("policy", "scoring"), [(Youden(), "balanced_accuracy"), (FBeta(), "f1")], ids=["youden", "f1"]
)
@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 1000), n=st.integers(40, 150))
def test_no_threshold_that_scikit_learn_tunes_scores_better(policy, scoring, seed, n):
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import get_scorer
    from sklearn.model_selection import TunedThresholdClassifierCV

    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = rng.normal(2 * y - 1, 1.5).reshape(-1, 1)
    model = LogisticRegression().fit(X, y)
    p = model.predict_proba(X)[:, 1]
    # At each score, so that it may choose any cut that there is.
    tuned = TunedThresholdClassifierCV(
        FrozenEstimator(model), scoring=scoring, cv="prefit", refit=False, thresholds=np.unique(p)
    ).fit(X, y)
    learned = policy.fit(y, p, n_replicates=0)

    def score(called):
        return get_scorer(scoring)._score_func(y, called)

    assert score(learned(p)) == pytest.approx(score(tuned.predict(X)), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(drawn=rows)
def test_cuts_count_what_lies_below_each_distinct_score(drawn):
    y, p = columns(drawn)
    found = cuts.cuts_of(y, p)
    for upper, real, synthetic in zip(
        found.upper[:-1], found.real_below[:-1], found.synthetic_below[:-1], strict=True
    ):
        assert (real, synthetic) == (np.sum(p[y == 0] < upper), np.sum(p[y == 1] < upper))
    assert (found.n_real, found.n_synthetic) == (np.sum(y == 0), np.sum(y == 1))


@pytest.mark.parametrize("beta", [0.0, -1.0, 1e200, float("nan"), float("inf")])
def test_f_beta_refuses_a_beta_that_is_not_above_0_or_too_large(beta):
    with pytest.raises(ValueError, match="beta is"):
        FBeta(beta)


def test_docstring_examples_run():
    assert doctest.testmod(policies).failed == 0
