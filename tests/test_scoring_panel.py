"""Members together: logits of all images, or a reason why not; what was kept is used again."""

import numpy as np
import pytest

from conftest import labelled_arrays
from synthdetect.bundle.assemble import take_apart
from synthdetect.bundle.format import read_bundle
from synthdetect.errors import ImageError
from synthdetect.images.limits import Limits
from synthdetect.scoring import panel as module
from synthdetect.scoring.panel import Panel


@pytest.fixture
def panel(tiny_bundle):
    return Panel(take_apart(read_bundle(tiny_bundle))[0], precision="f32")


@pytest.fixture(scope="module")
def images():
    return labelled_arrays(3, seed=9)[0]


def test_logits_have_a_row_for_each_image_and_a_column_for_each_member(panel, images):
    logits, errors = panel.logits(images)
    assert logits.shape == (6, 1)
    assert (logits[:3] < 0).all()
    assert (logits[3:] > 0).all()
    assert errors == {}


def test_a_bad_image_is_raised_or_told(panel, images):
    with pytest.raises(ImageError, match=r"^image 1: has 0 bytes"):
        panel.logits([images[0], b""])
    logits, errors = panel.logits([images[0], b""], on_error="nan")
    assert np.isnan(logits[1]).all()
    assert list(errors) == [1]


@pytest.mark.parametrize("kept", [0, 2, 6])
def test_remembered_images_are_not_scored_again_and_have_the_same_logits(
    panel, images, kept, monkeypatch
):
    n_scored = []
    real = module.score_stream

    def counted(*args, **kwargs):
        for scored in real(*args, **kwargs):
            n_scored.append(scored)
            yield scored

    expected, _ = panel.logits(images)
    panel.logits(images[:kept], remember=True)
    monkeypatch.setattr(module, "score_stream", counted)
    again, errors = panel.logits([*images, b""], on_error="nan")
    np.testing.assert_array_equal(again[:6], expected)
    assert list(errors) == [6]
    assert len([scored for scored in n_scored if scored.error is None]) == 6 - kept


def test_limits_hold_for_remembered_images_too(panel, images):
    panel.logits(images, remember=True)
    with pytest.raises(ImageError, match="over 100 pixels"):
        panel.logits(images, limits=Limits(max_pixels=100))
