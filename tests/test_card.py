"""A data card counts what there is, by class, and is written for people and machines."""

import json

import numpy as np
import pytest

from synthdetect.data.card import Spread, data_card
from synthdetect.data.dataset import Dataset
from synthdetect.errors import DataError, ImageError
from synthdetect.images.facts import FileFacts

JPEG = FileFacts("JPEG", "RGB", 200, 100, 10_000, 90, True, "4:2:0", False, True, False)
PNG = FileFacts("PNG", "RGB", 300, 300, 90_000, None, None, None, False, False, False)


def made(y, **columns):
    """A dataset of paths that are never read; what is not given is empty."""
    n = len(y)
    own = {
        name: np.array(columns.pop(name, [""] * n), dtype=np.str_)
        for name in ("source", "group", "split")
    }
    facets = {name: np.array(values, dtype=np.str_) for name, values in columns.items()}
    images = tuple(f"{i}.jpg" for i in range(n))
    return Dataset(images=images, y=np.array(y), **own, facets=facets)


@pytest.fixture
def card():
    data = made(
        [0, 0, 1, 1],
        split=["test", "train", "train", "val"],
        source=["camera", "", "gan", "gan"],
        group=["p", "p", "q", ""],
        gender=["f", "m", "f", ""],
    )
    return data_card(data, [JPEG, JPEG, PNG, ImageError("3.jpg", "is | truncated")])


def test_classes_splits_sources_and_facets_are_counted_by_class(card):
    assert (card.n, card.n_groups) == (4, 2)
    assert card.by_class == {"real": 2, "synthetic": 2}
    assert card.counts["split"] == {
        "train": {"real": 1, "synthetic": 1},
        "val": {"real": 0, "synthetic": 1},
        "test": {"real": 1, "synthetic": 0},
    }
    assert list(card.counts["split"]) == ["train", "val", "test"]
    assert card.counts["source"]["(not given)"] == {"real": 1, "synthetic": 0}
    assert card.counts["gender"] == {
        "f": {"real": 1, "synthetic": 1},
        "m": {"real": 1, "synthetic": 0},
        "(not given)": {"real": 0, "synthetic": 1},
    }


def test_files_are_counted_where_they_could_be_read(card):
    assert card.counts["file: format"] == {
        "JPEG": {"real": 2, "synthetic": 0},
        "PNG": {"real": 0, "synthetic": 1},
    }
    assert card.counts["file: metadata"]["EXIF"] == {"real": 2, "synthetic": 0}
    assert card.spreads["file: width"]["synthetic"] == Spread(1, 300, 300, 300, 300, 300)
    assert card.spreads["file: bytes per pixel"]["real"].median == 0.5
    assert card.spreads["file: JPEG quality"]["synthetic"] == Spread(0, 0, 0, 0, 0, 0)
    assert card.unreadable == {"3.jpg": "is | truncated"}


def test_what_is_not_given_is_not_told():
    card = data_card(made([0, 1], gender=["", ""]), [PNG, PNG])
    assert set(card.counts) == {"file: format", "file: colour mode", "file: metadata"}
    assert "file: JPEG quality" not in card.spreads


def test_numbers_of_many_values_have_a_spread_and_others_are_counted():
    ages = [str(age) for age in range(20, 60)]
    card = data_card(
        made([0, 1] * 20, age=ages, pose=["0", "45"] * 20, note=[f"n{i}" for i in range(40)]),
        [PNG] * 40,
    )
    assert card.spreads["age"]["real"] == Spread(20, 20, 29.5, 39, 48.5, 58)
    assert card.counts["pose"]["45"] == {"real": 0, "synthetic": 20}
    assert len(card.counts["note"]) == 21
    assert sum(card.counts["note"]["(others)"].values()) == 20


def test_every_source_is_told_however_many_there_are():
    card = data_card(made([0, 1] * 20, source=[f"s{i}" for i in range(40)]), [PNG] * 40)
    assert len(card.counts["source"]) == 40


def test_text_is_aligned(card):
    lines = str(card).splitlines()
    assert lines[0] == "4 images: 2 real, 2 synthetic; 2 groups"
    start = lines.index("split  real  synthetic")
    assert lines[start + 1 : start + 4] == [
        "train     1          1",
        "val       0          1",
        "test      1          0",
    ]
    assert "- 3.jpg: is | truncated" in lines


def test_json_holds_everything(card):
    told = json.loads(json.dumps(card.to_dict()))
    assert told["counts"]["gender"]["f"] == {"real": 1, "synthetic": 1}
    assert told["spreads"]["file: width"]["real"]["median"] == 200


def test_markdown_tables_survive_bars_and_line_breaks():
    text = data_card(made([0, 1], source=["a|b", "c\nd"]), [PNG, PNG]).to_markdown()
    assert "| a\\|b | 1 | 0 |" in text
    assert "| c d | 0 | 1 |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert "| source | real | synthetic |" in rows
    assert "| --- | ---: | ---: |" in rows


def test_facts_of_another_dataset_are_refused():
    with pytest.raises(DataError, match="1 file facts for 2 images"):
        data_card(made([0, 1]), [PNG])


def test_an_empty_dataset_has_a_card():
    assert str(data_card(made(np.zeros(0, dtype=np.int64)), [])).startswith("0 images: 0 real")
