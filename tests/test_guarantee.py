import doctest
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from synthdetect.ensemble import guarantee
from synthdetect.ensemble.bounds import most_allowed
from synthdetect.ensemble.guarantee import MaxFPR, MinPrecision, MinRecall
from synthdetect.errors import DataError

STRENGTH = 1.2


def images(n_real, n_synthetic, rng):
    """Labels and probabilities of a detector whose true rates are known."""
    y = np.repeat([0, 1], [n_real, n_synthetic])
    return y, 1 / (1 + np.exp(-rng.normal(STRENGTH * (2 * y - 1), 1.0)))


def true_rates(value):
    """False positive rate and recall at a threshold."""
    with np.errstate(divide="ignore"):
        logit = np.log(value) - np.log1p(-value)
    return norm.sf(logit + STRENGTH), norm.sf(logit - STRENGTH)


def three_standard_errors(share, n):
    return share + 3 * np.sqrt(share * (1 - share) / n)


def fitted(policy, n_real, n_synthetic, n_sets, seed=0):
    """True rates of thresholds learned on many simulated sets."""
    rng = np.random.default_rng(seed)
    values = [
        policy.fit(*images(n_real, n_synthetic, rng), n_replicates=0).value for _ in range(n_sets)
    ]
    return true_rates(np.array(values))


def test_max_fpr_is_beyond_its_bound_in_at_most_5_percent_of_2000_sets_and_is_not_timid():
    false_positive_rate, _ = fitted(MaxFPR(0.01), 1000, 1000, 2000)
    assert (false_positive_rate > 0.01).mean() <= three_standard_errors(0.05, 2000)
    assert false_positive_rate.mean() >= 0.004


@pytest.mark.parametrize(("n", "alpha"), [(59, 0.05), (300, 0.05), (1000, 0.2)])
def test_max_fpr_holds_at_other_sizes_and_bounds(n, alpha):
    false_positive_rate, _ = fitted(MaxFPR(alpha), n, 100, 500, seed=1)
    assert (false_positive_rate > alpha).mean() <= three_standard_errors(0.05, 500)


def test_max_fpr_holds_with_ties():
    rng = np.random.default_rng(2)
    shares = np.array([0.3, 0.3, 0.2, 0.12, 0.05, 0.03])
    scores = np.linspace(0.1, 0.9, 6)
    beyond = 0
    for _ in range(500):
        p = np.concatenate((rng.choice(scores, 200, p=shares), rng.choice(scores, 50)))
        value = MaxFPR(0.1).fit(np.repeat([0, 1], [200, 50]), p, n_replicates=0).value
        beyond += shares[scores >= value].sum() > 0.1 + 1e-12
    assert beyond / 500 <= three_standard_errors(0.05, 500)


def test_the_simulation_can_fail():
    rng = np.random.default_rng(3)
    beyond = 0
    for _ in range(500):
        y, p = images(1000, 10, rng)
        naive = np.quantile(p[y == 0], 0.99)
        beyond += true_rates(naive)[0] > 0.01
    assert beyond / 500 > three_standard_errors(0.05, 500)


def test_min_recall_is_beyond_its_bound_in_at_most_5_percent_of_sets():
    _, recall = fitted(MinRecall(0.9), 300, 300, 1000)
    assert (recall < 0.9).mean() <= three_standard_errors(0.05, 1000)
    assert recall.mean() < 0.95


@pytest.mark.parametrize("prevalence", [None, 0.2])
def test_min_precision_is_beyond_its_bound_in_at_most_5_percent_of_sets(prevalence):
    false_positive_rate, recall = fitted(MinPrecision(0.75, prevalence), 2000, 1000, 500)
    share = 1 / 3 if prevalence is None else prevalence
    hits = share * recall
    precision = hits / (hits + (1 - share) * false_positive_rate)
    assert (precision < 0.75).mean() <= three_standard_errors(0.05, 500)
    assert recall.mean() > 0.2


