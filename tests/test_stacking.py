import doctest
import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import LinearSVC

from synthdetect.ensemble import stacking
from synthdetect.ensemble.kinds import combiner_from_dict
from synthdetect.ensemble.learn import Decision, learn_decision
from synthdetect.ensemble.stacked import EstimatorCombiner, StackedCombiner
from synthdetect.ensemble.stacking import Stacking
from synthdetect.ensemble.trees import MOST_LEVELS
from synthdetect.errors import BundleError, DataError

BY_NAME = ("logistic", "pairwise", "boosting")


def images(n, seed, strengths=(1.0, 0.5, 0.2)):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return rng.normal((2 * y[:, None] - 1) * np.asarray(strengths), 1.0), y


@pytest.fixture(scope="module", params=BY_NAME)
def combiner(request):
    return Stacking(request.param, n_folds=2).fit(*images(200, 0))


def test_stacking_survives_json_bit_for_bit(combiner):
    again = combiner_from_dict(json.loads(json.dumps(combiner.to_dict())))
    rows, _ = images(100, 1)
    assert again == combiner
    assert again(rows).tobytes() == combiner(rows).tobytes()


@settings(deadline=None, max_examples=30)
@given(
    rows=arrays(np.float64, st.tuples(st.integers(1, 20), st.just(3)), elements=st.floats(-60, 60))
)
def test_combined_logit_is_bit_equal_whatever_the_batch(combiner, rows):
    whole = combiner(rows)
    alone = np.concatenate([combiner(rows[i : i + 1]) for i in range(len(rows))])
    assert whole.tobytes() == alone.tobytes()
    assert combiner(rows[::-1])[::-1].tobytes() == whole.tobytes()


def test_a_member_that_did_not_look_is_replaced_by_its_median_and_told(combiner):
    rows, _ = images(10, 2)
    with_medians = rows.copy()
    rows[[1, 4], 2] = np.nan
    with_medians[[1, 4], 2] = combiner.fill[2]
    with pytest.warns(UserWarning, match="member 2 has no logit in 2 of 10 rows; its median"):
        combined = combiner(rows)
    np.testing.assert_array_equal(combined, combiner(with_medians))


def test_an_image_that_nobody_looked_at_stays_nan_without_a_warning(combiner):
    rows = np.vstack([images(3, 3)[0], [[np.nan] * 3]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        combined = combiner(rows)
    assert np.isnan(combined).tolist() == [False, False, False, True]


def test_the_fill_is_the_median_where_it_learned(combiner):
    np.testing.assert_array_equal(combiner.fill, np.median(images(200, 0)[0], axis=0))


def test_no_rows_give_no_logits(combiner):
    assert combiner(np.empty((0, 3))).shape == (0,)


def test_another_number_of_members_is_refused(combiner):
    with pytest.raises(DataError, match="logits has 2 columns, the combiner has 3 members"):
        combiner([[1.0, 2.0]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: LogisticRegression(C=0.5),
        lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.5)),
        lambda: make_pipeline(StandardScaler(with_mean=False), LogisticRegression()),
        lambda: GradientBoostingClassifier(n_estimators=15, max_depth=3, random_state=0),
        lambda: make_pipeline(GradientBoostingClassifier(n_estimators=5, random_state=0)),
        lambda: make_pipeline(
            StandardScaler(),
            PolynomialFeatures(2, interaction_only=True, include_bias=False),
            LogisticRegression(),
        ),
    ],
    ids=["logistic", "scaled", "scaled only", "boosting", "boosting in a pipeline", "pairs"],
)
def test_a_classifier_of_ones_own_that_can_be_saved_gives_the_same_logits(make):
    logits, y = images(300, 4)
    learned = Stacking(make()).fit(logits, y)
    again = combiner_from_dict(json.loads(json.dumps(learned.to_dict())))
    rows, _ = images(500, 5)
    expected = make().fit(logits, y).decision_function(rows)
    np.testing.assert_allclose(again(rows), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomForestClassifier(20, random_state=0),
        lambda: LinearSVC(random_state=0),
        lambda: GradientBoostingClassifier(n_estimators=3, init=LogisticRegression()),
        lambda: GradientBoostingClassifier(n_estimators=10, init="zero"),
    ],
    ids=["probabilities", "decisions", "boosting from a model", "boosting from zero"],
)
def test_any_other_classifier_works_in_memory_and_says_that_it_cannot_be_saved(make):
    logits, y = images(200, 6)
    mine = make()
    decision = learn_decision(logits, y, combiner=Stacking(mine), seed=0)
    assert isinstance(decision.combiner, EstimatorCombiner)
    assert not hasattr(mine, "classes_")  # a clone learned
    new, new_y = images(400, 7)
    assert np.mean(decision.decision(new) == new_y) > 0.75
    assert np.isfinite(decision.combiner(new)).all()
    assert decision.combiner(np.empty((0, 3))).shape == (0,)
    with pytest.raises(BundleError, match="works in memory but cannot be saved; use Stacking"):
        decision.to_dict()


