import doctest
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from synthdetect.ensemble import cuts, policies
from synthdetect.ensemble.policies import CostWeighted, EqualError, FBeta, Fixed, Youden
from synthdetect.ensemble.threshold import Threshold
from synthdetect.errors import DataError

# Few drawn images are meant here; one test below is of the warning.
pytestmark = pytest.mark.filterwarnings(
    "ignore:the threshold is learned on",
    "ignore:the threshold is judged on",
    "ignore:all scores",
    "ignore:the classes are separated",
    "ignore:the threshold has no interval",
)

# A coarse grid, so that ties are common, and any float.
scores = st.one_of(st.integers(0, 8).map(lambda k: k / 8), st.floats(0, 1))
rows = st.lists(st.tuples(st.integers(0, 1), scores), min_size=2, max_size=25)
costs = st.floats(0.01, 100)
prevalences = st.one_of(st.none(), st.floats(0.01, 0.99))


def columns(drawn):
    y, p = (np.array(column) for column in zip(*drawn, strict=True))
    assume(0 < y.sum() < len(y))
    return y, p.astype(float)


def rates(y, p, value):
    called = p >= value
    return called[y == 0].mean(), 1 - called[y == 1].mean()


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


def many(n, seed=0, strength=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return y, 1 / (1 + np.exp(-rng.normal(strength * (2 * y - 1), 1.0)))


def test_rates_are_those_at_the_threshold_with_exact_intervals():
    from scipy.stats import binomtest

    y, p = many(500)
    learned = Youden().fit(y, p)
    for rate, alarms in (
        (learned.false_positive_rate, p[y == 0] >= learned.value),
        (learned.false_negative_rate, p[y == 1] < learned.value),
    ):
        exact = binomtest(int(alarms.sum()), len(alarms)).proportion_ci()
        assert (rate.value, rate.n) == (alarms.mean(), len(alarms))
        assert (rate.low, rate.high) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_precision_is_that_at_the_prevalence_of_the_policy():
    y, p = many(2000)
    learned = CostWeighted(prevalence=0.2).fit(y, p)
    false_positive_rate, false_negative_rate = rates(y, p, learned.value)
    hits = 0.2 * (1 - false_negative_rate)
    expected = hits / (hits + 0.8 * false_positive_rate)
    assert learned.precision.value == pytest.approx(expected, rel=1e-12)
    assert learned.precision.low < expected < learned.precision.high


def test_precision_is_left_out_where_nothing_is_called_synthetic():
    assert Fixed(1.0).fit(*many(100)).precision is None


def test_the_interval_holds_the_threshold_that_many_images_give():
    limit = EqualError().fit(*many(200_000), n_replicates=0).value
    inside = [
        interval[0] <= limit <= interval[1]
        for interval in (EqualError().fit(*many(400, seed)).interval for seed in range(1, 101))
    ]
    assert np.mean(inside) >= 0.88


def test_the_interval_shrinks_with_more_images():
    widths = [np.diff(EqualError().fit(*many(n)).interval)[0] for n in (200, 2000, 20_000)]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


@pytest.mark.parametrize("policy", [Youden(), EqualError(), FBeta()], ids=repr)
def test_the_interval_is_that_of_fits_on_resampled_images(policy):
    y = np.repeat([0, 1], 10)
    p = np.concatenate((np.linspace(0.05, 0.3, 10), np.linspace(0.6, 0.95, 10)))
    rng = np.random.default_rng(0)
    values = []
    for _ in range(1000):
        drawn = np.concatenate((rng.integers(0, 10, 10), rng.integers(10, 20, 10)))
        values.append(policy.fit(y[drawn], p[drawn], n_replicates=0).value)
    interval = policy.fit(y, p, n_replicates=1000).interval
    assert interval == pytest.approx(np.quantile(values, (0.025, 0.975)), abs=0.02)
    assert interval[1] - interval[0] > 0.05


@settings(deadline=None, max_examples=40)
@given(drawn=rows, seed=st.integers(0, 1000))
def test_gaps_of_replicates_lie_between_scores_that_were_drawn(drawn, seed):
    found = cuts.cuts_of(*columns(drawn))
    _, replicates = cuts.resampled(found, 3, seed)
    scores = found.upper[:-1]
    for lower, upper, real, synthetic in zip(
        replicates.lower,
        replicates.upper,
        replicates.real_below,
        replicates.synthetic_below,
        strict=True,
    ):
        taken = scores[np.diff(real + synthetic) > 0]
        for i in range(found.n_cuts):
            below, above = taken[taken < found.upper[i]], taken[taken > found.lower[i]]
            if i < found.n_cuts - 1 and len(below):
                assert lower[i] == below.max()
            if i and len(above):
                assert upper[i] == above.min()


def test_replicates_that_all_agree_give_no_interval_and_a_note():
    y, p = np.repeat([0, 1], 50), np.repeat([0.2, 0.8], 50)
    with pytest.warns(UserWarning, match="the threshold has no interval"):
        learned = Youden().fit(y, p)
    assert learned.interval is None
    assert policies.NO_INTERVAL in learned.notes


def test_no_replicates_give_no_interval_and_the_same_threshold():
    y, p = many(300)
    without = Youden().fit(y, p, n_replicates=0)
    assert without.interval is None
    assert without.false_positive_rate.optimism is None
    assert without.value == Youden().fit(y, p).value


def test_another_seed_draws_another_interval_of_the_same_threshold():
    y, p = many(300)
    first, other = (EqualError().fit(y, p, seed=seed) for seed in (0, 1))
    assert first.interval != other.interval
    assert first.value == other.value


def test_replicates_have_the_images_numbers_and_gather_cells_only_where_there_are_many():
    for n, gathered in ((3000, False), (30_000, True)):
        found = cuts.cuts_of(*many(n))
        cells, drawn = cuts.resampled(found, 20, seed=0)
        assert (len(cells.lower) < len(found.lower)) == gathered
        assert (drawn.real_below[:, -1] == n / 2).all()
        assert (drawn.synthetic_below[:, -1] == n / 2).all()
        close = np.abs(drawn.real_below.mean(axis=0) - cells.real_below).max()
        assert close < 4 * np.sqrt(n / 2 / 20)


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        (np.repeat([0, 1], [4, 30]), np.linspace(0.1, 0.9, 34), "on 4 real images, fewer than 20"),
        (np.arange(60) % 2, np.full(60, 0.5), "all scores are equal"),
        (np.repeat([0, 1], 30), np.linspace(0.1, 0.9, 60), "separated perfectly"),
    ],
    ids=["few", "equal", "separated"],
)
@pytest.mark.filterwarnings("always")
def test_what_a_threshold_cannot_promise_is_warned_and_kept(y, p, message):
    with pytest.warns(UserWarning, match=message):
        learned = Youden().fit(y, p)
    assert any(message in note for note in learned.notes)