@settings(deadline=None, max_examples=60)
@given(
    n=st.tuples(st.integers(30, 120), st.integers(1, 60)),
    seed=st.integers(0, 1000),
    digits=st.integers(1, 8),
    alpha=st.floats(0.1, 0.5),
)
@pytest.mark.filterwarnings("ignore:the threshold is learned on", "ignore:the classes")
def test_max_fpr_and_min_recall_are_the_best_of_scikit_learns_roc_curve_within_their_counts(
    n, seed, digits, alpha
):
    from sklearn.metrics import roc_curve

    y, p = images(*n, np.random.default_rng(seed))
    p = np.clip(p.round(digits), 0.001, 0.999)
    most = most_allowed(n[0], alpha, 0.95)
    false_positive_rate, recall, _ = roc_curve(y, p, drop_intermediate=False)
    within = np.round(false_positive_rate * n[0]) <= most
    learned = MaxFPR(alpha).fit(y, p, n_replicates=0)
    assert learned.false_positive_rate.value * n[0] <= most + 1e-9
    assert 1 - learned.false_negative_rate.value == pytest.approx(recall[within].max(), abs=1e-12)
    # The same with the classes changed over.
    turned = MinRecall(1 - alpha).fit(1 - y, 1 - p, n_replicates=0)
    most = most_allowed(n[0], 1 - (1 - alpha), 0.95)
    within = np.round(false_positive_rate * n[0]) <= most
    found = 1 - turned.false_positive_rate.value
    assert found == pytest.approx(recall[within].max(), abs=1e-12)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (
            MaxFPR(0.001),
            "to bound the false-positive rate at 0.1 % with 95 % confidence you need at least "
            "2,995 real images; you gave 393",
        ),
        (
            MinRecall(0.99),
            "to keep the recall at 99 % or more with 95 % confidence you need at least "
            "299 synthetic images; you gave 60",
        ),
        (MinPrecision(0.99, prevalence=0.01), "no threshold keeps the precision at 99 %"),
    ],
    ids=["fpr", "recall", "precision"],
)
def test_too_few_images_are_refused_with_the_number_needed(policy, message):
    with pytest.raises(DataError, match=message):
        policy.fit(*images(393, 60, np.random.default_rng(0)))


def test_the_number_that_the_message_asks_for_is_enough():
    learned = MaxFPR(0.001).fit(*images(2995, 60, np.random.default_rng(0)))
    assert learned.false_positive_rate.value == 0


def test_max_fpr_refuses_real_images_that_no_threshold_can_leave_out():
    with pytest.raises(DataError, match="a probability of exactly 1"):
        MaxFPR(0.05).fit(np.repeat([0, 1], 100), np.ones(200))


@pytest.mark.parametrize(
    "make",
    [
        lambda: MaxFPR(0.0),
        lambda: MaxFPR(0.1, confidence=1.0),
        lambda: MinRecall(1.0),
        lambda: MinPrecision(0.9, prevalence=0.0),
    ],
)
def test_shares_outside_0_and_1_are_refused(make):
    with pytest.raises(ValueError, match="use a share between 0 and 1"):
        make()


def test_the_precision_that_the_message_tells_can_be_asked_for():
    for seed in range(20):
        y, p = images(300, 300, np.random.default_rng(seed))
        with pytest.raises(DataError, match="can be shown") as refused:
            MinPrecision(0.999).fit(y, p)
        told = float(re.search(r"at most ([\d.]+) %", str(refused.value))[1]) / 100
        assert MinPrecision(told).fit(y, p, n_replicates=0).n == 600


def test_ties_do_not_make_min_precision_surer_of_the_recall():
    from scipy.stats import beta

    y, p = np.repeat([0, 1], 100), np.repeat([0.2, 0.8], 100)
    with pytest.raises(DataError, match="can be shown") as refused:
        MinPrecision(0.999).fit(y, p)
    # Of 100 images 98 were to be found; the scores, all equal, chose a cut that finds 100.
    tail = 0.05 / 32
    recall, alarms = beta.ppf(tail, 98, 3), beta.ppf(1 - tail, 1, 100)
    best = np.floor(1000 * recall / (recall + alarms)) / 10
    assert f"at most {best:.6g} % can be shown" in str(refused.value)


def test_max_fpr_finds_at_least_what_mapie_finds_with_the_same_promise():
    mapie = pytest.importorskip("mapie.risk_control")
    y, p = images(2000, 2000, np.random.default_rng(4))
    learned = MaxFPR(0.05).fit(y, p, n_replicates=0)
    controller = mapie.BinaryClassificationController(
        lambda X: np.column_stack([1 - X[:, 0], X[:, 0]]),
        risk="fpr",
        target_level=0.05,
        confidence_level=0.95,
        best_predict_param_choice="recall",
    ).calibrate(p[:, np.newaxis], y)
    theirs = controller.best_predict_param
    assert true_rates(theirs)[0] < 0.05
    assert learned.value <= theirs < learned.value + 0.15


def test_min_precision_finds_at_least_what_mapie_finds_with_the_same_promise():
    mapie = pytest.importorskip("mapie.risk_control")
    y, p = images(4000, 4000, np.random.default_rng(5))
    learned = MinPrecision(0.8).fit(y, p, n_replicates=0)
    controller = mapie.BinaryClassificationController(
        lambda X: np.column_stack([1 - X[:, 0], X[:, 0]]),
        risk="precision",
        target_level=0.8,
        confidence_level=0.95,
        best_predict_param_choice="recall",
    ).calibrate(p[:, np.newaxis], y)
    assert true_rates(learned.value)[1] >= true_rates(controller.best_predict_param)[1] - 0.03


def test_docstring_examples_run():
    assert doctest.testmod(guarantee).failed == 0
