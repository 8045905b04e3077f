"""The facade: what it gives, refuses, remembers, and never changes."""

import copy
import dataclasses
import io
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier

from conftest import labelled_arrays
from synthdetect import (
    Augmentation,
    CostWeighted,
    Detector,
    EqualError,
    FBeta,
    Fixed,
    Limits,
    MaxFPR,
    SpectralMember,
    Stacking,
    Youden,
)
from synthdetect.bundle.format import read_bundle, write_bundle
from synthdetect.bundle.hub import bundled_names
from synthdetect.ensemble.stacked import EstimatorCombiner
from synthdetect.ensemble.threshold import BandThreshold
from synthdetect.errors import BundleError, DataError, ImageError, NotFittedError
from synthdetect.evaluation.evaluate import evaluate
from synthdetect.images.views import Crops
from synthdetect.scoring import panel

NAMES = ["tiny", *bundled_names()]


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return Detector.load(tiny_bundle)


@pytest.fixture(scope="module")
def images():
    return labelled_arrays(6, seed=9)[0]


@pytest.fixture(scope="module", params=NAMES)
def any_detector(request, tiny_bundle):
    return Detector.load(tiny_bundle if request.param == "tiny" else request.param)


def test_probabilities_are_of_real_and_synthetic(detector, images):
    proba = detector.predict_proba(images)
    assert proba.shape == (12, 2)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert detector.classes_.tolist() == ["real", "synthetic"]
    assert (proba[:6, 0] > 0.5).all()
    assert (proba[6:, 1] > 0.5).all()


def test_labels_and_margins_follow_the_threshold(detector, images):
    labels = detector.predict(images)
    p = detector.predict_proba(images)[:, 1]
    np.testing.assert_array_equal(labels == "synthetic", p >= detector.threshold_)
    np.testing.assert_array_equal(labels == "synthetic", detector.decision_function(images) >= 0)


