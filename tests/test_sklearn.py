"""Detectors are at home in scikit-learn: its checks, its cross-validation and its meta-estimators.

Of its estimator checks those are run that feed no table of numbers. All others hand `X` of shape
(n, features) to `fit`, which is no image to anybody; scikit-learn itself leaves out all checks of
an estimator whose tag `two_d_array` is False.
"""

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.validation import check_is_fitted

from conftest import labelled_arrays
from synthdetect import Detector, MemberClassifier, SpectralMember
from synthdetect.images.views import Crops

MEMBER = SpectralMember(
    view=Crops(1, 128), copies=0, n_nets=2, n_hidden=8, n_epochs=60, learning_rate=3e-3
)
N_EACH = 26  # a half must leave 10 of each class to train on
FEW = slice(N_EACH - 7, N_EACH + 7)
CLASSIFIERS = [Detector([MEMBER]), MemberClassifier(MEMBER)]
CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimators_unfitted",
]

by_name = pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: type(c).__name__)
in_any_form = pytest.mark.parametrize("form", ["paths", "objects", "strings", "stack"])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """The same 52 images in every form, one class after the other, and their labels."""
    arrays, y = labelled_arrays(N_EACH, seed=4)
    folder = tmp_path_factory.mktemp("png")
    paths = [folder / f"{i:03}.png" for i in range(2 * N_EACH)]
    for path, pixels in zip(paths, arrays, strict=True):
        Image.fromarray(pixels).save(path)
    forms = {
        "paths": paths,
        "objects": np.array(paths, dtype=object),
        "strings": np.array(list(map(str, paths))),
        "stack": np.stack(arrays),
    }
    return forms, np.array(["real", "synthetic"])[y]


@pytest.fixture(scope="module")
def fitted(labelled, tiny_bundle):
    member = MemberClassifier(MEMBER).fit(labelled[0]["paths"], labelled[1])
    return {"Detector": Detector.load(tiny_bundle), "MemberClassifier": member}


@by_name
@pytest.mark.parametrize("check", CHECKS)
def test_the_check_passes(classifier, check):
    getattr(estimator_checks, check)(type(classifier).__name__, classifier)


@by_name
def test_tags_say_images_and_two_classes(classifier):
    tags = get_tags(classifier)
    assert is_classifier(classifier)
    assert (tags.input_tags.one_d_array, tags.input_tags.two_d_array) == (True, False)
    assert tags.classifier_tags.multi_class is False
    assert tags.no_validation
    assert tags.target_tags.required


def test_scikit_learn_would_run_no_check_itself():
    with pytest.warns(estimator_checks.SkipTestWarning, match="Can't test estimator"):
        assert list(estimator_checks._yield_all_checks(CLASSIFIERS[0], legacy=True)) == []


@by_name
def test_fitted_is_known_and_unfitted_is_refused_in_both_families(classifier, fitted):
    check_is_fitted(fitted[type(classifier).__name__])
    with pytest.raises(NotFittedError):
        check_is_fitted(classifier)
    with pytest.raises(NotFittedError):
        classifier.predict(["a.png"])


@by_name
@in_any_form
def test_every_form_of_many_images_is_predicted_alike(classifier, form, fitted, labelled):
    forms, y = labelled
    ready = fitted[type(classifier).__name__]
    np.testing.assert_array_equal(
        ready.predict_proba(forms[form][FEW]), ready.predict_proba(forms["paths"][FEW])
    )
    assert ready.score(forms[form][FEW], y[FEW]) > 0.9
    assert not hasattr(ready, "n_features_in_")


def test_score_is_the_accuracy_for_both_kinds_of_labels(fitted, labelled):
    images, y = labelled[0]["paths"][FEW], labelled[1][FEW].copy()
    y[:4] = "synthetic"
    ready = fitted["MemberClassifier"]
    expected = np.mean(ready.predict(images) == y)
    assert expected < 0.8
    assert ready.score(images, y) == ready.score(images, (y == "synthetic").astype(int)) == expected
    weights = (np.arange(14) >= 4).astype(float)
    assert ready.score(images, y, sample_weight=weights) == ready.score(images[4:], y[4:])


