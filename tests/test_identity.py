"""What tells one set of images from another: neither where it lies nor what is not learned."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import labelled_arrays, write_manifest
from synthdetect.data.dataset import from_arrays, read_manifest
from synthdetect.data.folders import read_folder
from synthdetect.data.identity import images_sha256


def folder(root, n_each=2, fill=b""):
    for name in ("real", "fake"):
        (root / name).mkdir(parents=True)
        for i in range(n_each):
            (root / name / f"{i}.png").write_bytes(bytes(10 + i) + fill)
    return read_folder(root)


def test_data_that_was_moved_is_the_same(tmp_path, monkeypatch):
    first = images_sha256(folder(tmp_path / "a"))
    assert images_sha256(folder(tmp_path / "b")) == first
    monkeypatch.chdir(tmp_path)
    assert images_sha256(read_folder("b")) == first
    assert images_sha256(read_folder("a/../b")) == first


def test_other_content_under_the_same_names_is_other_data(tmp_path):
    first = images_sha256(folder(tmp_path / "a"))
    assert images_sha256(folder(tmp_path / "b", fill=b"more")) != first
    assert images_sha256(folder(tmp_path / "c", n_each=3)) != first


def test_sources_and_other_columns_do_not_count_but_labels_and_parts_do(tmp_path):
    data = read_manifest(write_manifest(tmp_path, 4, seed=0))
    same = replace(data, source=np.full(8, "x"), sha256="other", facets={})
    assert images_sha256(same) == images_sha256(data)
    assert images_sha256(replace(data, y=1 - data.y)) != images_sha256(data)
    half = np.arange(8) < 4
    assert images_sha256(data.take(half), data.take(~half)) != images_sha256(data)


@pytest.mark.parametrize("form", [lambda image: image, lambda image: image.tobytes()])
def test_arrays_and_bytes_count_by_their_content(form):
    images, y = labelled_arrays(2, seed=0)
    first = images_sha256(from_arrays([form(image) for image in images], y))
    assert images_sha256(from_arrays([form(image.copy()) for image in images], y)) == first
    images[0][0, 0, 0] ^= 1
    assert images_sha256(from_arrays([form(image) for image in images], y)) != first


def test_files_that_are_gone_and_names_of_any_bytes_have_an_identity(tmp_path):
    names = [tmp_path / "gone.png", tmp_path / "caf\udce9.png"]
    first, second = (images_sha256(from_arrays([name], [0])) for name in names)
    assert first != second
