"""Leaving a source out: what learns, what is measured, and what a second call does not repeat."""

import json
from dataclasses import replace

import numpy as np
import pytest

from conftest import labelled_arrays
from synthdetect.data.dataset import Dataset
from synthdetect.errors import DataError, TrainingError
from synthdetect.images.views import CenterCrop, Crops
from synthdetect.members.backbones import MobileNetV2, Schedule
from synthdetect.members.spectrum import SpectralMember
from synthdetect.training import leave_out
from synthdetect.training.leave_out import leave_one_out
from synthdetect.training.log import TrainingLog
from synthdetect.training.recipe import Recipe

MEMBER = SpectralMember(
    view=Crops(1, 128), copies=0, n_nets=1, n_hidden=4, n_epochs=30, learning_rate=3e-3
)
pytestmark = pytest.mark.filterwarnings("ignore:the threshold is learned on|the classes are sep")
RECIPE = Recipe(members=(MEMBER,), seed=3)
SOURCES = ("camera", "phone", "gan", "diffusion")


@pytest.fixture(scope="module")
def dataset():
    """128 images: of each of two real and two synthetic sources 12 train, 12 val, 8 test."""
    images, y = labelled_arrays(64, seed=0)
    source = np.repeat(SOURCES, 32)
    return Dataset(
        images=tuple(images),
        y=y,
        source=source,
        group=np.full(128, "", dtype="<U20"),
        split=np.tile(np.repeat(["train", "val", "test"], [12, 12, 8]), 4),
        sha256="abc",
        facets={"family": np.where(y == 1, source, "")},
    )


def leave(dataset, out, recipe=RECIPE, **options):
    return leave_one_out(dataset, recipe, out=out, log=TrainingLog(out, quiet=True), **options)


