"""The head learns first, on features of the frozen network."""

import numpy as np
import pytest

from synthdetect.data.dataset import from_arrays
from synthdetect.images.views import CenterCrop
from synthdetect.members.backbones import Schedule, Sequential, build
from synthdetect.training.head import warm_up_head
from synthdetect.training.log import TrainingLog
from synthdetect.training.sequence import PixelCache

keras = pytest.importorskip("keras")


def test_the_head_learns_and_the_rest_stays(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(32) % 2
    noise = rng.normal(0, 1, (32, 32, 32, 3)) * np.where(y, 70, 3)[:, None, None, None]
    data = from_arrays(list(np.clip(128 + noise, 0, 255).astype(np.uint8)), y)
    member = Sequential(
        view=CenterCrop(32),
        dropout=0.0,
        schedule=Schedule(crops=(32,), epochs=1, batch_size=8, head_epochs=30, label_smoothing=0.0),
    )
    keras.utils.set_random_seed(0)
    model = build(member, size=32, weights=None)
    before = [np.array(w) for w in model.get_layer("base").get_weights()]
    crops = np.stack(data.images)
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    target = y[:, np.newaxis].astype(np.float32)
    untrained = float(bce(target, model.predict(crops, verbose=0)))
    log = TrainingLog(tmp_path, quiet=True)
    warm_up_head(keras, model, member, PixelCache(data), data.y, size=32, seed=0, log=log)
    assert float(bce(target, model.predict(crops, verbose=0))) < untrained
    for old, new in zip(before, model.get_layer("base").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert '"event": "head"' in (tmp_path / "log.jsonl").read_text()
