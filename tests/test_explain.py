"""An explanation adds up, is the verdict's own, and says what it does not know."""

import json

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from conftest import doubled, labelled_arrays, native
from synthdetect import Detector, ImageError, explain
from synthdetect.explanation.explain import NO_SCORES


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return Detector.load(tiny_bundle)


@pytest.fixture(scope="module")
def photo():
    return native(np.random.default_rng(7), 200)


@pytest.fixture(scope="module")
def explanation(detector, photo):
    return explain(detector, photo, occlusion=True)


def test_it_is_the_detector_s_verdict_to_the_last_bit(detector, photo, explanation):
    assert explanation.p == detector.predict_proba([photo])[0, 1]
    assert explanation.decision == detector.predict([photo])[0]


def test_the_members_parts_add_up(explanation):
    total = explanation.start + sum(member.adds for member in explanation.members)
    assert total == pytest.approx(explanation.logit)


def test_a_bundle_without_scores_says_so(explanation):
    assert explanation.placement is None
    assert NO_SCORES in str(explanation)


def test_calibrating_adds_scores_that_are_saved(tiny_bundle, photo, tmp_path):
    detector = Detector.load(tiny_bundle)
    images, y = labelled_arrays(10, seed=9)
    saved = Detector.load(detector.calibrate(images, y).save(tmp_path / "mine"))
    found = explain(saved, images[0], patches=False)
    assert (found.placement.real.n, found.placement.synthetic.n) == (10, 10)
    assert found.placement.synthetic.value == 0
    assert "last calibration" in found.scores_on
    assert (
        explain(saved, doubled(np.random.default_rng(1)), patches=False).placement.real.value == 1
    )


def test_training_keeps_scores_and_the_spectrum_of_real_images():
    from synthdetect import SpectralMember

    images, y = labelled_arrays(30, seed=3)
    detector = Detector([SpectralMember(copies=0, n_nets=1, n_hidden=4)]).fit(images, y)
    found = explain(detector, images[0], patches=False)
    assert found.placement.real.n == 6
    assert found.spectrum.real.n == 24


def test_evidence_is_read_from_files_and_changes_nothing(detector, photo, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(photo).save(path)
    plain = explain(detector, path, patches=False)
    assert plain.evidence.findings == ()
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat")
    Image.fromarray(photo).save(tmp_path / "b.png", pnginfo=info)
    marked = explain(detector, tmp_path / "b.png", patches=False)
    assert "made by AI" in str(marked)
    assert marked.p == plain.p
    assert explain(detector, photo, patches=False).evidence is None
    assert explain(detector, photo, patches=False).p == plain.p


def test_it_is_json_without_pixels(explanation):
    told = json.loads(json.dumps(explanation.to_dict(), allow_nan=False))
    assert told["p"] == explanation.p
    assert np.shape(told["patches"]["p"]) == explanation.patches.p.shape
    assert "pixels" not in told


def test_the_page_is_whole_offline_and_small(explanation, tmp_path):
    html = explanation.to_html(tmp_path / "why.html")
    assert (tmp_path / "why.html").read_text(encoding="utf-8") == html
    assert html.count("<img ") == html.count('<img alt="') == 3
    assert '<html lang="en">' in html
    assert 'role="img" aria-label="Radial' in html
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert len(html.encode()) < 1_000_000


def test_a_name_cannot_become_markup(detector, tmp_path):
    path = tmp_path / "<b>x&.png"
    Image.fromarray(native(np.random.default_rng(0))).save(path)
    html = explain(detector, str(path), patches=False).to_html()
    assert "<b>x" not in html
    assert "&lt;b&gt;x&amp;" in html


def test_a_bad_image_is_an_image_error(detector):
    with pytest.raises(ImageError):
        explain(detector, b"no image")