@pytest.fixture(scope="module")
def done(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("folds")
    return leave(dataset, out), out


def test_each_source_is_measured_whole_against_held_out_images_of_the_other_class(done):
    table, _ = done
    assert [fold.value for fold in table.folds] == sorted(SOURCES)
    for fold in table.folds:
        assert fold.class_name == ("real" if fold.value in SOURCES[:2] else "synthetic")
        assert (fold.n_real + fold.n_synthetic, fold.n_against) == (32, 16)
        (row,) = fold.figures
        assert (row.auroc.n, row.error.n, row.error_against.n) == (48, 32, 16)


def test_what_is_the_same_everywhere_is_found_in_a_source_that_was_left_out(done):
    assert all(fold.figures[0].auroc.value > 0.9 for fold in done[0].folds)


def test_other_images_under_the_same_labels_are_other_data(done, dataset):
    _, out = done
    images, _ = labelled_arrays(64, seed=1)
    with pytest.raises(TrainingError, match="other data"):
        leave(replace(dataset, images=tuple(images)), out, only=["gan"])


def test_finished_folds_and_features_are_read_and_not_repeated(done, dataset, monkeypatch):
    table, out = done

    def refuse(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(leave_out, "all_features", refuse)
    assert leave(dataset, out) == table
    (folder,) = (path for path in out.iterdir() if path.name.startswith("gan-"))
    (folder / "left-out.json").unlink()
    # Only this fold learns again, from the stored features, and gives the same.
    assert leave(dataset, out) == table


def test_a_source_unlike_those_that_were_learned_is_missed(dataset, tmp_path):
    # Synthetic by their label, and native noise just like the real ones.
    native = labelled_arrays(32, seed=9)[0][:32]
    odd = replace(dataset, images=(*dataset.images[:96], *native))
    (fold,) = leave(odd, tmp_path, only=["diffusion"]).folds
    assert fold.figures[0].error.low > 0.5


def test_several_members_have_an_ensemble_too(dataset, tmp_path):
    recipe = replace(RECIPE, members=(MEMBER, replace(MEMBER, name="other", n_hidden=3)))
    (fold,) = leave(dataset, tmp_path, recipe, only=["gan"]).folds
    assert [row.name for row in fold.figures] == ["spectral", "other", "ensemble"]


@pytest.mark.slow
def test_networks_train_in_a_folder_of_their_fold_and_their_training_is_read_again(
    dataset, tmp_path
):
    pytest.importorskip("keras", reason="needs the train extra")
    schedule = Schedule(crops=(32,), epochs=1, batch_size=8)
    net = MobileNetV2(name="net", view=CenterCrop(32), weights=None, schedule=schedule)
    recipe = replace(RECIPE, members=(net, MEMBER))
    (fold,) = leave(dataset, tmp_path, recipe, only=["gan"]).folds
    assert [row.name for row in fold.figures] == ["net", "spectral", "ensemble"]
    assert fold.figures[1].auroc.value > 0.9
    (folder,) = (path for path in tmp_path.iterdir() if path.name.startswith("gan-"))
    assert (folder / "net").is_dir()
    (folder / "left-out.json").unlink()
    assert leave(dataset, tmp_path, recipe, only=["gan"]).folds == (fold,)
    log = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum('"epoch"' in line for line in log) == 1


def test_a_facet_can_be_left_out_and_blank_values_are_none(dataset, tmp_path):
    table = leave(dataset, tmp_path, by="family", only=["gan"])
    assert (table.by, table.folds[0].n_synthetic) == ("family", 32)
    with pytest.raises(DataError, match="family '' is not in the data; use diffusion, gan"):
        leave(dataset, tmp_path, by="family", only=[""])


def test_data_without_splits_is_split(dataset):
    twice = dataset.take(np.tile(np.arange(128), 2))
    dealt = leave_out._with_splits(replace(twice, split=np.full(256, "", dtype="<U5")), 3)
    fold = leave_out._fold(dealt, dealt.source, "source", "camera")
    assert len(fold.left_out) == 64
    # A fifth of the 128 synthetic images, and of the 64 other real ones besides those.
    assert 24 <= len(fold.against) <= 28
    assert 36 <= len(fold.val) <= 40


def test_groups_with_an_image_of_the_source_leave_with_it(dataset):
    group = dataset.group.copy()
    group[[0, 32]] = "one person"
    data = replace(dataset, group=group)
    fold = leave_out._fold(data, data.source, "source", "camera")
    assert 32 not in fold.train
    assert 33 in fold.train
    assert not set(fold.left_out) & {*fold.train, *fold.val, *fold.against}


def test_folders_of_odd_values_stay_inside_and_apart(dataset):
    fold = leave_out._fold(dataset, dataset.source, "source", "gan")
    names = {replace(fold, value=v).folder for v in ("..", "../..", "a/b", "a b", "", "x" * 300)}
    assert len(names) == 6
    assert all("/" not in name and name.strip(".") and len(name) < 60 for name in names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "camera"}, "no column 'camera' to leave out by; use source, family"),
        ({"only": ["sun"]}, "source 'sun' is not in the data; use camera, diffusion, gan, phone"),
    ],
)
def test_unknown_columns_and_values_are_named(dataset, tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        leave(dataset, tmp_path, **options)


def test_a_missing_split_and_a_class_that_goes_are_named(dataset, tmp_path):
    no_test = dataset.take(dataset.split != "test")
    with pytest.raises(DataError, match="no images of split 'test'"):
        leave(no_test, tmp_path)
    one_real = dataset.take(dataset.source != "phone")
    with pytest.raises(DataError, match="'train' without source 'camera' has 0 real images"):
        leave(one_real, tmp_path)
    blank = replace(dataset, source=np.full(128, ""))
    with pytest.raises(DataError, match="no image has a source"):
        leave(blank, tmp_path)


def test_a_folder_of_another_training_or_a_damaged_result_is_refused(done, dataset):
    _, out = done
    with pytest.raises(TrainingError, match="is of another recipe"):
        leave(dataset, out, replace(RECIPE, seed=4), only=["phone"])
    (folder,) = (path for path in out.iterdir() if path.name.startswith("phone-"))
    file = folder / "left-out.json"
    told = json.loads(file.read_text())
    del told["left_out"]["figures"]
    kept = file.read_text()
    file.write_text(json.dumps(told))
    with pytest.raises(TrainingError, match=r"cannot be read .* delete it"):
        leave(dataset, out, only=["phone"])
    file.write_text(kept)
