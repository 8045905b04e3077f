import doctest
import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from synthdetect.errors import DataError
from synthdetect.evaluation import metrics
from synthdetect.evaluation.interval import rate
from synthdetect.evaluation.metrics import (
    brier,
    by_group,
    expected_calibration_error,
    figures,
    log_loss,
)
from synthdetect.evaluation.ranking import auroc, auroc_difference

grid = st.integers(0, 10).map(lambda k: k / 10)
rows = st.lists(st.tuples(st.integers(0, 1), grid, grid), min_size=2, max_size=40)


def columns(drawn):
    y, p_a, p_b = (np.array(column) for column in zip(*drawn, strict=True))
    return y, p_a.astype(float), p_b.astype(float)


def binormal(n_real, n_synthetic, shift, seed, n_scores=1):
    """Labels and scores whose AUROC is norm.cdf(shift / sqrt(2))."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], [n_real, n_synthetic])
    return y, rng.normal(shift * y, 1, (n_scores, len(y)))


def delong_by_pairs(y, scores):
    """Areas and their covariance by the definition of DeLong et al., pair by pair."""
    differences = scores[:, y == 1, None] - scores[:, None, y == 0]
    wins = (differences > 0) + (differences == 0) / 2
    by_synthetic, by_real = wins.mean(axis=2), wins.mean(axis=1)
    covariance = np.cov(by_synthetic) / by_synthetic.shape[1] + np.cov(by_real) / by_real.shape[1]
    return wins.mean(axis=(1, 2)), covariance


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 500), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_rate_is_the_clopper_pearson_interval_of_scipy(n, share, confidence):
    k = round(share * n)
    expected = stats.binomtest(k, n).proportion_ci(confidence, method="exact")
    ours = rate(k, n, confidence)
    assert ours.value == k / n
    assert (ours.low, ours.high) == pytest.approx(
        (expected.low, expected.high), rel=1e-6, abs=1e-12
    )


@pytest.mark.parametrize("n", [1, 7, 30, 100])
def test_rate_covers_the_true_rate_at_least_95_times_of_100(n):
    k = np.arange(n + 1)
    intervals = [rate(int(successes), n) for successes in k]
    low, high = np.array([(r.low, r.high) for r in intervals]).T
    for true in np.linspace(0.001, 0.999, 200):
        covered = (low <= true) & (true <= high)
        assert stats.binom.pmf(k, n, true)[covered].sum() >= 0.95


def test_rate_of_nothing_is_unknown():
    nothing = rate(0, 0)
    assert np.isnan(nothing.value)
    assert (nothing.low, nothing.high, nothing.n) == (0.0, 1.0, 0)


def test_rate_reads_as_value_and_interval():
    assert f"{rate(962, 1000)}" == str(rate(962, 1000)) == "0.962 [0.948, 0.973]"
    assert f"{rate(962, 1000):.0%}" == "96% [95%, 97%]"


@pytest.mark.parametrize("counts", [(3, 2), (-1, 2), (0, -1)])
def test_rate_refuses_impossible_counts(counts):
    with pytest.raises(ValueError, match="use 0 <= successes <= n"):
        rate(*counts)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_impossible_confidence_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence is"):
        rate(1, 2, confidence)


@settings(deadline=None, max_examples=60)
@given(drawn=rows)
def test_auroc_is_that_of_scikit_learn_inside_an_interval_of_0_and_1(drawn):
    y, p, _ = columns(drawn)
    assume(0 < y.sum() < len(y))
    area = auroc(y, p)
    assert area.value == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert 0 <= area.low <= area.value <= area.high <= 1
    assert area.high - area.low > 0
    assert area.n == len(y)


@settings(deadline=None, max_examples=60)
@given(drawn=rows)
def test_auroc_turns_round_with_the_scores(drawn):
    y, p, _ = columns(drawn)
    assume(0 < y.sum() < len(y))
    area, turned = auroc(y, p), auroc(y, 1 - p)
    assert (area.low, area.value, area.high) == pytest.approx(
        (1 - turned.high, 1 - turned.value, 1 - turned.low), abs=1e-9
    )


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), decimals=st.integers(0, 3))
def test_auroc_interval_is_delongs_on_the_logit_scale(seed, decimals):
    y, scores = binormal(20, 30, 1.0, seed, n_scores=2)
    scores = scores.round(decimals)
    areas, covariance = delong_by_pairs(y, scores)
    ours = auroc(y, scores[0])
    half = 1.959963984540054 * np.sqrt(covariance[0, 0]) / (areas[0] * (1 - areas[0]))
    middle = np.log(areas[0] / (1 - areas[0]))
    expected = 1 / (1 + np.exp(-np.array([middle - half, middle, middle + half])))
    assert (ours.low, ours.value, ours.high) == pytest.approx(tuple(expected), rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_auroc_difference_is_the_paired_one_of_delong(seed):
    y, scores = binormal(20, 30, 1.0, seed, n_scores=2)
    areas, covariance = delong_by_pairs(y, scores)
    ours = auroc_difference(y, *scores)
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    expected = areas[0] - areas[1]
    assert ours.value == pytest.approx(expected, abs=1e-12)
    assert ours.p_value == pytest.approx(2 * stats.norm.sf(abs(expected) / error), rel=1e-9)
    assert ours.high - ours.low == pytest.approx(2 * 1.959963984540054 * error, rel=1e-9)


@pytest.mark.parametrize("shift", [0.5, 1.5, 2.5])
def test_auroc_interval_covers_the_true_area(shift):
    true = stats.norm.cdf(shift / np.sqrt(2))
    areas = [auroc(y, scores[0]) for y, scores in (binormal(50, 70, shift, s) for s in range(1000))]
    covered = np.mean([area.low <= true <= area.high for area in areas])
    assert 0.93 <= covered <= 0.985


def test_auroc_difference_of_equally_good_scores_covers_0_and_finds_a_true_difference():
    tested = [
        auroc_difference(y, *scores)
        for y, scores in (binormal(50, 70, 1.0, s, n_scores=2) for s in range(1000))
    ]
    assert 0.93 <= np.mean([d.low <= 0 <= d.high for d in tested]) <= 0.97
    assert 0.03 <= np.mean([d.p_value < 0.05 for d in tested]) <= 0.07
    y, scores = binormal(300, 300, 1.0, 0, n_scores=2)
    scores[1] += 2 * y
    assert auroc_difference(y, scores[1], scores[0]).p_value < 1e-6
    assert auroc_difference(y, scores[1], scores[0]).low > 0


@pytest.mark.parametrize("n", [1, 5, 100])
def test_perfect_ranking_has_the_interval_of_as_many_pairs_without_an_error(n):
    y = np.repeat([0, 1], [n, 2 * n])
    perfect, wrong = auroc(y, y.astype(float)), auroc(y, 1.0 - y)
    assert perfect.value == perfect.high == 1.0
    assert perfect.low == pytest.approx(0.025 ** (1 / n))
    assert wrong.value == wrong.low == 0.0
    assert wrong.high == pytest.approx(1 - 0.025 ** (1 / n))


def test_constant_scores_have_an_area_of_one_half_with_a_wide_interval():
    area = auroc([0, 0, 0, 1, 1], [0.3] * 5)
    assert area.value == 0.5
    assert area.low < 0.2
    assert area.high > 0.8


def test_auroc_of_one_class_is_unknown():
    area = auroc([1, 1, 1], [0.1, 0.2, 0.3])
    assert np.isnan(area.value)
    assert (area.low, area.high, area.n) == (0.0, 1.0, 3)
    difference = auroc_difference([1, 1], [0.1, 0.2], [0.2, 0.1])
    assert np.isnan(difference.value)
    assert np.isnan(difference.p_value)


def test_difference_of_equal_rankings_is_none():
    same = auroc_difference([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], [1.0, 2.0, 3.0, 4.0])
    assert (same.value, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_difference_of_two_perfect_rankings_is_not_certain_to_be_none():
    y = np.repeat([0, 1], 200)
    difference = auroc_difference(y, y + np.arange(400) / 1000, y - np.arange(400) / 1000)
    assert difference.value == 0.0
    assert difference.low < 0 < difference.high
    assert difference.p_value == 1.0


def test_rounding_is_no_variance_of_a_difference():
    # Each cluster has the same difference, a third, which no float is.
    y = np.repeat([0, 1], 3)
    a, b = np.array([0.2, 0.4, 0.6, 0.5, 0.5, 0.5]), np.array([0.1, 0.2, 0.3, 0.9, 0.9, 0.9])
    copies = np.tile(np.arange(6), 40)
    cluster = np.repeat(np.arange(40), 6)
    got = auroc_difference(y[copies], a[copies], b[copies], cluster=cluster)
    assert got.high - got.low > 0.4


def test_difference_without_a_variance_stays_uncertain_and_in_range():
    one = auroc_difference([0, 1], [0.1, 0.9], [0.9, 0.1])
    assert (one.value, one.low, one.high) == (1.0, -1.0, 1.0)
    assert one.p_value == 1.0
    y = np.repeat([0, 1], 200)
    many = auroc_difference(y, y.astype(float), 1.0 - y)
    assert many.low > 0.7
    assert many.p_value < 1e-9


@settings(deadline=None, max_examples=60)
@given(drawn=rows)
def test_log_loss_and_brier_are_those_of_scikit_learn(drawn):
    y, p, _ = columns(drawn)
    assert log_loss(y, p).value == pytest.approx(sklearn_log_loss(y, p, labels=[0, 1]), rel=1e-9)
    assert brier(y, p).value == pytest.approx(brier_score_loss(y, p, pos_label=1), abs=1e-12)
    assert 0 <= brier(y, p).low <= brier(y, p).value <= brier(y, p).high <= 1


def test_log_loss_interval_covers_the_true_loss():
    rng = np.random.default_rng(0)
    p = rng.beta(2, 2, (1000, 200))
    y = rng.random(p.shape) < p
    all_p = rng.beta(2, 2, 1_000_000)
    true = np.mean(-all_p * np.log(all_p) - (1 - all_p) * np.log(1 - all_p))
    losses = [log_loss(y[i], p[i]) for i in range(1000)]
    assert 0.93 <= np.mean([loss.low <= true <= loss.high for loss in losses]) <= 0.97


def test_loss_of_one_image_has_no_upper_end():
    assert (log_loss([1], [0.5]).low, log_loss([1], [0.5]).high) == (0.0, np.inf)
    assert log_loss([1], [0.5]).to_dict()["high"] is None


@pytest.mark.parametrize("n", [20, 500])
def test_errors_too_rare_to_be_seen_are_allowed_for(n):
    y = np.arange(n) % 2
    perfect = brier(y, y.astype(float))
    assert perfect.value == perfect.low == 0
    assert perfect.high == pytest.approx(rate(0, n).high)
    assert log_loss(y, y.astype(float)).high == np.inf
    # A third has no exact square, so rounding makes a variance.
    constant = brier(y, np.where(y == 1, 1 / 3, 2 / 3))
    assert constant.low == pytest.approx(4 / 9 * (1 - perfect.high))
    assert constant.high == pytest.approx(4 / 9 + 5 / 9 * perfect.high)


def test_copies_of_images_leave_as_many_errors_unseen():
    y = np.repeat(np.arange(20) % 2, 50)
    together = brier(y, y.astype(float), cluster=np.repeat(np.arange(20), 50))
    assert together.high == pytest.approx(rate(0, 20).high)


def test_calibration_error_by_hand():
    y = np.array([0, 0, 1, 1, 1, 0])
    p = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    expected = (abs(0.2 - 1 / 3) + abs(0.8 - 2 / 3)) / 2
    assert expected_calibration_error(y, p, n_bins=2) == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, order=st.randoms(), n_bins=st.integers(1, 20))
def test_calibration_error_does_not_depend_on_the_order(drawn, order, n_bins):
    y, p, _ = columns(drawn)
    place = list(range(len(y)))
    order.shuffle(place)
    error = expected_calibration_error(y, p, n_bins)
    assert expected_calibration_error(y[place], p[place], n_bins) == pytest.approx(error, abs=1e-12)
    assert 0 <= error <= 1


def test_calibration_error_tells_calibrated_from_overconfident():
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 1, 50_000)
    p = 1 / (1 + np.exp(-logit))
    y = (rng.random(50_000) < p).astype(int)
    assert expected_calibration_error(y, p) < 0.01
    assert expected_calibration_error(y, 1 / (1 + np.exp(-4 * logit))) > 0.15


def test_figures_count_right():
    y = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    p = [0.1, 0.2, 0.6, 0.3, 0.9, 0.8, 0.5, 0.4, 0.7, 0.6]
    measured = figures(y, p, 0.5)
    assert (measured.n, measured.n_real, measured.n_synthetic) == (10, 4, 6)
    assert measured.accuracy == rate(8, 10)
    assert measured.error == rate(2, 10)
    assert measured.precision == rate(5, 6)
    assert measured.recall == rate(5, 6)
    assert measured.false_positive_rate == rate(1, 4)
    assert measured.false_negative_rate == rate(1, 6)
    assert measured.auroc == auroc(y, p)
    assert measured.log_loss == log_loss(y, p)


@settings(deadline=None, max_examples=60)
@given(drawn=rows, threshold=st.floats(0, 1))
def test_figures_of_any_data_agree_with_each_other_and_are_json(drawn, threshold):
    y, p, _ = columns(drawn)
    measured = figures(y, p, threshold)
    assert measured.accuracy.value + measured.error.value == pytest.approx(1)
    described = json.loads(json.dumps(measured.to_dict(), allow_nan=False))
    assert described["n"] == len(y)
    assert described["accuracy"]["low"] == measured.accuracy.low
    one_class = y.sum() in (0, len(y))
    assert (described["auroc"]["value"] is None) == one_class


def test_figures_follow_the_confidence():
    y, p = [0, 1] * 20, np.linspace(0.2, 0.8, 40)
    wide, narrow = figures(y, p, 0.5, confidence=0.99), figures(y, p, 0.5, confidence=0.8)
    for name in ("accuracy", "recall", "auroc", "log_loss", "brier"):
        inner, outer = getattr(narrow, name), getattr(wide, name)
        assert outer.low < inner.low < inner.high < outer.high


def test_figures_of_one_class_say_what_is_not_known():
    measured = figures([0, 0, 0], [0.1, 0.2, 0.9], 0.5)
    assert measured.recall.n == 0
    assert measured.false_positive_rate.value == pytest.approx(1 / 3)
    assert np.isnan(measured.auroc.value)


def test_by_group_gives_the_accuracy_of_each():
    accuracy = by_group(
        [0, 0, 1, 1, 1], [0.1, 0.9, 0.8, 0.7, 0.2], 0.5, ["nikon", "nikon", "gan", "gan", "gan"]
    )
    assert accuracy == {"gan": rate(2, 3), "nikon": rate(1, 2)}


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([0, 1, 1], [0.1, np.nan, 0.3], "p of row 1 is NaN"),
        ([0, 1], [0.1, 1.2], "p of row 1 is 1.2"),
        ([0, 2], [0.1, 0.2], "y of row 1 is 2"),
        ([0, 1], [0.1], "y has shape"),
        ([], [], "y is empty"),
    ],
)
def test_figures_refuse_by_name(y, p, message):
    with pytest.raises(DataError, match=message):
        figures(y, p, 0.5)


def test_by_group_refuses_groups_that_do_not_fit():
    with pytest.raises(DataError, match="groups has 1 rows, y has 2"):
        by_group([0, 1], [0.1, 0.9], 0.5, ["nikon"])


def test_auroc_difference_names_the_score_with_nan():
    with pytest.raises(DataError, match="p_b of row 0 is NaN"):
        auroc_difference([0, 1], [0.1, 0.2], [np.nan, 0.2])


def test_a_million_images_take_seconds_at_most():
    import time

    y, scores = binormal(500_000, 500_000, 1.0, 0)
    p = 1 / (1 + np.exp(-scores[0]))
    start = time.perf_counter()
    assert figures(y, p, 0.5).auroc.n == 1_000_000
    assert time.perf_counter() - start < 20


def test_docstring_examples_run():
    assert doctest.testmod(metrics).failed == 0