@pytest.mark.parametrize(
    "form",
    ["objects", *(pytest.param(form, marks=pytest.mark.slow) for form in ("paths", "stack"))],
)
def test_cross_val_predict(form, labelled):
    forms, y = labelled
    p = cross_val_predict(MemberClassifier(MEMBER), forms[form], y, cv=2, method="predict_proba")
    assert p.shape == (52, 2)
    assert np.mean((p[:, 1] > 0.5) == (y == "synthetic")) > 0.85


@pytest.mark.slow
def test_cross_val_predict_of_a_whole_detector_with_groups():
    images, y = labelled_arrays(56, seed=4)
    labels = cross_val_predict(
        Detector([MEMBER], combiner="median"),
        images,
        np.array(["real", "synthetic"])[y],
        groups=np.arange(112) // 2,
        cv=StratifiedGroupKFold(2),
    )
    assert np.mean((labels == "synthetic") == y) > 0.8


@pytest.mark.slow
def test_cross_val_score_and_grid_search(labelled):
    images, y = labelled[0]["objects"], labelled[1]
    classifier = MemberClassifier(MEMBER)
    assert cross_val_score(classifier, images, y, cv=2, scoring="roc_auc").mean() > 0.9
    blind = SpectralMember(view=Crops(1, 128), copies=0, n_nets=1, n_epochs=1, learning_rate=1e-6)
    search = GridSearchCV(classifier, {"member": [blind, MEMBER]}, cv=2).fit(images, y)
    assert search.best_params_ == {"member": MEMBER}
    assert search.score(images, y) > 0.9


@by_name
@in_any_form
def test_calibrated_classifier_around_a_frozen_one(classifier, form, fitted, labelled):
    images, y = labelled[0][form][FEW], labelled[1][FEW]
    frozen = FrozenEstimator(fitted[type(classifier).__name__])
    calibrated = CalibratedClassifierCV(frozen, method="sigmoid").fit(images, y)
    assert calibrated.classes_.tolist() == ["real", "synthetic"]
    p = calibrated.predict_proba(images)
    assert np.mean((p[:, 1] > 0.5) == (y == "synthetic")) > 0.9


@by_name
@in_any_form
def test_tuned_threshold_around_a_frozen_one(classifier, form, fitted, labelled):
    images, y = labelled[0][form][FEW], labelled[1][FEW]
    frozen = FrozenEstimator(fitted[type(classifier).__name__])
    tuned = TunedThresholdClassifierCV(frozen, cv="prefit", refit=False).fit(images, y)
    assert 0 < tuned.best_threshold_ < 1
    assert np.mean(tuned.predict(images) == y) > 0.9


def test_pipeline_trains_and_predicts_images_that_a_step_before_read(labelled):
    def read(paths):
        return [np.asarray(Image.open(path)) for path in paths]

    paths, y = labelled[0]["paths"], labelled[1]
    steps = [("read", FunctionTransformer(read)), ("member", MemberClassifier(MEMBER))]
    pipeline = Pipeline(steps).fit(paths, y)
    assert pipeline.score(paths[FEW], y[FEW]) > 0.9
    assert pipeline.classes_.tolist() == ["real", "synthetic"]
    pipeline.set_params(member__random_state=3)
    assert pipeline.get_params()["member__random_state"] == 3


@by_name
def test_a_clone_has_the_options_and_nothing_learned(classifier, fitted):
    ready = fitted[type(classifier).__name__].set_params(workers=2)
    again = clone(ready)
    assert again.workers == 2
    with pytest.raises(NotFittedError):
        check_is_fitted(again)


def test_set_output_is_not_offered_as_there_is_nothing_to_transform():
    assert not any(hasattr(classifier, "set_output") for classifier in CLASSIFIERS)
