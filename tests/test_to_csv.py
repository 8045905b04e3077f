"""A manifest that is written is read as the same data."""

import string
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthdetect.data.dataset import Dataset, from_arrays, read_manifest
from synthdetect.data.to_csv import manifest_text
from synthdetect.errors import DataError

NAMES = st.text(string.ascii_letters + " ,;\"'-é\n", max_size=8)


def dataset_of(images, **columns):
    n = len(images)
    data = from_arrays(images, np.arange(n) % 2)
    return replace(data, **{k: np.array(v, dtype=np.str_) for k, v in columns.items()})


def assert_same(read: Dataset, data: Dataset):
    assert [image.resolve() for image in read.images] == [Path(i).resolve() for i in data.images]
    assert read.y.tolist() == data.y.tolist()
    for name in ("split", "source", "group"):
        assert getattr(read, name).tolist() == getattr(data, name).tolist()
    assert {k: v.tolist() for k, v in read.facets.items()} == {
        k: v.tolist() for k, v in data.facets.items()
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=5))
def test_what_is_written_is_read_again(tmp_path, rows):
    images = [tmp_path / "images" / f"{i}, a.png" for i in range(len(rows))]
    images[0].parent.mkdir(exist_ok=True)
    for image in images:
        image.touch()
    source, group, age = zip(*rows, strict=True)
    data = dataset_of(images, source=source, group=group)
    data = replace(data, facets={"age": np.array(age)})
    (tmp_path / "lists").mkdir(exist_ok=True)
    manifest = tmp_path / "lists" / "m.csv"
    manifest.write_text(manifest_text(data, manifest.parent), encoding="utf-8", newline="")
    assert_same(read_manifest(manifest), data)


def test_paths_are_relative_to_the_manifest_s_folder_and_empty_columns_are_left_out(tmp_path):
    data = dataset_of([tmp_path / "a" / "0.png", tmp_path / "b" / "1.png"], split=["train", "val"])
    assert manifest_text(data, tmp_path / "a") == (
        "path,label,split\n0.png,real,train\n../b/1.png,synthetic,val\n"
    )


@pytest.mark.parametrize(
    ("image", "message"),
    [(b"bytes", "image 0 is no file"), ("caf\udce9.png", "the name is no UTF-8")],
)
def test_what_a_manifest_cannot_name_is_refused(image, message):
    with pytest.raises(DataError, match=message):
        manifest_text(dataset_of([image]), ".")
