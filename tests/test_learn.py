import doctest
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthdetect.ensemble import learn
from synthdetect.ensemble.calibrate import Temperature
from synthdetect.ensemble.choose import AutoCalibration
from synthdetect.ensemble.combine import LinearCombiner
from synthdetect.ensemble.learn import (
    Decision,
    deal_folds,
    learn_decision,
    out_of_fold_probability,
)
from synthdetect.ensemble.policies import CostWeighted, Fixed, Youden
from synthdetect.ensemble.scaling import BetaCalibration, PlattScaling, TemperatureScaling
from synthdetect.ensemble.threshold import BandThreshold, Threshold
from synthdetect.ensemble.voting import Best, Median, SoftVote, TrimmedMean
from synthdetect.errors import DataError

STRENGTHS = np.array([1.2, 0.6, 0.0])


def images(n, seed=0, overconfidence=1.0):
    """Logits of three members, of which the third sees nothing, and labels."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    logits = 2 * STRENGTHS * rng.normal((2 * y[:, None] - 1) * STRENGTHS, 1.0, (n, 3))
    logits[:, 2] = rng.normal(0, 1, n)
    return logits * overconfidence, y


@pytest.fixture(scope="module")
def learned():
    return learn_decision(*images(4000, overconfidence=5.0), seed=0)


def test_the_best_member_gets_the_most_weight_and_a_blind_one_next_to_none(learned):
    first, second, blind = learned.combiner.weights
    assert first > 0.4
    assert second > 0.3
    assert blind < 0.05


def test_learned_probabilities_are_calibrated_on_new_images(learned):
    logits, y = images(40_000, seed=1, overconfidence=5.0)
    p = learned.probability(logits)
    for low in np.arange(0.0, 1.0, 0.1):
        inside = (p >= low) & (p < low + 0.1)
        assert abs(p[inside].mean() - y[inside].mean()) < 0.04


def test_learned_decision_is_near_the_best_possible_on_new_images(learned):
    from scipy.stats import norm

    logits, y = images(40_000, seed=2, overconfidence=5.0)
    best = norm.cdf(np.linalg.norm(STRENGTHS))
    assert (learned.decision(logits) == y).mean() > best - 0.01


@settings(deadline=None, max_examples=15)
@given(row=st.integers(0, 59), seed=st.integers(0, 100))
def test_the_label_of_an_image_has_no_influence_on_its_out_of_fold_probability(row, seed):
    logits, y = images(60, seed)
    y[:10] = [0, 1] * 5
    fold = deal_folds(y, seed=seed)
    turned = y.copy()
    turned[row] = 1 - turned[row]
    before = out_of_fold_probability(logits, y, fold)[row]
    assert out_of_fold_probability(logits, turned, fold)[row] == before


def test_the_check_of_leaks_can_fail():
    logits, y = images(60)
    turned = y.copy()
    turned[0] = 1 - turned[0]
    in_sample = [SoftVote().fit(logits, labels)(logits)[0] for labels in (y, turned)]
    assert in_sample[0] != in_sample[1]


def test_out_of_fold_probability_is_what_the_other_folds_give():
    logits, y = images(90)
    fold = deal_folds(y, n_folds=3, seed=0)
    rest = fold != 1
    combined = np.empty(rest.sum())
    for held in (0, 2):
        inner = SoftVote().fit(logits[fold == 2 - held], y[fold == 2 - held])
        combined[fold[rest] == held] = inner(logits[fold == held])
    calibrator = TemperatureScaling().fit(combined, y[rest])
    expected = calibrator(SoftVote().fit(logits[rest], y[rest])(logits[fold == 1]))
    p = out_of_fold_probability(logits, y, fold)
    np.testing.assert_allclose(p[fold == 1], expected, rtol=1e-12)


def test_learning_from_noise_does_not_find_certainty():
    rng = np.random.default_rng(3)
    logits, y = rng.normal(0, 3, (60, 20)), np.tile([0, 1], 30)
    p = learn_decision(logits, y, seed=0).probability(rng.normal(0, 3, (500, 20)))
    in_sample = SoftVote().fit(logits, y)
    overfitted = TemperatureScaling().fit(in_sample(logits), y)
    assert np.abs(p - 0.5).mean() < 0.5 * np.abs(overfitted(in_sample(logits)) - 0.5).mean()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), n_groups=st.integers(20, 60), n_folds=st.integers(3, 6))
def test_folds_never_split_a_group(seed, n_groups, n_folds):
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, 100)])
    y = groups % 2
    fold = deal_folds(y, groups=[f"camera {g}" for g in groups], n_folds=n_folds, seed=seed)
    for group in range(n_groups):
        assert len(set(fold[groups == group])) == 1
    assert set(fold) == set(range(n_folds))


@pytest.mark.parametrize("grouped", [False, True])
def test_folds_keep_the_share_of_each_class(grouped):
    y = np.repeat([0, 1], [400, 100])
    fold = deal_folds(y, groups=np.arange(500) if grouped else None, seed=0)
    assert [y[fold == k].sum() for k in range(5)] == [20] * 5
    assert [np.sum(fold == k) for k in range(5)] == [100] * 5


def test_learning_twice_gives_the_same_and_another_seed_deals_other_folds():
    logits, y = images(300)
    assert learn_decision(logits, y, seed=1) == learn_decision(logits, y, seed=1)
    assert (deal_folds(y, seed=1) != deal_folds(y, seed=2)).any()


def test_learners_and_policy_are_used():
    logits, y = images(200)
    assert learn_decision(logits, y, policy=Fixed(0.9), seed=0).threshold.value == 0.9
    careful = learn_decision(logits, y, policy=CostWeighted(false_positive=50), seed=0)
    assert careful.threshold.value > learn_decision(logits, y, seed=0).threshold.value
    assert careful.threshold.n == 200


def test_groups_change_what_is_learned():
    logits, y = images(200)
    groups = np.arange(200) // 4
    y = y[groups * 4]
    assert learn_decision(logits, y, groups=groups, seed=0) != learn_decision(logits, y, seed=0)


@pytest.mark.parametrize(
    ("y", "groups", "message"),
    [
        ([0] * 20 + [1] * 4, None, "4 synthetic images, too few for 5 folds; at least 5"),
        ([0] * 3 + [1] * 20, None, "3 real images, too few for 5 folds; at least 5"),
        ([0, 1] * 10, [0, 1, 2, 3] * 5, "2 real groups of images, too few for 5 folds"),
        ([1] * 20, None, "one class only"),
        ([0, 1] * 10, [0, 1], r"groups has shape \(2,\); use \(20,\)"),
    ],
)
def test_too_few_images_are_refused_with_the_number_needed(y, groups, message):
    with pytest.raises(DataError, match=message):
        learn_decision(np.arange(len(y) * 2.0).reshape(-1, 2), y, groups=groups, seed=0)


def test_the_fewest_images_that_the_message_asks_for_are_enough():
    logits, y = images(10)
    y[:] = [0, 1] * 5
    assert 0 < learn_decision(logits, y, seed=0).threshold.value < 1


@pytest.mark.parametrize("fold", [np.arange(90) % 2, np.arange(30) % 3])
def test_folds_that_do_not_fit_are_refused(fold):
    with pytest.raises(DataError, match="use one fold for each of 90 rows, 3 folds or more"):
        out_of_fold_probability(*images(90), fold)


def test_uneven_groups_are_refused_or_leave_three_folds_of_each_class():
    y = np.array([0] * 4 + [1] * 4 + [0] * 500 + [1] * 500)
    groups = np.array([*range(8), *[8] * 500, *[9] * 500])
    fold = deal_folds(y, groups=groups, seed=0)
    assert all(len(set(fold[y == value])) >= 3 for value in (0, 1))


def test_two_folds_are_refused():
    with pytest.raises(ValueError, match="n_folds is 2; use 3 or more"):
        learn_decision(*images(100), n_folds=2, seed=0)


def test_an_unread_image_is_refused_when_learning_and_stays_nan_when_applying(learned):
    logits, y = images(50)
    logits[7] = np.nan
    logits[8, 1] = np.nan  # one member did not look; the others decide
    with pytest.raises(DataError, match="logits of row 7 is NaN"):
        learn_decision(logits, y, seed=0)
    assert np.flatnonzero(np.isnan(learned.probability(logits))).tolist() == [7]
    assert np.flatnonzero(np.isnan(learned.decision(logits))).tolist() == [7]


def test_probability_is_bit_equal_whatever_the_batch(learned):
    logits, _ = images(257)
    alone = np.concatenate([learned.probability(logits[i : i + 1]) for i in range(257)])
    assert learned.probability(logits).tobytes() == alone.tobytes()


def test_a_band_leaves_images_between_its_ends_without_a_decision():
    band = BandThreshold(0.4, 0.6, "by hand")
    decision = Decision(LinearCombiner((1.0,)), Temperature(1.0), band)
    np.testing.assert_array_equal(decision.decision([[-1.0], [0.0], [1.0]]), [0.0, np.nan, 1.0])


@pytest.mark.parametrize("calibrator", [PlattScaling(), BetaCalibration(), AutoCalibration()])
@pytest.mark.parametrize("combiner", [Best(), Median(), TrimmedMean(), SoftVote(shrinkage=0.2)])
def test_every_combiner_goes_with_every_calibrator(combiner, calibrator):
    logits, y = images(120)
    learned = learn_decision(logits, y, combiner=combiner, calibrator=calibrator, seed=0)
    assert (learned.decision(logits) == y).mean() > 0.8
    assert Decision.from_dict(json.loads(json.dumps(learned.to_dict()))) == learned


def test_decision_is_at_the_threshold():
    decision = Decision(LinearCombiner((1.0,)), Temperature(1.0), Threshold(0.5, "by hand"))
    assert decision.decision([[-1.0], [0.0], [1.0]]).tolist() == [0.0, 1.0, 1.0]


def test_decision_survives_json_bit_for_bit(learned):
    again = Decision.from_dict(json.loads(json.dumps(learned.to_dict())))
    assert again == learned
    assert again.threshold.policy == repr(Youden())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"threshold": None}, "threshold: None is not a mapping"),
        ({"combiner": {"kind": "soft_vote"}}, "combiner: weights is missing"),
        ({"explain": {}}, "decision: explain is not known"),
    ],
)
def test_decision_description_is_refused_by_field(learned, changed, message):
    with pytest.raises(ValueError, match=message):
        Decision.from_dict(learned.to_dict() | changed)


def test_rows_of_no_group_are_each_their_own():
    y = np.arange(60) % 2
    some = np.where(np.arange(60) < 20, None, np.arange(60) // 4).astype(object)
    fold = deal_folds(y, groups=some, seed=0)
    alone = deal_folds(y, groups=[None] * 60, seed=0)
    assert np.bincount(alone).tolist() == [12] * 5
    assert len(set(fold[:20].tolist())) == 5
    assert all(len(set(fold[k : k + 4].tolist())) == 1 for k in range(20, 60, 4))
    with pytest.raises(DataError, match="groups has shape"):
        deal_folds(y, groups=[None], seed=0)


def test_groups_of_several_types_are_told_apart_by_their_text():
    y = np.arange(60) % 2
    mixed = np.array([str(i // 4) if i % 8 < 4 else i // 4 for i in range(60)], dtype=object)
    np.testing.assert_array_equal(
        deal_folds(y, groups=mixed, seed=0) == deal_folds(y, groups=mixed, seed=0)[0],
        deal_folds(y, groups=mixed.astype(str), seed=0)
        == deal_folds(y, groups=mixed.astype(str), seed=0)[0],
    )


def test_docstring_examples_run():
    assert doctest.testmod(learn).failed == 0