def test_every_form_of_an_image_gives_the_same_probability(any_detector, images, tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(images[0]).save(path, quality=90)
    content = path.read_bytes()
    with Image.open(path) as pil:
        forms = [path, str(path), content, io.BytesIO(content), pil, np.asarray(pil)]
        results = [any_detector.predict_proba([form])[0, 1] for form in forms]
    assert len(set(results)) == 1


@settings(max_examples=6)
@given(st.permutations(range(12)), st.integers(1, 12))
def test_probability_does_not_depend_on_batch_or_order(any_detector, order, n):
    images = labelled_arrays(6, seed=9)[0]
    alone = np.array([any_detector.predict_proba([images[i]])[0, 1] for i in order[:n]])
    together = any_detector.predict_proba([images[i] for i in order[:n]])[:, 1]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


def test_threads_share_a_detector(detector, images):
    expected = detector.predict_proba(images)
    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(lambda _: detector.predict_proba(images), range(16)):
            np.testing.assert_array_equal(got, expected)


def test_bad_image_is_raised_by_name(detector, images):
    with pytest.raises(ImageError, match=r"^image 1: has 0 bytes"):
        detector.predict_proba([images[0], b""])


def test_bad_image_becomes_nan_with_its_reason(detector, images):
    sources = [images[0], b"", images[7], "no/such.jpg"]
    proba = detector.predict_proba(sources, on_error="nan")
    assert np.isnan(proba[[1, 3]]).all()
    assert np.isfinite(proba[[0, 2]]).all()
    assert list(detector.errors_) == [1, 3]
    assert detector.errors_[3].source == "no/such.jpg"
    labels = detector.predict(sources, on_error="nan")
    assert labels.tolist() == ["real", "unreadable", "synthetic", "unreadable"]
    detector.predict(images)
    assert detector.errors_ == {}


def test_unknown_on_error_is_refused(detector, images):
    with pytest.raises(ValueError, match="on_error is 'skip'; use 'raise' or 'nan'"):
        detector.predict_proba(images, on_error="skip")


def test_no_images_give_no_rows(detector):
    assert detector.predict_proba([]).shape == (0, 2)
    assert detector.predict([]).shape == (0,)
    assert detector.member_logits([]).shape == (0, 1)


def test_directory_array_and_generator_are_images(detector, images, image_folder):
    assert len(detector.predict_proba(image_folder, on_error="nan")) == 4
    batch = np.stack(images)
    np.testing.assert_array_equal(
        detector.predict_proba(batch), detector.predict_proba(image for image in images)
    )
    assert len(detector.predict_proba(images[0])) == 1


def test_stream_is_drawn_only_as_far_as_needed(detector, images):
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield images[drawn % 12]

    results = detector.stream(endless())
    name, p, error = next(results)
    assert (name, error) == ("image 0", None)
    assert 0 < p < 1
    assert drawn <= 64
    results.close()


def test_limits_reach_the_decoder(tiny_bundle, images):
    strict = Detector.load(tiny_bundle, limits=Limits(max_pixels=100))
    with pytest.raises(ImageError, match="over 100 pixels"):
        strict.predict_proba(images[:1])


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_saved_detector_is_the_same(any_detector, images, tmp_path, name):
    again = Detector.load(any_detector.save(tmp_path / name))
    np.testing.assert_array_equal(again.predict_proba(images), any_detector.predict_proba(images))
    assert again.threshold_ == any_detector.threshold_
    assert again.describe().splitlines()[1:] == any_detector.describe().splitlines()[1:]


def test_failed_save_leaves_what_was_there(detector, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="mine"):
        detector.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_calibrate_moves_the_threshold_and_not_the_probabilities(tiny_bundle, images, tmp_path):
    detector = Detector.load(tiny_bundle)
    before = detector.predict_proba(images)
    y = ["real"] * 6 + ["synthetic"] * 6
    costs = CostWeighted(false_positive=1000, false_negative=1, prevalence=0.001)
    assert detector.calibrate(images, y, policy=costs) is detector
    assert before[:6, 1].max() < detector.threshold_ < before[6:, 1].min()
    detector.calibrate(images, y, policy=Fixed(0.25))
    np.testing.assert_array_equal(detector.predict_proba(images), before)
    again = Detector.load(detector.save(tmp_path / "mine"))
    assert again.threshold_ == 0.25
    assert "measured before the threshold was changed" in again.describe()


def test_calibrate_leaves_bad_images_out_and_tells(tiny_bundle, images):
    detector = Detector.load(tiny_bundle)
    y = [0] * 6 + [1] * 6 + [1]
    detector.calibrate([*images, b""], y, on_error="nan")
    assert list(detector.errors_) == [12]
    assert detector.decision_.threshold.n == 12


class FixedBand:
    """A policy of a user's own, without a fixed threshold of ours."""

    def fit(self, y, p):
        low, high = np.sort(p)[[3, 9]]
        return BandThreshold(float(low), float(high), "a band of my own")


def test_a_band_leaves_images_uncertain_and_is_saved_with_the_detector(
    tiny_bundle, images, tmp_path
):
    detector = Detector.load(tiny_bundle).calibrate(images, [0, 1] * 6, policy=FixedBand())
    again = Detector.load(detector.save(tmp_path / "mine"))
    p = again.predict_proba(images)[:, 1]
    low, high = np.sort(p)[[3, 9]]
    expected = np.where(p >= high, "synthetic", np.where(p < low, "real", "uncertain"))
    labels = again.predict([*images, b""], on_error="nan")
    assert labels.tolist() == [*expected, "unreadable"]
    assert again.threshold_ == high
    assert "uncertain between, by a band of my own" in again.describe()


def test_calibrate_says_how_many_images_a_bound_needs(tiny_bundle, images):
    detector = Detector.load(tiny_bundle)
    with pytest.raises(DataError, match="at least 299 real images; you gave 6"):
        detector.calibrate(images, [0] * 6 + [1] * 6, policy=MaxFPR(0.01))


@pytest.mark.parametrize(
    ("y", "message"),
    [([0] * 12, "synthetic"), ([0, 1], "2 labels for 12 images"), (["fake"] * 12, "label 0")],
)
def test_calibrate_refuses_labels_that_cannot_do(tiny_bundle, images, y, message):
    detector = Detector.load(tiny_bundle)
    before = detector.threshold_
    with pytest.raises(DataError, match=message):
        detector.calibrate(images, y)
    assert detector.threshold_ == before


@pytest.mark.parametrize("method", ["predict_proba", "predict", "decision_function", "save"])
def test_unfitted_detector_says_what_to_do(method, tmp_path):
    with pytest.raises(NotFittedError, match=r"use Detector\.load\('ensemble-v1'\) or fit it"):
        getattr(Detector(), method)(str(tmp_path))


def test_parameters_follow_scikit_learn():
    members = [SpectralMember(copies=1)]
    detector = Detector(members, policy=Fixed(0.3), random_state=5)
    assert clone(detector).get_params()["members"] == members
    assert detector.set_params(random_state=6).random_state == 6
    assert not hasattr(clone(detector), "members_")


def test_copies_and_pickles_give_equal_results(detector, images):
    for other in (copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))):  # noqa: S301
        np.testing.assert_array_equal(
            other.predict_proba(images[:3]), detector.predict_proba(images[:3])
        )


def test_precision_set_after_loading_takes_effect():
    if "ensemble-v1" not in bundled_names():
        pytest.skip("ensemble-v1 is not built in")
    images = labelled_arrays(3, seed=1)[0]
    detector = Detector.load("ensemble-v1")
    exact = detector.member_logits(images)
    rough = detector.set_params(precision="bf16").member_logits(images)
    asked = Detector.load("ensemble-v1", precision="bf16").member_logits(images)
    np.testing.assert_array_equal(rough, asked)
    np.testing.assert_allclose(rough, exact, rtol=0.2, atol=0.5)


