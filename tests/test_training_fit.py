"""A whole training by a recipe, of a member that needs no network; its log and its features."""

import json
from dataclasses import replace

import numpy as np
import pytest

from conftest import labelled_arrays, write_manifest
from synthdetect.data.dataset import from_arrays, read_manifest
from synthdetect.errors import DataError, ImageError, TrainingError
from synthdetect.images.perturb import Augmentation
from synthdetect.images.views import Crops
from synthdetect.members.spectrum import SpectralMember, features
from synthdetect.training.fit import train_ensemble, train_some
from synthdetect.training.log import TrainingLog
from synthdetect.training.recipe import Recipe
from synthdetect.training.spectral import train_spectral

MEMBER = SpectralMember(view=Crops(1, 128), copies=1, n_nets=1, n_hidden=4, n_epochs=20)
RECIPE = Recipe(name="mine", members=(MEMBER,), seed=3, pairs=(("camera", "gan"),))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A manifest with all three splits and two sources."""
    folder = tmp_path_factory.mktemp("data")
    lines = ["path,label,split,source"]
    for split, n_each in (("train", 20), ("val", 15), ("test", 10)):
        write_manifest(folder / split, n_each, seed=len(split))
        for i in range(2 * n_each):
            label, source = (("real", "camera"), ("synthetic", "gan"))[i >= n_each]
            lines.append(f"{split}/{i:03}.png,{label},{split},{source}")
    (folder / "all.csv").write_text("\n".join(lines) + "\n")
    return read_manifest(folder / "all.csv")


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    return train_ensemble(dataset, RECIPE, out=out, log=None), out


def test_figures_are_taken_on_test_and_on_the_pair(trained):
    figures = trained[0].figures
    assert (figures["split"], figures["n"]) == ("test", 20)
    assert figures["ensemble"]["accuracy"]["value"] > 0.8
    assert figures["pairs"]["camera / gan"]["ensemble"]["accuracy"]["n"] == 20


def test_what_it_was_trained_on_and_how_is_kept(trained, dataset):
    ensemble, _ = trained
    assert ensemble.training_data["manifest_sha256"] == dataset.sha256
    assert ensemble.training_data["counts"]["train"] == {"real": 20, "synthetic": 20}
    assert ensemble.recipe["members"][0]["n_epochs"] == 20
    assert ensemble.members[0].details["n_train"] == 40


def test_log_has_a_line_for_each_event(trained):
    lines = [json.loads(line) for line in (trained[1] / "log.jsonl").read_text().splitlines()]
    # The stand-ins for synthetic images are doubled, which PNG notices.
    events = ["start", "confounds", "warning", "features", "done"]
    assert [line["event"] for line in lines] == events
    assert lines[3]["rows"] == 80


def test_file_facts_that_tell_the_classes_apart_are_told_and_warned_of(trained):
    lines = [json.loads(line) for line in (trained[1] / "log.jsonl").read_text().splitlines()]
    told = next(line for line in lines if line["event"] == "confounds")
    assert told["low"] > 0.75
    assert told["n"] == 40
    assert "by bytes per pixel: a detector trained on this may learn the compression" in next(
        line["text"] for line in lines if line["event"] == "warning"
    )


def test_images_without_files_are_trained_on_and_their_check_is_not_silent(tmp_path):
    images, y = labelled_arrays(25, seed=0)
    recipe = replace(RECIPE, pairs=())
    train_ensemble(from_arrays(images, y), recipe, out=tmp_path / "out")
    lines = (tmp_path / "out" / "log.jsonl").read_text().splitlines()
    told = next(line for line in map(json.loads, lines) if line["event"] == "confounds")
    assert "not checked: there are 0 real image files" in told["verdict"]


def test_resuming_trains_nothing_again_and_gives_the_same(trained, dataset):
    ensemble, out = trained
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    again = train_ensemble(dataset, RECIPE, out=out, resume=True)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")} == before
    assert again.decision == ensemble.decision
    assert again.figures == ensemble.figures


def test_members_can_be_trained_one_by_one_and_are_not_trained_again(dataset, tmp_path):
    other = replace(MEMBER, name="other", copies=0)
    recipe = replace(RECIPE, members=(MEMBER, other))
    assert train_some(dataset, recipe, ["other"], out=tmp_path / "out") == ("spectral",)
    (stored,) = (tmp_path / "out").rglob("*.npz")
    before = stored.stat().st_mtime_ns
    with pytest.raises(TrainingError, match="is not empty; use --resume"):
        train_some(dataset, recipe, ["spectral"], out=tmp_path / "out")
    ensemble = train_ensemble(dataset, recipe, out=tmp_path / "out", resume=True)
    assert [member.name for member in ensemble.members] == ["spectral", "other"]
    assert stored.stat().st_mtime_ns == before


def test_a_member_s_folder_of_other_data_is_refused(dataset, tmp_path):
    train_some(dataset, RECIPE, ["spectral"], out=tmp_path / "out")
    fewer = dataset.take(np.arange(len(dataset)) != 3)
    with pytest.raises(TrainingError, match="another recipe or other data"):
        train_some(fewer, RECIPE, ["spectral"], out=tmp_path / "out", resume=True)


def test_a_row_of_test_may_go_and_nothing_is_trained_again(trained, dataset):
    fewer = dataset.take(np.arange(len(dataset)) != len(dataset) - 1)
    assert fewer.split.tolist().count("test") == 19
    before = {path: path.stat().st_mtime_ns for path in trained[1].rglob("*.npz")}
    train_some(fewer, RECIPE, ["spectral"], out=trained[1], resume=True)
    assert {path: path.stat().st_mtime_ns for path in trained[1].rglob("*.npz")} == before


def test_a_file_is_no_folder_for_a_training(dataset, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(TrainingError, match="out is a file; use another name"):
        train_ensemble(dataset, RECIPE, out=tmp_path / "out")


def test_used_folder_needs_resume(trained, dataset):
    with pytest.raises(TrainingError, match="is not empty; use --resume"):
        train_ensemble(dataset, RECIPE, out=trained[1])


def test_validation_of_one_class_is_refused(dataset, tmp_path):
    keep = (dataset.split != "val") | (dataset.y == 0)
    with pytest.raises(DataError, match="the validation split has 0 synthetic images"):
        train_ensemble(dataset.take(keep), RECIPE, out=tmp_path / "out")


def test_unreadable_training_image_is_named(tmp_path):
    images, y = labelled_arrays(25, seed=0)
    images[3] = b"broken"
    with pytest.raises(ImageError, match="no image of a kind"):
        train_ensemble(from_arrays(images, y), replace(RECIPE, pairs=()), out=tmp_path / "out")


def test_features_follow_the_seed_and_include_the_untouched_image(tmp_path):
    images, y = labelled_arrays(10, seed=0)
    data = from_arrays(images, y)
    options = {"augmentation": Augmentation(), "log": TrainingLog(tmp_path, quiet=True)}

    def arrays(name, seed):
        folder = tmp_path / name
        return train_spectral(MEMBER, data, seed=seed, fingerprint=name, folder=folder, **options)

    one, same, other = arrays("a", 1), arrays("b", 1), arrays("c", 2)
    np.testing.assert_array_equal(one["mean"], same["mean"])
    assert not np.array_equal(one["mean"], other["mean"])
    untouched = SpectralMember(view=Crops(1, 128), copies=0, n_nets=1, n_hidden=4, n_epochs=20)
    plain = train_spectral(
        untouched, data, seed=1, fingerprint="d", folder=tmp_path / "d", **options
    )
    wanted = np.mean([features(MEMBER.view.apply(image)) for image in images], axis=0)
    np.testing.assert_allclose(plain["mean"], wanted, rtol=1e-4, atol=1e-6)


def test_log_tells_people_too(tmp_path, capsys):
    log = TrainingLog(tmp_path)
    log.event("epoch", member="net", loss=0.12345)
    with log.bar("net epoch 1", 3) as advance:
        advance()
    assert "epoch: member net loss 0.1235" in capsys.readouterr().err
    TrainingLog(tmp_path, quiet=True).event("epoch", loss=1.0)
    assert capsys.readouterr().err == ""
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
