"""What learns in a network, and what is judged of it."""

import numpy as np
import pytest

from synthdetect.errors import RecipeError
from synthdetect.images.views import CenterCrop
from synthdetect.members.backbones import Schedule, Sequential, build, leaves
from synthdetect.training.optimise import compile_model, fast_arithmetic, freeze, judged_weights

keras = pytest.importorskip("keras")


def member(**schedule):
    schedule = {"crops": (32,), "epochs": 1, "batch_size": 4} | schedule
    return Sequential(view=CenterCrop(32), schedule=Schedule(**schedule))


def opened(**schedule):
    plan = member(**schedule)
    model = build(plan, size=32, weights=None)
    freeze(keras, model, plan)
    compile_model(keras, model, plan.schedule, n_train=8)
    return model, plan


def train_once(model):
    crops = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    model.train_on_batch(crops, np.array([[0.0], [1.0], [0.0], [1.0]], np.float32))


def test_only_the_head_learns_where_the_base_is_frozen():
    model, _ = opened(unfreeze_from="head")
    before = [np.array(w) for w in model.get_layer("base").get_weights()]
    train_once(model)
    # BatchNorm statistics are among them.
    for old, new in zip(before, model.get_layer("base").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 257


def test_layers_from_the_named_one_on_learn():
    model, _ = opened(unfreeze_from="block_2_conv_2")
    learning = {layer.name for layer in leaves(keras, model.get_layer("base")) if layer.trainable}
    assert {"block_2_conv_2", "block_3_norm"} <= learning
    assert not {"block_1_norm", "block_2_conv_1"} & learning


def test_a_layer_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(
        RecipeError, match=r"unfreeze_from is 'block_99'.*block_1_conv_1, block_1_conv_2"
    ):
        opened(unfreeze_from="block_99")


def test_the_average_of_the_weights_is_judged_and_training_goes_on_without_it():
    model, plan = opened(ema=0.9)
    start = np.array(model.get_layer("top").get_weights()[0])
    train_once(model)
    train_once(model)
    raw = np.array(model.get_layer("top").get_weights()[0])
    position = [w.shape for w in model.get_weights()].index(raw.shape)
    averaged = judged_weights(model, plan.schedule)[position]
    np.testing.assert_array_equal(model.get_layer("top").get_weights()[0], raw)
    moved = np.abs(averaged - start).sum() / np.abs(raw - start).sum()
    assert 0 < moved < 0.99


def test_an_epoch_does_not_put_the_average_in_the_place_of_the_weights():
    model, plan = opened(ema=0.9)
    crops = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(8, dtype=np.float32)[:, np.newaxis] % 2
    model.fit(crops, labels, batch_size=4, epochs=1, verbose=0)
    raw = model.get_layer("top").get_weights()[0]
    position = [w.shape for w in model.get_weights()].index(raw.shape)
    averaged = judged_weights(model, plan.schedule)[position]
    assert np.abs(averaged - raw).max() > 1e-5


def test_without_averaging_the_weights_themselves_are_judged():
    model, plan = opened()
    train_once(model)
    for judged, own in zip(judged_weights(model, plan.schedule), model.get_weights(), strict=True):
        np.testing.assert_array_equal(judged, own)


def test_the_rate_rises_and_falls_once_a_cycle():
    plan = Schedule(crops=(32, 48), epochs=2, batch_size=1, warmup=0.1, learning_rate=0.01)
    model = build(member(), size=32, weights=None)
    compile_model(keras, model, plan, n_train=100)
    rate = model.optimizer._learning_rate
    rates = np.array([float(rate(step)) for step in range(200)])
    assert np.argmax(rates[:100]) == np.argmax(rates[100:]) == 10
    assert rates[99] < 1e-5 < rates[100]


def test_the_arithmetic_policy_is_restored():
    before = keras.config.dtype_policy().name
    with pytest.raises(RuntimeError, match="stop"), fast_arithmetic(keras):
        raise RuntimeError("stop")
    assert keras.config.dtype_policy().name == before