def test_describe_and_repr_are_for_people(detector):
    assert repr(detector) == f"<Detector tiny: spectral; threshold {detector.threshold_:.4f}>"
    assert "Detector(" in repr(Detector(random_state=3))
    text = detector.describe()
    assert "member spectral: spectral, 1 crop of 128 px, weight 1.000" in text
    assert "learned on n = 40" in text
    assert "accuracy" in text


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    member = SpectralMember(view=Crops(1, 128), copies=1, n_nets=2, n_hidden=8, n_epochs=40)
    images, y = labelled_arrays(30, seed=4)
    detector = Detector([member], augmentation=Augmentation(resize=0, blur=0, jpeg=0))
    return detector.fit(images, y, groups=range(60), out=out), out


def test_fit_learns_and_measures(fitted, images):
    detector, out = fitted
    assert (detector.predict(images) == ["real"] * 6 + ["synthetic"] * 6).mean() > 0.9
    assert "optimistic" in detector.describe()
    assert (out / "log.jsonl").exists()


def test_fit_again_in_a_used_folder_needs_resume(fitted, images):
    detector, out = fitted
    data = labelled_arrays(30, seed=4)
    again = clone(detector)
    with pytest.raises(Exception, match="is not empty; use"):
        again.fit(*data, groups=range(60), out=out)
    again.fit(*data, groups=range(60), out=out, resume=True)
    np.testing.assert_array_equal(again.predict_proba(images), detector.predict_proba(images))


def test_fit_without_members_says_so(images):
    with pytest.raises(ValueError, match="no \\[\\[members\\]\\]; give at least one"):
        Detector().fit(images, [0] * 6 + [1] * 6)


def test_evaluate_is_the_evaluation_of_its_probabilities(detector):
    images, y = labelled_arrays(15, seed=7)
    evaluation = detector.evaluate(images, y, groups={"kind": y}, prevalence=0.02)
    wanted = evaluate(
        y,
        detector.predict_proba(images)[:, 1],
        detector.threshold_,
        groups={"kind": y},
        prevalence=0.02,
    )
    assert evaluation.to_json() == wanted.to_json()


def test_evaluate_leaves_out_bad_images_when_asked(detector):
    images, y = labelled_arrays(5, seed=7)
    images[2] = b"no image"
    with pytest.raises(ImageError, match="image 2"):
        detector.evaluate(images, y)
    evaluation = detector.evaluate(images, y, groups=y, cluster=range(10), on_error="nan")
    assert evaluation.n == 9
    assert "1 image(s) could not be read" in evaluation.note
    assert list(detector.errors_) == [2]


def test_evaluate_refuses_labels_that_do_not_fit(detector):
    images, y = labelled_arrays(5, seed=7)
    with pytest.raises(DataError, match="9 labels for 10 images"):
        detector.evaluate(images, y[:-1])


@pytest.fixture
def scored(monkeypatch):
    """Images that were scored, in the order in which they were."""
    seen = []
    real = panel.score_stream

    def recorded(*args, **kwargs):
        for image in real(*args, **kwargs):
            seen.append(image)
            yield image

    monkeypatch.setattr(panel, "score_stream", recorded)
    return seen


def test_many_policies_an_evaluation_and_a_prediction_cost_one_pass(tiny_bundle, scored):
    images, y = labelled_arrays(6, seed=9)
    detector = Detector.load(tiny_bundle)
    for policy in (Youden(), CostWeighted(), FBeta(), EqualError(), Fixed(0.3)):
        detector.calibrate(images, y, policy=policy)
    detector.evaluate(images, y)
    p = detector.predict_proba(images[::-1])
    assert len(scored) == 12
    np.testing.assert_array_equal(p, Detector.load(tiny_bundle).predict_proba(images[::-1]))


def test_predictions_alone_remember_nothing(tiny_bundle, scored, images):
    detector = Detector.load(tiny_bundle)
    for _ in range(2):
        detector.predict(images)
    assert len(scored) == 24


def test_remembered_logits_are_in_no_copy_and_no_bundle(tiny_bundle, scored, tmp_path):
    images, y = labelled_arrays(6, seed=9)
    detector = Detector.load(tiny_bundle).calibrate(images, y, policy=Fixed(0.3))
    for other in (copy.deepcopy(detector), Detector.load(detector.save(tmp_path / "mine"))):
        scored.clear()
        other.predict(images)
        assert len(scored) == 12


@pytest.fixture(scope="module")
def own():
    """Images of a user's own, enough of them for folds."""
    return labelled_arrays(12, seed=11)


