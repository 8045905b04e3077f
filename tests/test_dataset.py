"""Manifests and labels: what is wrong is named by its row."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.data.dataset import (
    from_arrays,
    hold_out,
    labels_to_y,
    read_manifest,
    require_classes,
)
from synthdetect.errors import DataError, ImageError


@pytest.fixture
def manifest(tmp_path):
    """Write a manifest of given text, with the images a.jpg to d.jpg beside it."""
    for name in "abcd":
        (tmp_path / f"{name}.jpg").write_bytes(b"never read")

    def write(text, encoding="utf-8"):
        path = tmp_path / "manifest.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_manifest_gives_paths_labels_and_what_else_it_has(manifest):
    data = read_manifest(
        manifest(
            "path,label,source,group,split,note\n"
            "a.jpg,real,camera,p1,train,x\n"
            "b.jpg,synthetic,gan,,val,y\n"
        )
    )
    assert [image.name for image in data.images] == ["a.jpg", "b.jpg"]
    assert data.y.tolist() == [0, 1]
    assert data.source.tolist() == ["camera", "gan"]
    assert data.group.tolist() == ["p1", ""]
    assert data.split.tolist() == ["train", "val"]
    assert len(data.sha256) == 64
    assert data.counts()["gan"] == {"real": 0, "synthetic": 1}


def test_other_columns_are_facets_and_stay_with_their_rows(manifest):
    data = read_manifest(
        manifest(
            "path,label,gender,,age,split\n"
            "a.jpg,real,f,x,30,train\nb.jpg,synthetic,,y,41,val\nc.jpg,real,m,z,,train\n"
        )
    )
    assert {name: values.tolist() for name, values in data.facets.items()} == {
        "gender": ["f", "", "m"],
        "age": ["30", "41", ""],
    }
    assert data.part("train").facets["gender"].tolist() == ["f", "m"]
    assert data.take(np.array([2, 1])).facets["age"].tolist() == ["", "41"]
    assert from_arrays([b""], [0]).facets == {}


def test_manifest_may_have_a_byte_order_mark_numbers_and_quotes(manifest):
    text = 'path,label,note\r\n"a.jpg",0,"two\nlines, and a comma"\r\nb.jpg,1,\r\n'
    data = read_manifest(manifest(text, "utf-8-sig"))
    assert data.y.tolist() == [0, 1]
    assert data.split.tolist() == ["", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("path,label\n", "no rows"),
        ("file,label\na.jpg,real\n", r"column 'path' is missing; it has file, label"),
        ("path;label\na.jpg;real\n", r"it has path;label \(columns are parted by commas"),
        ("path,class\na.jpg,real\n", "column 'label' is missing"),
        ("path,label\na.jpg,real\nb.jpg,fake\n", r"row 3: label is 'fake'; use"),
        ("path,label\na.jpg,real\nz.jpg,real\n", r"row 3: there is no file .*z\.jpg"),
        ("path,label\n,real\n", "row 2: path is empty"),
        ("path,label,split\na.jpg,real,dev\n", "row 2: split is 'dev'; use train, val, test"),
        ("path,label\na.jpg,real,more\n", "row 2: has another number of fields"),
        ("path,label,split\na.jpg,real\n", "row 2: has another number of fields"),
        (
            "path,label,split\na.jpg,real,train\na.jpg,real,test\n",
            r"row 3: a\.jpg stands in row 2 already",
        ),
        (
            "path,label,group,split\na.jpg,real,p,train\nb.jpg,real,p,test\n",
            "row 3: group 'p' is in split 'test' here and in 'train' in row 2",
        ),
    ],
)
def test_bad_manifests_name_the_row_and_the_cause(manifest, text, message):
    with pytest.raises(DataError, match=message):
        read_manifest(manifest(text))


def test_manifest_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "m.csv"
    with pytest.raises(DataError, match=r"m\.csv: there is no such file or directory"):
        read_manifest(path)
    path.write_bytes(b"path,label\n\xff\xfe,real\n")
    with pytest.raises(DataError, match=r"not a readable CSV manifest .* save it as CSV in UTF-8"):
        read_manifest(path)


@pytest.mark.parametrize(
    "labels",
    [
        ["real", "synthetic"],
        [0, 1],
        [False, True],
        np.array([0.0, 1.0]),
        np.array(["real", "synthetic"]),
        np.array([0, 1], dtype=np.uint8),
    ],
)
def test_labels_of_every_form(labels):
    assert labels_to_y(labels).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["real", "fake"], "label 1 is 'fake'"),
        ([0, 2], "label 1 is 2"),
        ([[0], [1]], r"shape \(2, 1\)"),
        ([0], "1 labels for 2 images"),
        ([0, None], "label 1 is None"),
        ([0, float("nan")], "label 1 is nan"),
    ],
)
def test_other_labels_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        labels_to_y(labels, n=2)


def test_binary_files_are_read_once_and_kept_as_bytes():
    data = from_arrays([io.BytesIO(b"one"), b"two", "three.png"], [0, 1, 0])
    assert data.images == (b"one", b"two", "three.png")
    with pytest.raises(ImageError, match="image 1: has 0 bytes"):
        from_arrays([b"one", io.BytesIO()], [0, 1])


def test_arrays_must_fit_each_other():
    with pytest.raises(DataError, match="3 groups for 2 images"):
        from_arrays([b"", b""], [0, 1], groups=[1, 2, 3])


@given(st.integers(5, 40), st.integers(5, 40), st.integers(0, 2**32 - 1), st.booleans())
def test_hold_out_keeps_groups_together_and_classes_in_proportion(n_real, n_fake, seed, grouped):
    y = [0] * n_real + [1] * n_fake
    groups = [f"{label}-{i // 2}" for i, label in enumerate(y)] if grouped else None
    whole = from_arrays([b""] * len(y), y, groups=groups)
    if grouped and min(n_real, n_fake) < 12:
        return
    data = hold_out(whole, fraction=0.2, seed=seed)
    assert set(data.split.tolist()) == {"train", "val"}
    for label in (0, 1):
        n_val = np.sum((data.split == "val") & (data.y == label))
        assert abs(n_val - 0.2 * np.sum(data.y == label)) <= (4 if grouped else 1)
    if grouped:
        for group in np.unique(data.group):
            assert len(set(data.split[data.group == group].tolist())) == 1
    assert hold_out(whole, fraction=0.2, seed=seed).split.tolist() == data.split.tolist()


def test_too_few_images_say_how_many_are_needed():
    data = from_arrays([b""] * 12, [0] * 10 + [1] * 2)
    with pytest.raises(DataError, match=r"2 synthetic images.*needs at least 5"):
        hold_out(data, fraction=0.2, seed=0)
    with pytest.raises(DataError, match="the training split has 2 synthetic images; at least 3"):
        require_classes(data, what="the training split", at_least=3)


def test_columns_without_a_name_may_be_several(manifest):
    data = read_manifest(manifest("path,label,,\na.jpg,real,1,2\nb.jpg,1,3,4\n"))
    assert data.facets == {}


def test_a_source_with_the_name_of_a_split_is_counted_apart(manifest):
    text = "path,label,split,source\na.jpg,real,train,test\nb.jpg,synthetic,test,gan\n"
    assert read_manifest(manifest(text)).counts() == {
        "train": {"real": 1, "synthetic": 0},
        "test": {"real": 0, "synthetic": 1},
        "source test": {"real": 1, "synthetic": 0},
        "gan": {"real": 0, "synthetic": 1},
    }


def test_parts_keep_rows_together():
    data = from_arrays([b"a", b"b", b"c"], [0, 1, 1], groups=["x", "y", "z"])
    part = data.take(np.array([2, 0]))
    assert part.images == (b"c", b"a")
    assert part.y.tolist() == [1, 0]
    assert part.group.tolist() == ["z", "x"]
    assert len(data.take(data.y == 1)) == 2
