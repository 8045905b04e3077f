import doctest
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scored import columns, labelled, many
from synthdetect.ensemble import band
from synthdetect.ensemble.band import Band, ConformalBand
from synthdetect.ensemble.policies import CostWeighted
from synthdetect.errors import DataError

pytestmark = pytest.mark.filterwarnings(
    "ignore:the threshold is learned on",
    "ignore:all scores",
    "ignore:the classes are separated",
    "ignore:the threshold has no interval",
)

rows = labelled(max_size=12)
costs = st.floats(0.01, 20)


def cost_of(policy, y, p, low, high):
    prevalence = y.mean() if policy.prevalence is None else policy.prevalence
    weight = np.where(y == 1, prevalence / np.mean(y == 1), (1 - prevalence) / np.mean(y == 0))
    called, passed = p >= high, p < low
    cost = np.where(
        called,
        policy.false_positive * (y == 0),
        np.where(passed, policy.false_negative * (y == 1), policy.review),
    )
    return np.mean(weight * cost)


@settings(deadline=None, max_examples=60)
@given(
    drawn=rows,
    false_positive=costs,
    false_negative=costs,
    review=costs,
    prevalence=st.one_of(st.none(), st.floats(0.05, 0.95)),
)
def test_band_equals_brute_force_over_all_pairs_of_cuts(
    drawn, false_positive, false_negative, review, prevalence
):
    y, p = columns(drawn)
    policy = Band(false_positive, false_negative, review, prevalence)
    learned = policy.fit(y, p, n_replicates=0)
    values = [*np.unique(p), 0.0, 1.0]
    best = min(
        cost_of(policy, y, p, low, high)
        for low, high in itertools.product(values, values)
        if low <= high
    )
    assert cost_of(policy, y, p, learned.low, learned.high) == pytest.approx(best, rel=1e-9)


def test_a_review_that_costs_more_than_errors_leaves_no_band_and_the_cost_weighted_cutoff():
    y, p = many(400, 0)
    learned = Band(false_positive=2, false_negative=1, review=5).fit(y, p)
    cutoff = CostWeighted(false_positive=2, false_negative=1).fit(y, p)
    assert learned.low == learned.high == cutoff.value
    assert learned.uncertain_real.value == learned.uncertain_synthetic.value == 0


def test_the_band_widens_when_review_gets_cheaper():
    y, p = many(2000, 1)
    widths = []
    for review in (0.4, 0.2, 0.05):
        learned = Band(review=review).fit(y, p, n_replicates=0)
        widths.append(learned.high - learned.low)
    assert 0 <= widths[0] < widths[1] < widths[2]


def test_the_ends_of_a_band_without_errors_still_have_intervals():
    y = np.repeat([0, 1], 10)
    p = np.concatenate((np.linspace(0.05, 0.3, 10), np.linspace(0.6, 0.95, 10)))
    for policy in (Band(), ConformalBand(0.2)):
        learned = policy.fit(y, p)
        for low, high in (learned.low_interval, learned.high_interval):
            assert high - low > 0.05


def test_rates_add_up():
    y, p = many(500, 2)
    learned = Band(review=0.1).fit(y, p)
    decided = learned.decide(p)
    assert learned.false_positive_rate.value == np.mean(decided[y == 0] == "synthetic")
    assert learned.false_negative_rate.value == np.mean(decided[y == 1] == "real")
    assert learned.uncertain_real.value == np.mean(decided[y == 0] == "uncertain")
    assert learned.uncertain_synthetic.value == np.mean(decided[y == 1] == "uncertain")
    for (low, high), value in (
        (learned.low_interval, learned.low),
        (learned.high_interval, learned.high),
    ):
        assert 0 < low <= high < 1
        assert low - 0.2 < value < high + 0.2


@pytest.mark.parametrize("strength", [0.5, 3.0], ids=["with a band", "without"])
def test_conformal_band_keeps_both_wrong_decisions_below_alpha_on_average(strength):
    wrong = []
    for seed in range(300):
        learned = ConformalBand(0.1).fit(*many(200, seed, strength), n_replicates=0)
        y, p = many(400, 10_000 + seed, strength)
        decided = learned.decide(p)
        wrong.append((np.mean(decided[y == 0] == "synthetic"), np.mean(decided[y == 1] == "real")))
    mean = np.mean(wrong, axis=0)
    slack = 3 * np.std(wrong, axis=0) / np.sqrt(len(wrong))
    assert (mean <= 0.1 + slack).all()
    if strength < 1:  # a band as wide as it must be, not wider
        assert (mean >= 0.07).all()


def test_conformal_band_refuses_real_images_that_no_threshold_can_leave_out():
    y = np.repeat([0, 1], 100)
    p = np.concatenate((np.full(30, 1.0), np.linspace(0.01, 0.5, 70), np.full(100, 1.0)))
    with pytest.raises(DataError, match=r"a probability of exactly 1 to bound the .* at 5 %"):
        ConformalBand(0.05).fit(y, p)


