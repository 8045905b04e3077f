"""The table of networks and the options of their members."""

import numpy as np
import pytest

from synthdetect.errors import RecipeError
from synthdetect.images.views import CenterCrop, Resize
from synthdetect.members.backbones import (
    BACKBONES,
    BackboneMember,
    EfficientNetB0,
    MobileNetV2,
    MobileNetV3Large,
    Residual,
    ResNet50,
    Schedule,
    Sequential,
    Xception,
    build,
    leaves,
)

# Parameters of the network, of the study's head, and of those how many never learn by gradients.
# The study's slides were read as 6,895,810 for Sequential and 24,884,992 for MobileNetV3Large's
# first head layer; both have an 8 where its own layers, and its total of 27,082,370, have a 0.
STUDY_PARAMETERS = {
    "Sequential": (557_120, 5_538_690),
    "MobileNetV2": (2_257_984, 1_281),
    "EfficientNetB0": (4_049_571, 164_097),
    "MobileNetV3Large": (2_996_352, 24_084_992 + 1_026),
    "Xception": (20_861_480, 2_049),
    "ResNet50": (23_587_712, 2_049),
}
FACTORIES = {
    "Sequential": Sequential,
    "MobileNetV2": MobileNetV2,
    "EfficientNetB0": EfficientNetB0,
    "MobileNetV3Large": MobileNetV3Large,
    "Xception": Xception,
    "ResNet50": ResNet50,
    "residual": Residual,
}


def study(kind):
    size = BACKBONES[kind].size
    return FACTORIES[kind](
        head="study",
        weights=None,
        view=CenterCrop(size),
        schedule=Schedule(crops=(size,), epochs=1),
    )


@pytest.mark.parametrize("kind", STUDY_PARAMETERS)
def test_the_study_preset_has_the_parameters_of_the_study(kind):
    pytest.importorskip("keras")
    model = build(study(kind), size=BACKBONES[kind].size, weights=None)
    parts = model.get_layer("base").count_params(), model.get_layer("top").count_params()
    assert parts == STUDY_PARAMETERS[kind]
    assert model.output_shape == (None, 1)
    assert model.input.dtype == "uint8"


def test_the_totals_are_those_of_the_study():
    assert sum(STUDY_PARAMETERS["MobileNetV2"]) == 2_259_265
    assert sum(STUDY_PARAMETERS["EfficientNetB0"]) == 4_213_668
    assert sum(STUDY_PARAMETERS["MobileNetV3Large"]) == 27_082_370


def test_1152_parameters_of_the_study_network_do_not_learn():
    pytest.importorskip("keras")
    model = build(study("Sequential"), size=128, weights=None)
    assert sum(int(np.prod(w.shape)) for w in model.non_trainable_weights) == 1_152


@pytest.mark.parametrize("kind", BACKBONES)
def test_fine_tuning_starts_at_a_layer_that_is_there(kind):
    keras = pytest.importorskip("keras")
    start = BACKBONES[kind].unfreeze_from
    base = build(study(kind), size=BACKBONES[kind].size, weights=None).get_layer("base")
    assert start == "all" or start in [layer.name for layer in leaves(keras, base)]


def test_the_residual_network_is_small_and_keeps_its_resolution():
    keras = pytest.importorskip("keras")
    model = build(Residual(weights=None), size=96, weights=None)
    assert model.count_params() <= 1_500_000
    layers = leaves(keras, model.get_layer("base"))
    first = next(layer for layer in layers if layer.name == "stem")
    assert first.output.shape[1:3] == (96, 96)
    assert model.get_layer("base").output_shape[1:3] == (6, 6)


def test_the_high_pass_sees_no_flat_areas():
    keras = pytest.importorskip("keras")
    base = build(Residual(weights=None), size=96, weights=None).get_layer("base")
    high_pass = base.get_layer("high_pass")
    flat = np.full((1, 96, 96, 3), 0.4, np.float32)
    inside = keras.ops.convert_to_numpy(high_pass(flat))[:, 1:-1, 1:-1]
    np.testing.assert_allclose(inside, 0.0, atol=1e-6)
    assert not high_pass.trainable


def test_batchnorm_follows_within_an_epoch():
    keras = pytest.importorskip("keras")
    model = build(MobileNetV2(), size=96, weights=None)
    norms = [
        layer
        for layer in leaves(keras, model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {layer.momentum for layer in norms} == {0.99}


def test_imagenet_kernels_of_resnet_are_turned_to_rgb(tmp_path):
    keras = pytest.importorskip("keras")
    theirs = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3))
    path = tmp_path / "resnet.weights.h5"
    theirs.save_weights(path)
    ours = build(ResNet50(weights=str(path)), size=64, weights=str(path)).get_layer("base")
    kernels = [net.get_layer("conv1_conv").get_weights()[0] for net in (ours, theirs)]
    np.testing.assert_array_equal(kernels[0], kernels[1][:, :, ::-1])


def test_a_network_without_imagenet_weights_says_so():
    with pytest.raises(RecipeError, match="no ImageNet weights for Sequential; use weights"):
        Sequential(weights="imagenet")


def test_a_flattening_head_fits_one_size_only():
    with pytest.raises(RecipeError, match="fits one size; use crops of 128"):
        Sequential(head="study", view=CenterCrop(128), schedule=Schedule(crops=(64, 128)))


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
        ({"head": "large"}, "head is 'large'; use 'small' or 'study'"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        MobileNetV2(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"warmup": 1.0},
        {"learning_rate": 0.0},
        {"label_smoothing": -0.1},
        {"mixup": -1.0},
        {"ema": 1.0},
        {"head_epochs": -1},
    ],
)
def test_impossible_schedules_are_refused(options):
    with pytest.raises(RecipeError, match=next(iter(options))):
        Schedule(**options)


def test_members_are_values():
    assert MobileNetV2(view=CenterCrop(96)) == BackboneMember(
        kind="MobileNetV2", name="mobilenetv2", view=CenterCrop(96)
    )
    assert np.unique([hash(MobileNetV2()), hash(MobileNetV2())]).size == 1


@pytest.mark.parametrize("kind", list(BACKBONES))
def test_float16_holds_what_is_taken_off_the_pixels(kind):
    offset = np.asarray(BACKBONES[kind].offset)
    np.testing.assert_array_equal(offset.astype(np.float16), offset)
