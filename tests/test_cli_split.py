"""`synthdetect split`: what it writes, what it keeps together, and what it refuses."""

import numpy as np
import pytest
from PIL import Image

from conftest import run
from synthdetect.data.dataset import read_manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty pictures in labelled folders; each second one is the first saved as a small JPEG."""
    root = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(0)
    for name in ("real", "fake/made-up"):
        (root / name).mkdir(parents=True)
        for i in range(10):
            coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
            picture = coarse.resize((96, 96), Image.Resampling.BICUBIC)
            picture.save(root / name / f"{i}.png")
            picture.resize((48, 48)).save(root / name / f"{i}-small.jpg")
    return root


def test_near_duplicates_stay_in_one_split(folder, tmp_path):
    out = tmp_path / "all.csv"
    result = run("split", folder, "--out", out, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "train: 14 real, 14 synthetic",
        "val: 2 real, 2 synthetic",
        "test: 4 real, 4 synthetic",
    ]
    data = read_manifest(out)
    of = {
        (image.parent.name, image.name): split
        for image, split in zip(data.images, data.split.tolist(), strict=True)
    }
    for (parent, name), split in of.items():
        assert split == of[parent, f"{name.split('.')[0].split('-')[0]}.png"]
    assert set(data.source.tolist()) == {"", "made-up"}


def test_the_seed_deals_and_the_same_seed_deals_the_same(folder, tmp_path):
    texts = []
    for seed in (0, 0, 1):
        assert run("split", folder, "--out", tmp_path / "m.csv", "--seed", seed).exit_code == 0
        texts.append((tmp_path / "m.csv").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_shares_and_no_duplicates(folder, tmp_path):
    out = tmp_path / "m.csv"
    result = run("split", folder, "--out", out, "--shares", 0.5, 0, 0.5, "--no-duplicates")
    assert result.stdout.splitlines() == [
        "train: 10 real, 10 synthetic",
        "test: 10 real, 10 synthetic",
    ]
    assert not any(read_manifest(out).group)


def test_splits_that_are_there_are_dealt_anew_only_when_asked(folder, tmp_path):
    first, again = tmp_path / "first.csv", tmp_path / "again.csv"
    run("split", folder, "--out", first)
    result = run("split", first, "--out", again)
    assert result.exit_code == 2
    assert "has splits already; --anew deals its images once more" in result.stderr
    assert not again.exists()
    assert run("split", first, "--out", again, "--anew", "--seed", 5).exit_code == 0
    assert read_manifest(again).split.tolist() != read_manifest(first).split.tolist()


def test_an_image_that_cannot_be_read_is_named_and_nothing_is_written(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.jpg").write_bytes(b"broken")
    result = run("split", tmp_path, "--out", tmp_path / "m.csv")
    assert result.exit_code == 2
    assert "a.jpg: is no image of a kind that is read" in result.stderr
    assert not (tmp_path / "m.csv").exists()


def test_near_duplicates_of_two_classes_are_told(folder, tmp_path):
    for name, of in (("real", "0.png"), ("fake", "0-small.jpg")):
        (tmp_path / name).mkdir()
        for i in range(5):
            source = folder / "real" / of.replace("0", str(i))
            (tmp_path / name / source.name).write_bytes(source.read_bytes())
    result = run("split", tmp_path, "--out", tmp_path / "m.csv", "--shares", 0.6, 0, 0.4)
    assert result.exit_code == 0, result.output
    assert "near-duplicates are of different classes" in result.stderr
    assert len(read_manifest(tmp_path / "m.csv")) == 10