def test_products_alone_as_many_as_members_are_not_taken_for_the_members():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (300, 3))
    y = (logits[:, 0] * logits[:, 1] > 0).astype(int)
    model = make_pipeline(
        StandardScaler(),
        PolynomialFeatures((2, 2), interaction_only=True, include_bias=False),
        LogisticRegression(),
    )
    learned = Stacking(model).fit(logits, y)
    np.testing.assert_allclose(learned(logits), model.fit(logits, y).decision_function(logits))


def test_trees_too_deep_to_be_read_again_are_not_saved():
    logits, y = np.arange(140.0)[:, np.newaxis], np.arange(140) % 2
    model = GradientBoostingClassifier(n_estimators=1, max_depth=None)
    learned = Stacking(model).fit(logits, y)
    assert learned.estimator.estimators_[0, 0].tree_.max_depth > MOST_LEVELS
    with pytest.raises(BundleError, match="cannot be saved"):
        learned.to_dict()


def test_products_of_two_members_learn_what_a_sum_cannot():
    rng = np.random.default_rng(8)
    logits = rng.normal(0, 1, (800, 2))
    y = (logits[:, 0] * logits[:, 1] > 0).astype(int)
    for name in ("pairwise", "boosting"):
        found = Stacking(name, n_folds=2).fit(logits, y)(logits) > 0
        assert np.mean(found == y) > 0.9
    assert np.mean((Stacking().fit(logits, y)(logits) > 0) == y) < 0.65


def test_little_to_learn_gets_a_weak_classifier_and_much_a_strong_one():
    rng = np.random.default_rng(9)
    noise = Stacking().fit(rng.normal(0, 1, (60, 8)), np.arange(60) % 2)
    clear = Stacking().fit(*images(2000, 10))
    assert np.abs(noise.weights).max() < 0.5
    assert np.abs(clear.weights).max() > 1.5


def test_stacking_on_new_images_is_near_the_best_possible():
    learned = Stacking().fit(*images(2000, 11))
    new, new_y = images(20_000, 12)
    best = 1 / (1 + np.exp(-2 * new @ [1.0, 0.5, 0.2]))
    assert log_loss(new_y, 1 / (1 + np.exp(-learned(new)))) < log_loss(new_y, best) + 0.005


def test_two_images_of_a_class_get_the_weakest_candidate():
    assert Stacking().fit([[0.0], [1.0], [2.0]], [0, 1, 1]).n_members == 1


def test_learning_twice_gives_the_same():
    logits, y = images(100, 13)
    for name in BY_NAME:
        learner = Stacking(name, n_folds=2, seed=1)
        assert learner.fit(logits, y) == learner.fit(logits, y)


def test_a_decision_with_stacking_survives_json():
    logits, y = images(100, 14)
    learned = learn_decision(logits, y, combiner=Stacking(n_folds=2), n_folds=3, seed=0)
    assert Decision.from_dict(json.loads(json.dumps(learned.to_dict()))) == learned


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "forest"}, "estimator is 'forest'; use one of"),
        ({"estimator": 3}, "estimator is 3; use a scikit-learn classifier"),
        ({"n_folds": 1}, "n_folds is 1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Stacking(**options)


def test_a_classifier_without_scores_is_refused():
    from sklearn.linear_model import RidgeClassifier
    from sklearn.multiclass import OutputCodeClassifier

    with pytest.raises(DataError, match="neither decision_function nor predict_proba"):
        Stacking(OutputCodeClassifier(RidgeClassifier())).fit(*images(40, 15))


def test_unread_images_are_refused_when_learning():
    with pytest.raises(DataError, match="logits of row 0 is NaN"):
        Stacking().fit([[np.nan], [1.0]], [0, 1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scale": [1.0, 0.0]}, "scale 0.0; use numbers above 0"),
        ({"scale": [1.0]}, "scale has 1 numbers for 2 members"),
        ({"pairs": [1.0, 2.0]}, "pairs has 2 numbers for 2 members"),
        ({"weights": []}, "weights is empty"),
        ({"bias": None}, "bias is None"),
        ({"fill": [0.0, "x"]}, r"fill\[1\] is 'x'"),
        ({"extra": 1}, "extra is not known"),
    ],
)
def test_description_is_refused_by_field(changed, message):
    two = [1.0, 1.0]
    description = {
        "kind": "stacking",
        "bias": 0.0,
        "weights": two,
        "center": two,
        "scale": two,
        "fill": two,
        "pairs": [],
    }
    assert StackedCombiner.from_dict(description).n_members == 2
    with pytest.raises(ValueError, match=message):
        StackedCombiner.from_dict(description | changed)


def test_docstring_examples_run():
    assert doctest.testmod(stacking).failed == 0
