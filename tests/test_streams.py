"""Stability of a detector's decisions: six forms, streamed, and `uncertain` where they differ."""

import itertools

import numpy as np
import pytest

from conftest import labelled_arrays
from synthdetect.detector import Detector
from synthdetect.ensemble.policies import Fixed
from synthdetect.errors import ImageError, NotFittedError
from synthdetect.images.perturbations import RESHIPPINGS
from synthdetect.scoring.streams import FORMS


@pytest.fixture(scope="module")
def images():
    return labelled_arrays(4, seed=31)[0]


@pytest.fixture
def detector(tiny_bundle):
    return Detector.load(tiny_bundle)


def test_columns_are_the_image_and_its_five_forms(detector, images):
    seen = detector.stability(images)
    assert seen.names == FORMS == ("untouched", *(one.name for one in RESHIPPINGS))
    np.testing.assert_array_equal(seen.p[:, 0], detector.predict_proba(images)[:, 1])
    for column, form in enumerate(RESHIPPINGS, start=1):
        alone = detector.predict_proba([form.apply(image) for image in images])[:, 1]
        np.testing.assert_array_equal(seen.p[:, column], alone)


def test_predict_is_uncertain_exactly_where_forms_differ(detector, images):
    # A threshold between the probabilities of the forms of the first image.
    p = detector.stability(images).p
    cut = float(np.mean(np.sort(p[0])[[0, -1]]))
    detector.calibrate(images, [0] * 4 + [1] * 4, policy=Fixed(cut))
    called = p >= cut
    same = called.all(axis=1) | ~called.any(axis=1)
    plain = detector.predict(images)
    wanted = np.where(same, plain, "uncertain")
    assert "uncertain" in wanted
    np.testing.assert_array_equal(detector.predict(images, stability=True), wanted)


def test_bad_images_are_raised_or_unreadable(detector, images):
    mixed = [images[0], b"no image"]
    with pytest.raises(ImageError, match="image 1"):
        detector.predict(mixed, stability=True)
    labels = detector.predict(mixed, stability=True, on_error="nan")
    assert labels[1] == "unreadable"
    assert list(detector.errors_) == [1]
    assert np.isnan(detector.stability(mixed, on_error="nan").p[1]).all()


def test_a_form_that_is_too_small_leaves_the_image_unstable(detector):
    seen = detector.stability([labelled_arrays(1, seed=1)[0][0][:50, :50]])
    assert np.isnan(seen.p[0]).tolist() == [form == "scale-0.5" for form in FORMS]
    assert seen.decided.tolist() == ["uncertain"]


def test_no_images_give_no_rows(detector):
    assert detector.stability([]).p.shape == (0, 6)
    assert detector.predict([], stability=True).shape == (0,)


def test_a_stream_is_read_as_it_is_needed(detector, images):
    drawn = []

    def endless():
        for i in itertools.count():
            drawn.append(i)
            yield images[i % len(images)]

    stream = detector.stream_stability(endless())
    name, p, error = next(stream)
    stream.close()
    assert (name, p.shape, error) == ("image 0", (6,), None)
    assert len(drawn) <= 32


def test_what_is_not_fitted_says_so(images):
    with pytest.raises(NotFittedError):
        Detector().stability(images)


def test_on_error_is_checked(detector, images):
    with pytest.raises(ValueError, match="use 'raise' or 'nan'"):
        detector.stability(images, on_error="skip")
