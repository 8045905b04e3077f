"""Grad-CAM follows the weights that training leaves."""

import numpy as np
import pytest

from conftest import native
from synthdetect.errors import TrainingError
from synthdetect.images.views import CenterCrop

pytest.importorskip("keras", reason="needs the train extra")

from synthdetect.members.backbones import Sequential, build
from synthdetect.training.grad_cam import grad_cam

MEMBER = Sequential(view=CenterCrop(64), weights=None)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    import keras

    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("run") / "best.weights.h5"
    build(MEMBER, size=64, weights=None).save_weights(path)
    return path


@pytest.fixture(scope="module")
def photo():
    return native(np.random.default_rng(0), 96)


def test_the_logit_is_the_network_s(weights, photo):
    found = grad_cam(MEMBER, weights, photo)
    model = build(MEMBER, size=64, weights=None)
    model.load_weights(weights)
    np.testing.assert_allclose(found.logits, model.predict(found.crops, verbose=0)[:, 0], rtol=1e-4)


def test_a_map_is_of_the_feature_maps_and_not_below_zero(weights, photo):
    found = grad_cam(MEMBER, weights, photo)
    assert found.maps.ndim == 3
    assert len(found.maps) == len(found.crops) == 1
    assert (found.maps >= 0).all()


def test_random_weights_give_another_map(weights, photo, tmp_path):
    import keras

    keras.utils.set_random_seed(1)
    other = tmp_path / "other.weights.h5"
    build(MEMBER, size=64, weights=None).save_weights(other)
    a, b = (grad_cam(MEMBER, path, photo).maps.ravel() for path in (weights, other))
    assert a.any() or b.any()
    assert not np.allclose(a, b)


def test_weights_that_are_not_there_are_named(photo, tmp_path):
    with pytest.raises(TrainingError, match=r"none\.weights\.h5: no weights of member sequential"):
        grad_cam(MEMBER, tmp_path / "none.weights.h5", photo)
