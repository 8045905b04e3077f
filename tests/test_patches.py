"""Maps show where the traces are, and follow them; other weights give other maps (Adebayo 2018)."""

from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvino import opset13 as ops

from conftest import doubled, native
from synthdetect.detector import Detector
from synthdetect.ensemble.learn import learn_decision
from synthdetect.explanation.patches import (
    MOST_PLACES,
    occlusion_map,
    patch_map,
    patch_scorers,
    seen_box,
)
from synthdetect.images.views import CenterCrop, Crops, Resize
from synthdetect.members.base import TrainedMember

SIDE = 384
PATCH = 128


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return Detector.load(tiny_bundle)


def mapped(detector, pixels, members=None):
    members = detector.members_ if members is None else members
    return patch_map(pixels, members, patch_scorers(members), detector.decision_)


def implanted(top, left, seed=0):
    """A native image with one doubled patch."""
    rng = np.random.default_rng(seed)
    pixels = native(rng, SIDE)
    pixels[top : top + PATCH, left : left + PATCH] = doubled(rng, PATCH)
    return pixels


@pytest.mark.parametrize(("top", "left"), [(0, 0), (0, 256), (256, 0), (128, 192), (256, 256)])
def test_the_map_moves_with_an_implanted_patch(detector, top, left):
    found = mapped(detector, implanted(top, left))
    assert found.highest[:2] == (top, left)
    assert np.nanmax(found.p) > 0.5


def test_an_image_without_one_is_low_everywhere(detector):
    assert (mapped(detector, native(np.random.default_rng(0), SIDE)).p < 0.5).all()


def test_a_patch_s_logit_is_that_of_the_patch_alone(detector):
    pixels = native(np.random.default_rng(1), SIDE)
    found = mapped(detector, pixels)
    top, left = found.tops[1], found.lefts[2]
    alone = detector.member_logits([pixels[top : top + PATCH, left : left + PATCH]])
    assert found.logits[1, 2, 0] == alone[0, 0]


def test_random_weights_give_another_map(detector):
    rng = np.random.default_rng(0)
    member = detector.members_[0]
    arrays = {
        name: rng.permutation(values.ravel()).reshape(values.shape)
        if name.endswith("weights")
        else values
        for name, values in member.arrays.items()
    }
    pixels = implanted(128, 192)
    learned = mapped(detector, pixels).logits.ravel()
    random = mapped(detector, pixels, [replace(member, arrays=arrays)]).logits.ravel()
    assert abs(np.corrcoef(learned, random)[0, 1]) < 0.8
    assert np.ptp(learned) > 3 * np.ptp(random)


def graph(seed):
    """A small network whose logit is the mean of a random convolution."""
    rng = np.random.default_rng(seed)
    crops = ops.parameter([-1, 32, 32, 3], np.uint8, name="crops")
    x = ops.transpose(ops.convert(crops, np.float32), np.array([0, 3, 1, 2]))
    kernel = rng.normal(size=(8, 3, 3, 3)).astype(np.float32) / 255
    x = ops.relu(ops.convolution(x, kernel, [2, 2], [1, 1], [1, 1], [1, 1]))
    x = ops.reduce_mean(x, np.array([2, 3]))
    logit = ops.matmul(x, rng.normal(size=(8, 1)).astype(np.float32), False, False)
    return ov.Model([logit], [crops], "tiny")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Two networks of other random weights, looking at one crop and at the whole picture."""
    members = []
    for seed, view in enumerate((Crops(5, 32), Resize(32))):
        path = tmp_path_factory.mktemp("graph") / "graph.xml"
        ov.save_model(graph(seed), path, compress_to_fp16=False)
        files = {"xml": path.read_bytes(), "bin": path.with_suffix(".bin").read_bytes()}
        members.append(TrainedMember(f"net{seed}", "MobileNetV2", view, graph=files))
    return members


@pytest.fixture(scope="module")
def decision():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    return learn_decision(rng.normal(size=(60, 2)) + y[:, np.newaxis], y, seed=0)


def test_networks_run_on_patches_without_a_training_framework(networks, decision):
    pixels = native(np.random.default_rng(0), 96)
    found = patch_map(pixels, networks, patch_scorers(networks), decision)
    assert found.p.shape == (len(found.tops), len(found.lefts))
    assert np.isfinite(found.logits[..., 0]).all()


def test_a_member_that_needs_the_whole_picture_does_not_look_at_patches(networks, decision):
    pixels = native(np.random.default_rng(0), 96)
    found = patch_map(pixels, networks, patch_scorers(networks), decision)
    assert np.isnan(found.logits[..., 1]).all()
    assert np.isfinite(found.p).all()
    whole = [networks[1], networks[1]]
    assert patch_map(pixels, whole, patch_scorers(whole), decision) is None


def test_an_image_smaller_than_a_patch_is_one_patch(detector):
    found = mapped(detector, native(np.random.default_rng(0), 64))
    assert found.p.shape == (1, 1)


def test_a_large_image_has_no_more_places(detector):
    pixels = np.broadcast_to(np.uint8(99), (2000, 300, 3))
    assert len(mapped(detector, np.ascontiguousarray(pixels)).tops) == MOST_PLACES


def test_erasing_an_implanted_patch_lowers_the_logit_most_where_it_is(detector):
    rng = np.random.default_rng(2)
    pixels = native(rng, PATCH)
    pixels[:64, :64] = doubled(rng, 64)
    found = occlusion_map(detector, pixels, n_cells=2)
    moved = occlusion_map(detector, pixels[::-1, ::-1].copy(), n_cells=2)
    assert found.drop[0, 0] == found.drop.max()
    assert moved.drop[1, 1] == moved.drop.max()


def test_cells_that_no_member_sees_are_not_erased(detector):
    found = occlusion_map(detector, native(np.random.default_rng(0), SIDE), n_cells=2)
    assert found.box == (128, 128, 256, 256)


def test_a_wrong_number_of_cells_is_refused(detector):
    with pytest.raises(ValueError, match="n_cells is 0"):
        occlusion_map(detector, native(np.random.default_rng(0)), n_cells=0)


@given(
    st.integers(32, 700),
    st.integers(32, 700),
    st.sampled_from([CenterCrop(160), Crops(5, 128), Crops(1, 64), Resize(64)]),
)
def test_pixels_outside_the_box_change_no_view(height, width, view):
    top, left, bottom, right = seen_box([view], height, width)
    assert 0 <= top < bottom <= height
    assert 0 <= left < right <= width
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top:bottom, left:right] = 200
    assert (view.apply(pixels) == 200).all()