@pytest.mark.filterwarnings("error")
def test_ordinary_images_warn_of_nothing():
    assert Youden().fit(*many(200)).notes == ()


@pytest.mark.parametrize("beta", [0.0, -1.0, 1e200, float("nan"), float("inf")])
def test_f_beta_refuses_a_beta_that_is_not_above_0_or_too_large(beta):
    with pytest.raises(ValueError, match="beta is"):
        FBeta(beta)


@pytest.mark.slow
def test_an_interval_at_a_fixed_threshold_covers_the_true_rate_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for true in (0.05, 0.1, 0.3):
        counts = rng.binomial(1000, true, 20_000)
        found, n_times = np.unique(counts, return_counts=True)
        intervals = [policies.counted_rate(int(k), 1000) for k in found]
        covered = np.array([rate.low <= true <= rate.high for rate in intervals])
        assert 0.93 <= np.average(covered, weights=n_times) <= 0.975


@pytest.mark.slow
def test_optimism_is_about_half_of_what_tuning_on_the_same_images_hides():
    from scipy.stats import norm

    apparent, corrected, true = [], [], []
    for seed in range(400):
        y, p = many(100, seed, strength=0.8)
        learned = Youden().fit(y, p)
        logit = np.log(learned.value / (1 - learned.value))
        errors = (learned.false_positive_rate, learned.false_negative_rate)
        apparent.append(sum(rate.value for rate in errors))
        corrected.append(sum(rate.value + rate.optimism for rate in errors))
        true.append(norm.sf(logit + 0.8) + norm.cdf(logit - 0.8))
    hidden = np.mean(true) - np.mean(apparent)
    left = np.mean(true) - np.mean(corrected)
    assert hidden > 0.02
    assert 0.25 * hidden < left < 0.6 * hidden


def test_docstring_examples_run():
    assert doctest.testmod(policies).failed == 0
