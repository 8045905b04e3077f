"""Labelled folders: class, split and source from names, and what does not fit is named."""

import doctest
import os
from pathlib import Path

import pytest

from synthdetect.data import folders
from synthdetect.data.folders import CLASS_FOLDERS, read_dataset, read_folder
from synthdetect.errors import DataError


@pytest.fixture
def tree(tmp_path):
    """Make empty files of given relative paths, and return their root."""

    def make(*paths):
        for path in paths:
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return tmp_path

    return make


def labelled(dataset, root):
    return {
        image.relative_to(root).as_posix(): label
        for image, label in zip(dataset.images, dataset.y.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    ("name", "label"),
    [(name, label) for label, names in enumerate(CLASS_FOLDERS.values()) for name in names]
    + [("0", 0), ("1", 1), ("REAL", 0), ("AI-Generated", 1), ("Real Images", 0)],
)
def test_every_name_of_a_class_is_known(tree, name, label):
    root = tree(f"{name}/a.jpg")
    assert read_folder(root).y.tolist() == [label]


def test_the_nearest_class_counts(tree):
    root = tree("gan/progan/0_real/a.png", "gan/progan/1_fake/b.png", "gan/c.png")
    assert labelled(read_folder(root), root) == {
        "gan/c.png": 1,
        "gan/progan/0_real/a.png": 0,
        "gan/progan/1_fake/b.png": 1,
    }


def test_splits_stand_above_or_below_and_what_is_between_is_the_source(tree):
    root = tree(
        "train/real/a.jpg",
        "fake/stylegan/validation/b.jpg",
        "Test/cars/v2/1_fake/c.jpg",
        "ai/d.jpg",
    )
    data = read_folder(root)
    assert [path.name for path in data.images] == ["c.jpg", "d.jpg", "b.jpg", "a.jpg"]
    assert data.split.tolist() == ["test", "", "val", "train"]
    assert data.source.tolist() == ["cars/v2", "", "stylegan", ""]
    assert data.group.tolist() == [""] * 4


def test_hidden_files_and_other_files_do_not_count(tree):
    root = tree("real/a.jpg", "real/._a.jpg", ".cache/b.jpg", "__MACOSX/real/c.jpg", "notes.txt")
    assert [path.name for path in read_folder(root).images] == ["a.jpg"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a.jpg"], r"a\.jpg: is in no folder whose name is a class; put it into .*fake.*0 and 1"),
        (["real/a.jpg", "cats/b.jpg"], r"cats.b\.jpg: is in no folder"),
        (["train/real/test/a.jpg"], r"a\.jpg: is below folders of train and test"),
        (["fake/0/a.jpg"], r"folder 'fake' says synthetic and folder '0' in it real; rename one"),
        (["0/1/a.jpg"], r"a\.jpg: is below folders '0' and '1'"),
        (["real/notes.txt"], "there is no image in it; expected folders such as"),
    ],
)
def test_what_does_not_fit_is_named(tree, paths, message):
    with pytest.raises(DataError, match=message):
        read_folder(tree(*paths))


def test_a_shard_s_number_that_agrees_is_fine(tree):
    assert read_folder(tree("fake/1/a.jpg", "1/fake/b.jpg")).y.tolist() == [1, 1]


@pytest.mark.skipif(os.name != "posix", reason="links need no rights on POSIX")
def test_a_link_to_an_image_of_another_split_is_refused(tree):
    root = tree("train/real/a.jpg", "test/real/b.jpg")
    (root / "test" / "real" / "c.jpg").symlink_to(root / "train" / "real" / "a.jpg")
    with pytest.raises(DataError, match=r"train.real.a\.jpg: is the same file as .*c\.jpg"):
        read_folder(root)


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: there is no such directory"):
        read_folder(tmp_path / "nowhere")


def test_a_dataset_is_a_directory_or_a_manifest(tree):
    root = tree("real/a.jpg", "fake/b.jpg")
    (root / "m.csv").write_text("path,label\nreal/a.jpg,real\n")
    assert len(read_dataset(root)) == 2
    assert len(read_dataset(str(root / "m.csv"))) == 1
    with pytest.raises(DataError, match="nowhere: there is no such file or directory"):
        read_dataset(root / "nowhere")


def test_the_page_lists_every_name():
    page = Path(__file__).parents[1] / "docs" / "data.md"
    rows = [line.split(" | ") for line in page.read_text(encoding="utf-8").splitlines()]
    told = {row[0].removeprefix("| "): row[1] for row in rows if len(row) == 2}
    for label, number in (("real", "0"), ("synthetic", "1")):
        names = (*CLASS_FOLDERS[label], number)
        assert told[label] == ", ".join(f"`{name}`" for name in names) + " |"


def test_examples_of_the_docstrings():
    assert doctest.testmod(folders).failed == 0


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_source_of_bytes_that_are_no_utf_8_is_text(tree):
    data = read_folder(tree("fake/caf\udce9/a.png", "real/b.png"))
    assert data.source.tolist() == ["caf\\udce9", ""]
    assert data.source[0].encode() == b"caf\\udce9"
