"""One member as a classifier: its logit, the sigmoid of it, and nothing else."""

import copy
import doctest

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone

from conftest import labelled_arrays
from synthdetect import Detector, Limits, MemberClassifier, SpectralMember
from synthdetect import member_classifier as module
from synthdetect.bundle.hub import bundled_names
from synthdetect.errors import DataError, ImageError, NotFittedError
from synthdetect.images.views import Crops

MEMBER = SpectralMember(
    view=Crops(1, 128), copies=0, n_nets=2, n_hidden=8, n_epochs=60, learning_rate=3e-3
)


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return Detector.load(tiny_bundle)


@pytest.fixture(scope="module")
def fitted():
    return MemberClassifier(MEMBER).fit(*labelled_arrays(14, seed=4))


@pytest.fixture(scope="module")
def images():
    return labelled_arrays(6, seed=9)[0]


def test_it_gives_the_member_s_logit_and_its_sigmoid(detector, images):
    classifier = MemberClassifier(detector.members_[0])
    logits = classifier.decision_function(images)
    np.testing.assert_array_equal(logits, detector.member_logits(images)[:, 0])
    np.testing.assert_allclose(classifier.predict_proba(images)[:, 1], expit(logits), atol=1e-15)
    np.testing.assert_array_equal(classifier.predict(images) == "synthetic", logits >= 0)


def test_fit_trains_the_member(fitted, images):
    assert fitted.score(images, [0] * 6 + [1] * 6) > 0.9
    assert fitted.member_.kind == "spectral"
    assert fitted.classes_.tolist() == ["real", "synthetic"]


def test_fit_is_repeatable_and_depends_on_the_seed(fitted, images):
    data = labelled_arrays(14, seed=4)
    again, other = clone(fitted).fit(*data), clone(fitted).set_params(random_state=1).fit(*data)
    np.testing.assert_array_equal(again.decision_function(images), fitted.decision_function(images))
    assert (other.decision_function(images) != fitted.decision_function(images)).any()


def test_fit_leaves_a_trained_member_as_it_is(detector):
    member = detector.members_[0]
    assert MemberClassifier(member).fit(*labelled_arrays(3, seed=4)).member_ is member


def test_groups_stay_on_one_side(fitted):
    images, y = labelled_arrays(30, seed=4)
    with pytest.raises(DataError, match=r"there are 2 real images \(a group counts once\)"):
        MemberClassifier(MEMBER).fit(images, y, groups=[i // 15 for i in range(60)])


def test_another_trained_member_takes_its_place_at_once(detector, fitted, images):
    classifier = MemberClassifier(fitted.member_)
    classifier.decision_function(images)
    classifier.set_params(member=detector.members_[0])
    expected = MemberClassifier(detector.members_[0]).decision_function(images)
    np.testing.assert_array_equal(classifier.decision_function(images), expected)


@pytest.mark.parametrize("weights", [[1], [0.0] * 12, [-1.0] + [1.0] * 11, [np.nan] * 12, "x"])
def test_impossible_weights_are_refused(fitted, images, weights):
    with pytest.raises(DataError, match="weight"):
        fitted.score(images, [0] * 6 + [1] * 6, sample_weight=weights)


def test_weights_count(fitted, images):
    right = fitted.predict(images) == "synthetic"
    weights = np.arange(12.0)
    expected = np.average(right, weights=weights)
    assert fitted.score(images, [1] * 12, sample_weight=weights) == pytest.approx(expected)


def test_copies_predict_the_same(fitted, images):
    np.testing.assert_array_equal(
        copy.deepcopy(fitted).decision_function(images), fitted.decision_function(images)
    )


def test_bad_images_labels_and_limits_are_refused(fitted, images):
    with pytest.raises(ImageError, match="image 0"):
        fitted.predict([b""])
    with pytest.raises(DataError, match="3 labels for 12 images"):
        fitted.score(images, [0, 1, 1])
    strict = clone(fitted).set_params(member=fitted.member_, limits=Limits(max_pixels=100))
    with pytest.raises(ImageError, match="over 100 pixels"):
        strict.predict(images)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_unfitted_says_what_to_do(method):
    with pytest.raises(NotFittedError, match="this MemberClassifier has no trained member; fit it"):
        getattr(MemberClassifier(MEMBER), method)(["a.png"])


def test_docstring_examples_run():
    if "ensemble-v1" not in bundled_names():
        pytest.skip("ensemble-v1 is not in this checkout")
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0
