"""What stops a training before it begins, and what it is warned of."""

import json
from dataclasses import replace

import numpy as np
import pytest

from conftest import labelled_arrays
from synthdetect.data.dataset import from_arrays
from synthdetect.errors import DataError, ImageError
from synthdetect.images.views import Crops
from synthdetect.members.spectrum import SpectralMember
from synthdetect.training import preflight
from synthdetect.training.log import TrainingLog
from synthdetect.training.preflight import require_readable, train_and_val
from synthdetect.training.recipe import Recipe

RECIPE = Recipe(members=(SpectralMember(view=Crops(1, 128)),), seed=3)


@pytest.fixture
def log(tmp_path):
    return TrainingLog(tmp_path, quiet=True)


def data_of(n_each, split=None):
    dataset = from_arrays(*labelled_arrays(n_each, seed=0))
    return dataset if split is None else replace(dataset, split=np.array(split))


def test_a_fifth_of_the_images_is_held_out(log):
    train, val = train_and_val(data_of(25), RECIPE, log)
    assert (len(train), len(val)) == (40, 10)
    assert val.y.sum() == 5


def test_a_part_that_is_held_out_must_teach_the_threshold(log):
    with pytest.raises(DataError, match=r"a group counts once.* has 4 real images; at least 5"):
        train_and_val(data_of(20), RECIPE, log)


def test_one_class_is_told_of_the_data_and_not_of_a_split(log):
    data = data_of(10)
    with pytest.raises(DataError, match="the data has 0 synthetic images"):
        train_and_val(data.take(data.y == 0), RECIPE, log)


def test_images_without_a_split_where_others_have_one_are_told(log, tmp_path):
    split = (["train"] * 5 + [""] * 5 + ["val"] * 10) * 2
    train, val = train_and_val(data_of(20, split), RECIPE, log)
    assert (len(train), len(val)) == (10, 20)
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["text"].startswith("10 images have no split where others have")


def test_a_pair_s_source_must_be_among_what_is_measured(log):
    data = data_of(20, ["train"] * 10 + ["val"] * 10 + ["train"] * 10 + ["val"] * 10)
    data = replace(data, source=np.repeat(["camera", "gan"], 20))
    train_and_val(data, replace(RECIPE, pairs=(("camera", "gan"),)), log)
    with pytest.raises(DataError, match=r"pairs: no measured image is of source 'gen'; .*gan"):
        train_and_val(data, replace(RECIPE, pairs=(("camera", "gen"),)), log)


def test_every_image_that_cannot_be_read_is_told_at_once(log, tmp_path):
    images, y = labelled_arrays(10, seed=0)
    for i in (3, 5, 7):
        images[i] = b"broken"
    with pytest.raises(ImageError, match=r"image 3: .*nor can 2 more images .*image 5, image 7$"):
        require_readable(from_arrays(images, y), tmp_path, log)
    assert not (tmp_path / "readable.txt").exists()


def test_images_that_were_readable_are_not_read_again(log, tmp_path, monkeypatch):
    data = data_of(5)
    require_readable(data, tmp_path, log)
    monkeypatch.setattr(preflight, "prepared", lambda *_: pytest.fail("read again"))
    require_readable(data, tmp_path, log)
    monkeypatch.undo()
    broken = replace(data, images=(b"broken", *data.images[1:]))
    with pytest.raises(ImageError, match="image 0"):
        require_readable(broken, tmp_path, log)
