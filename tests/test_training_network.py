"""Training a network: checkpoints, interruption and resumption; then its export."""

import json
from dataclasses import replace

import numpy as np
import pytest

from synthdetect.data.dataset import Dataset, from_arrays
from synthdetect.errors import DataError, TrainingError
from synthdetect.images.perturb import Augmentation
from synthdetect.images.views import CenterCrop
from synthdetect.members.backbones import Schedule, Sequential, build
from synthdetect.runtime.openvino import Graph
from synthdetect.training.export import TOLERANCE, export_graph, fold_batchnorm
from synthdetect.training.log import TrainingLog
from synthdetect.training.network import train_network

keras = pytest.importorskip("keras")

MEMBER = Sequential(
    view=CenterCrop(48),
    schedule=Schedule(crops=(32, 40), epochs=2, batch_size=8, label_smoothing=0.0),
)


def photographs(n: int, seed: int) -> Dataset:
    """Half smooth, half noisy pictures of 40 px."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    noise = rng.normal(0, 1, (n, 40, 40, 3)) * np.where(y, 60, 5)[:, None, None, None]
    images = np.clip(128 + noise, 0, 255).astype(np.uint8)
    return from_arrays(list(images), y)


class InterruptedLog(TrainingLog):
    """Stands for a kill after an epoch was computed and before its checkpoint."""

    def event(self, kind, **values):
        super().event(kind, **values)
        if values.get("epoch") == 2:
            raise KeyboardInterrupt


def run(folder, log_type=TrainingLog, fingerprint="same", member=MEMBER, **options):
    folder.mkdir(exist_ok=True)
    return train_network(
        member,
        photographs(24, seed=0),
        photographs(8, seed=1),
        augmentation=Augmentation(),
        seed=5,
        fingerprint=fingerprint,
        folder=folder / "net",
        log=log_type(folder, quiet=True),
        **options,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, run(folder)


def test_each_epoch_is_logged_with_loss_and_auroc(trained):
    folder, _ = trained
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all({"loss", "val_auroc", "time"} <= set(line) for line in lines)


def test_interrupted_training_goes_on_and_ends_as_if_undisturbed(trained, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, InterruptedLog)
    assert json.loads((tmp_path / "net" / "state.json").read_text())["epoch"] == 1
    resumed, undisturbed = (build(MEMBER, size=32, weights=None) for _ in range(2))
    resumed.load_weights(run(tmp_path))
    undisturbed.load_weights(trained[1])
    for got, wanted in zip(resumed.get_weights(), undisturbed.get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_finished_training_is_not_repeated(trained):
    folder, weights = trained
    before = weights.stat().st_mtime_ns
    assert run(folder) == weights
    assert weights.stat().st_mtime_ns == before


def test_folder_of_another_recipe_is_refused(trained):
    folder, _ = trained
    with pytest.raises(TrainingError, match="another recipe or other data"):
        run(folder, fingerprint="other")


def test_damaged_state_says_what_to_do(tmp_path):
    (tmp_path / "net").mkdir(parents=True)
    (tmp_path / "net" / "state.json").write_text("{")
    with pytest.raises(TrainingError, match=r"state\.json: not readable .*delete"):
        run(tmp_path)


def test_class_smaller_than_half_a_batch_is_refused(tmp_path):
    data = photographs(24, seed=0)
    few = data.take(np.flatnonzero((data.y == 0) | (np.arange(24) < 4)))
    with pytest.raises(DataError, match="the training split has 2 synthetic images; at least 4"):
        train_network(
            MEMBER,
            few,
            data,
            augmentation=Augmentation(),
            seed=0,
            fingerprint="",
            folder=tmp_path,
            log=TrainingLog(tmp_path, quiet=True),
        )


def test_export_agrees_with_keras_and_stores_half_precision(trained):
    crops = np.stack([MEMBER.view.apply(image) for image in photographs(8, seed=2).images])
    exported = export_graph(MEMBER, trained[1], crops)
    files = exported.files
    assert exported.difference <= TOLERANCE
    # 557 thousand weights of two bytes, and little else.
    assert exported.n_parameters == 557_377
    assert len(files["bin"]) < 1_200_000
    logits = Graph(files["xml"], files["bin"], crops=(1, 48, 48, 3)).logits(crops)
    assert np.isfinite(logits).all()


def test_folding_keeps_the_function_up_to_the_rounding(trained):
    model = build(MEMBER, size=32, weights=None)
    model.load_weights(trained[1])
    crops = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    before = model.predict(crops, verbose=0)
    fold_batchnorm(keras, model)
    after = model.predict(crops, verbose=0)
    assert np.linalg.norm(after - before) <= 0.01 * max(1.0, np.linalg.norm(before))
    assert not np.array_equal(after, before)


def test_export_that_differs_is_refused(trained, monkeypatch):
    monkeypatch.setattr("synthdetect.training.export.TOLERANCE", 0.0)
    crops = np.stack([MEMBER.view.apply(image) for image in photographs(2, seed=2).images])
    with pytest.raises(TrainingError, match="differs from Keras by"):
        export_graph(MEMBER, trained[1], crops)


# Small, and with convolutions before pooling, a BatchNorm after it and a softmax over two.
STUDY = Sequential(
    view=CenterCrop(40),
    head="study",
    schedule=Schedule(crops=(40,), epochs=2, batch_size=8, mixup=0.2, ema=0.5, balanced=True),
)


def test_training_with_every_option_goes_on_as_if_undisturbed(tmp_path):
    undisturbed, resumed = (build(STUDY, size=40, weights=None) for _ in range(2))
    undisturbed.load_weights(run(tmp_path / "whole", member=STUDY))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", InterruptedLog, member=STUDY)
    resumed.load_weights(run(tmp_path / "cut", member=STUDY))
    for got, wanted in zip(resumed.get_weights(), undisturbed.get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_the_study_network_exports(tmp_path):
    crops = np.stack([STUDY.view.apply(image) for image in photographs(8, seed=2).images])
    exported = export_graph(STUDY, run(tmp_path, member=STUDY), crops)
    assert exported.difference <= TOLERANCE


def test_pupils_learn_what_the_teacher_says(tmp_path):
    asked = []

    def contrary(crops):
        asked.append(crops.shape)
        return np.where(crops.std(axis=(1, 2, 3, 4)) > 30, -9.0, 9.0)

    member = replace(MEMBER, teacher="contrary")
    run(tmp_path, member=member, teacher=contrary)
    assert set(asked) == {(8, 1, 32, 32, 3), (8, 1, 40, 40, 3)}


def test_a_network_that_diverges_says_so(tmp_path):
    member = replace(MEMBER, schedule=replace(MEMBER.schedule, learning_rate=1e30))
    with pytest.raises(TrainingError, match=r"diverged in epoch 1 .*a lower learning_rate"):
        run(tmp_path, member=member)
    assert not (tmp_path / "net" / "state.json").exists()
