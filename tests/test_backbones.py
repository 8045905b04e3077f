"""The table of networks and the options of their members."""

import numpy as np
import pytest

from synthdetect.errors import RecipeError
from synthdetect.images.views import CenterCrop, Resize
from synthdetect.members.backbones import BackboneMember, MobileNetV2, Schedule, build


def test_mobilenetv2_has_the_parameters_of_the_network_and_one_logit():
    keras = pytest.importorskip("keras")
    model = build(MobileNetV2(), size=96, weights=None)
    # 2,257,984 of the network without its top, and 1,281 of the logit.
    assert model.count_params() == 2_259_265
    assert model.output_shape == (None, 1)
    assert model.input.dtype == "uint8"
    norms = [
        layer
        for layer in model.get_layer("mobilenetv2_1.00_96").layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {layer.momentum for layer in norms} == {0.99}


def test_weights_that_are_not_there_say_what_to_give(tmp_path):
    pytest.importorskip("keras")
    with pytest.raises(RecipeError, match=r"cannot start from weights .*give the path"):
        build(MobileNetV2(), size=96, weights=str(tmp_path / "no.weights.h5"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": Schedule(crops=(16,))}, "crop is 16; MobileNetV2 needs 32"),
        ({"view": Resize(20)}, "view size is 20"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        MobileNetV2(**options)


@pytest.mark.parametrize(
    "options", [{"epochs": 0}, {"warmup": 1.0}, {"learning_rate": 0.0}, {"label_smoothing": -0.1}]
)
def test_impossible_schedules_are_refused(options):
    with pytest.raises(RecipeError, match=next(iter(options))):
        Schedule(**options)


def test_members_are_values():
    assert MobileNetV2(view=CenterCrop(96)) == BackboneMember(
        kind="MobileNetV2", name="mobilenetv2", view=CenterCrop(96)
    )
    assert np.unique([hash(MobileNetV2()), hash(MobileNetV2())]).size == 1
