"""What a network says as a teacher of others; whole trainings are tested with `training.fit`."""

import numpy as np
import pytest

from synthdetect.bundle.assemble import take_apart
from synthdetect.bundle.hub import open_bundle
from synthdetect.images.views import Resize
from synthdetect.runtime.openvino import Graph
from synthdetect.training.member import _as_teacher


@pytest.fixture(scope="module")
def trained():
    members, _ = take_apart(open_bundle("ensemble-v1"))
    return {member.name: member for member in members}


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(5).integers(0, 256, (3, 1, 96, 96, 3), dtype=np.uint8)


def graph(member, size):
    return Graph(member.graph["xml"], member.graph["bin"], crops=(1, size, size, 3))


def test_a_teacher_of_whole_pictures_sees_a_crop_at_its_own_size(trained, crops):
    member = trained["whole"]
    scaled = np.stack([Resize(member.view.size).apply(crop[0]) for crop in crops])
    expected = graph(member, member.view.size).logits(scaled)
    assert np.allclose(_as_teacher(member)(crops), expected, atol=1e-4)
    assert not np.allclose(expected, graph(member, 96).logits(crops), atol=0.1)


def test_a_teacher_of_native_pixels_sees_the_very_pixels(trained, crops):
    member = trained["mobilenetv2"]
    assert np.allclose(_as_teacher(member)(crops), graph(member, 96).logits(crops), atol=1e-4)


def test_no_teacher_says_nothing():
    assert _as_teacher(None) is None
