import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scored import columns, few_images_are_meant, labelled, many, rates
from synthdetect.ensemble import cutoff, cuts
from synthdetect.ensemble.bounds import counted_rate
from synthdetect.ensemble.policies import CostWeighted, EqualError, FBeta, Fixed, Youden

pytestmark = few_images_are_meant


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
@given(drawn=labelled(), seed=st.integers(0, 1000))
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
    assert cutoff.NO_INTERVAL in learned.notes


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


@pytest.mark.slow
def test_an_interval_at_a_fixed_threshold_covers_the_true_rate_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for true in (0.05, 0.1, 0.3):
        counts = rng.binomial(1000, true, 20_000)
        found, n_times = np.unique(counts, return_counts=True)
        intervals = [counted_rate(int(k), 1000) for k in found]
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