def test_conformal_band_leaves_out_replicates_with_too_many_real_images_at_1():
    y = np.repeat([0, 1], 100)
    p = np.concatenate((np.full(3, 1.0), np.linspace(0.01, 0.5, 97), np.linspace(0.3, 0.9, 100)))
    learned = ConformalBand(0.05).fit(y, p)
    assert learned.false_positive_rate.value == np.mean(learned.decide(p[y == 0]) == "synthetic")
    assert learned.high_interval[0] <= learned.high <= learned.high_interval[1] < 1


@settings(deadline=None, max_examples=100)
@given(drawn=rows, alpha=st.floats(0.3, 0.95), tiny=st.booleans())
def test_conformal_band_keeps_to_its_counts_or_refuses(drawn, alpha, tiny):
    y, p = columns(drawn)
    p = 10 ** (60 * p - 70) if tiny else p
    try:
        learned = ConformalBand(alpha).fit(y, p, n_replicates=0)
    except DataError:
        assume(False)
    decided = learned.decide(p)
    for label, wrong in ((0, "synthetic"), (1, "real")):
        n = np.sum(y == label)
        assert np.sum(decided[y == label] == wrong) <= alpha * (n + 1) - 1 + 1e-6
    assert learned.false_positive_rate.value == np.mean(decided[y == 0] == "synthetic")


def test_one_cut_of_a_conformal_band_is_in_the_middle_for_tiny_scores_too():
    y = np.repeat([0, 1], 100)
    p = 10.0 ** -np.concatenate((np.linspace(60, 50, 100), np.linspace(30, 20, 100)))
    learned = ConformalBand(0.05).fit(y, p)
    assert learned.low == learned.high
    assert learned.false_positive_rate.value == 0
    # Five images of each class may be wrong: from between 10^-50.5 and 10^-29.5.
    assert np.log10(learned.low) == pytest.approx(-40, abs=1)


def test_a_good_detector_needs_no_band():
    learned = ConformalBand(0.1).fit(*many(1000, 3, strength=3.0))
    assert learned.low == learned.high


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.25])
def test_conformal_band_decides_as_crepes_does(alpha):
    extras = pytest.importorskip("crepes.extras")
    crepes = pytest.importorskip("crepes")
    y, p = many(300, 4, strength=0.6)
    learned = ConformalBand(alpha).fit(y, p, n_replicates=0)
    _, new_p = many(2000, 5, strength=0.6)
    proba, new = np.column_stack([1 - p, p]), np.column_stack([1 - new_p, new_p])
    classifier = crepes.ConformalClassifier().fit(extras.hinge(proba, [0, 1], y), bins=y)
    bins = np.array([np.zeros(len(new_p), int), np.ones(len(new_p), int)])
    alphas = extras.hinge(new)
    within = np.column_stack(
        [
            classifier.predict_p(alphas[:, label], bins=bins[label], smoothing=False) > alpha
            for label in (0, 1)
        ]
    )
    decided = learned.decide(new_p)
    sets = np.where(within.all(axis=1), "uncertain", np.where(within[:, 1], "synthetic", "real"))
    assert within.any(axis=1).all()
    # Inside a gap of the calibration scores crepes decides a little earlier.
    between = decided != sets
    assert (decided[between] == "uncertain").all()
    assert between.mean() < 0.01


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.01])
def test_conformal_band_says_how_many_images_it_needs(alpha):
    needed = round(1 / alpha) - 1
    y = np.repeat([0, 1], [needed, needed - 1])
    p = np.linspace(0.1, 0.9, len(y))
    with pytest.raises(DataError, match=f"needs at least {needed} synthetic images; you gave"):
        ConformalBand(alpha).fit(y, p)
    assert ConformalBand(alpha).fit(np.append(y, 1), np.append(p, 0.95)).n == 2 * needed


@pytest.mark.parametrize("policy", [Band(), ConformalBand(0.2)])
@pytest.mark.parametrize(
    ("y", "p"),
    [
        (np.arange(40) % 2, np.full(40, 0.5)),
        (np.repeat([0, 1], 20), np.linspace(0.1, 0.9, 40)),
        (np.repeat([1, 0], 20), np.linspace(0.1, 0.9, 40)),
        (np.arange(40) % 2, np.arange(40) % 2 / 1.0),
    ],
    ids=["equal", "separated", "reversed", "certain"],
)
def test_degenerate_scores_still_give_a_band(policy, y, p):
    learned = policy.fit(y, p)
    assert 0 <= learned.low <= learned.high <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"review": -1.0}, "review is -1.0"),
        ({"false_positive": 0, "false_negative": 0}, "both costs of errors are 0"),
        ({"prevalence": 1.0}, "prevalence is 1.0"),
    ],
)
def test_band_refuses_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        Band(**options)


def test_docstring_examples_run():
    assert doctest.testmod(band).failed == 0