@pytest.mark.parametrize(
    ("what", "kinds", "note"),
    [
        ("probability", ("soft_vote", "platt"), "before calibrator and threshold were changed"),
        ("combiner", ("trimmed_mean", "platt"), "before combiner, calibrator and threshold"),
        ("all", ("trimmed_mean", "platt"), "before combiner, calibrator and threshold"),
    ],
)
def test_calibrate_learns_what_it_is_told_to(tiny_bundle, own, tmp_path, what, kinds, note):
    detector = Detector.load(tiny_bundle, combiner="median", calibrator="platt")
    before = detector.member_logits(own[0]), detector.predict_proba(own[0])
    groups = np.arange(24) // 2
    detector.calibrate(*own, what=what, policy=Fixed(0.4), groups=groups)
    np.testing.assert_array_equal(detector.member_logits(own[0]), before[0])
    assert (detector.predict_proba(own[0]) != before[1]).any()
    described = detector.decision_.to_dict()
    assert (described["combiner"]["kind"], described["calibrator"]["kind"]) == kinds
    assert detector.threshold_ == 0.4
    again = Detector.load(detector.save(tmp_path / "mine"))
    np.testing.assert_array_equal(again.predict_proba(own[0]), detector.predict_proba(own[0]))
    assert note in again.describe()


def test_calibrated_probabilities_can_be_for_another_prevalence(tiny_bundle, own, tmp_path):
    detector = Detector.load(tiny_bundle, calibrator="platt")
    detector.calibrate(*own, what="probability")
    even = detector.predict_proba(own[0])[:, 1]
    detector.calibrate(*own, what="probability", prevalence=0.02)
    rare = detector.predict_proba(own[0])[:, 1]
    np.testing.assert_allclose(rare / (1 - rare), even / (1 - even) * 0.02 / 0.98, rtol=1e-6)
    again = Detector.load(detector.save(tmp_path / "mine"))
    np.testing.assert_array_equal(again.predict_proba(own[0])[:, 1], rare)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"what": "calibrator"}, ValueError, "what is 'calibrator'; use one of 'threshold'"),
        ({"prevalence": 0.02}, ValueError, "prevalence does not change the threshold"),
        ({"groups": [0, 1]}, DataError, "2 groups for 24 images"),
        ({"what": "all", "groups": [0] * 24}, DataError, "1 real groups of images, too few"),
    ],
)
def test_calibrate_refuses_options_that_cannot_do(tiny_bundle, own, options, error, message):
    detector = Detector.load(tiny_bundle)
    before = detector.decision_
    with pytest.raises(error, match=message):
        detector.calibrate(*own, **options)
    assert detector.decision_ is before


@pytest.mark.parametrize("option", ["combiner", "calibrator"])
def test_an_unknown_learner_is_refused_before_images_are_looked_at(tiny_bundle, option):
    names = f"{option} is 'mean'; use '"
    with pytest.raises(ValueError, match=names):
        Detector.load(tiny_bundle, **{option: "mean"}).calibrate([b""], [1])
    with pytest.raises(ValueError, match=names):
        Detector([SpectralMember()], **{option: "mean"}).fit([b""], [1])


def test_a_combiner_that_lives_in_memory_works_there_and_is_not_saved(tiny_bundle, own, tmp_path):
    combiner = Stacking(KNeighborsClassifier(3))
    detector = Detector.load(tiny_bundle, combiner=combiner).calibrate(*own, what="combiner")
    assert detector.score(*own) > 0.9
    assert "combined by EstimatorCombiner" in detector.describe()
    with pytest.raises(BundleError, match="a KNeighborsClassifier of your own works in memory"):
        detector.save(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_fit_learns_by_the_given_combiner_and_calibrator(tmp_path):
    member = SpectralMember(view=Crops(1, 128), copies=0, n_nets=2, n_hidden=8, n_epochs=40)
    detector = Detector([member], combiner=Stacking(KNeighborsClassifier(3)), calibrator="beta")
    detector.fit(*labelled_arrays(26, seed=4))
    assert isinstance(detector.decision_.combiner, EstimatorCombiner)
    assert detector.decision_.calibrator.to_dict()["kind"] == "beta"
    with pytest.raises(BundleError, match="works in memory"):
        detector.save(tmp_path / "mine")


def test_the_licence_of_the_weights_outlives_a_calibration(tiny_bundle, own, tmp_path):
    bundle = read_bundle(tiny_bundle)
    theirs = dataclasses.replace(bundle.manifest, license="CC-BY-4.0", files={})
    write_bundle(tmp_path / "theirs", theirs, bundle.files)
    detector = Detector.load(tmp_path / "theirs").calibrate(*own, policy=Fixed(0.3))
    assert Detector.load(detector.save(tmp_path / "mine")).describe().count("CC-BY-4.0") == 1
