"""File facts that give the label away are found, and others are not accused."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import native
from synthdetect.data.confounds import (
    ALARM,
    Confounds,
    Separation,
    confounds,
    dataset_confounds,
    separation,
)
from synthdetect.data.dataset import from_arrays, read_manifest
from synthdetect.errors import DataError, ImageError
from synthdetect.images.facts import FileFacts

FACES = Path(__file__).parents[2] / "shared" / "faces" / "manifest.csv"
FACTS = FileFacts("JPEG", "RGB", 256, 256, 20_000, 90, True, "4:2:0", False, False, False)


def drawn(rng, qualities, **fixed):
    """Facts of one image whose quality is drawn and whose size in bytes follows nothing."""
    quality = int(rng.choice(qualities))
    return replace(FACTS, jpeg_quality=quality, n_bytes=int(rng.integers(10_000, 30_000)), **fixed)


def both(n_each, seed, real, synthetic):
    """`n_each` facts of each class, by a function each, and the labels."""
    rng = np.random.default_rng(seed)
    facts = [make(rng) for make in (real, synthetic) for _ in range(n_each)]
    return facts, np.repeat([0, 1], n_each)


def test_a_telling_quality_is_found_named_and_alarming():
    found = confounds(
        *both(100, 0, lambda r: drawn(r, [70, 75]), lambda r: drawn(r, [75, 90, 95])), seed=1
    )
    assert found.alarming
    assert found.together.low > ALARM
    assert next(iter(found.alone)) == "JPEG quality"
    assert found.alone["bytes per pixel"].low < 0.5
    assert "file facts alone tell the classes apart" in found.verdict
    assert "most of all by JPEG quality:" in found.verdict
    assert "encode both classes alike" in found.verdict
    assert {"format", "EXIF", "width and height"} <= set(found.constant)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("format", {"format": "PNG", "jpeg_quality": None}),
        ("width and height", {"width": 512}),
        ("chroma subsampling", {"subsampling": "4:4:4"}),
        ("EXIF", {"has_exif": True}),
        ("colour mode", {"mode": "L"}),
    ],
)
def test_each_fact_can_give_the_class_away(name, change):
    rng = np.random.default_rng(0)
    facts = [drawn(rng, [80, 90]) for _ in range(60)]
    facts[30:] = [replace(found, **change) for found in facts[30:]]
    found = confounds(facts, np.repeat([0, 1], 30))
    assert found.alone[name].value == 1.0
    # 30 right answers of 30, by Clopper and Pearson.
    assert found.alone[name].low == pytest.approx(0.8843, abs=1e-4)


def test_facts_together_tell_what_none_tells_alone():
    rng = np.random.default_rng(0)
    facts = [drawn(rng, [80, 90], has_exif=bool(rng.integers(2))) for _ in range(300)]
    y = np.array([(found.jpeg_quality == 90) ^ found.has_exif for found in facts], dtype=int)
    found = confounds(facts, y)
    assert found.alone["EXIF"].value < 0.65
    assert found.alone["JPEG quality"].value < 0.65
    assert found.alarming


def test_files_that_are_all_alike_tell_nothing():
    found = confounds([FACTS] * 40, np.repeat([0, 1], 20))
    assert found.alone == {}
    assert found.together.value == 0.5
    assert not found.alarming


@pytest.mark.parametrize(
    ("together", "words"),
    [
        (Separation(0.9, 0.8, 0.95), "tell the classes apart .*learn the compression"),
        (Separation(0.7, 0.6, 0.8), "say something about the class"),
        (Separation(0.6, 0.3, 0.8), "too few images to say"),
        (Separation(0.52, 0.45, 0.6), "no sign that file facts"),
    ],
)
def test_the_verdict_depends_on_the_interval(together, words):
    found = Confounds(10, 12, together, {"EXIF": together}, ("format",))
    assert re.search(words, found.verdict)
    assert f"AUROC {together}, n = 22" in found.verdict
    assert str(found).splitlines()[-1] == "  the same for all images: format"
    assert json.loads(json.dumps(found.to_dict()))["verdict"] == found.verdict


def test_unreadable_images_do_not_count():
    facts, y = both(20, 0, lambda r: drawn(r, [70, 90]), lambda r: drawn(r, [70, 90]))
    broken = [ImageError("x.jpg", "is broken"), *facts]
    assert confounds(broken, [1, *y]) == confounds(facts, y)


def test_groups_are_not_divided():
    # Each group has a width of its own: across groups it says nothing of the class.
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    facts = [replace(FACTS, width=300 + int(g), n_bytes=20_000 + 68 * int(g)) for g in groups]
    y = rng.permutation(np.repeat([0, 1], 20))[groups]
    kept = confounds(facts, y, groups=groups)
    assert kept.together.low < 0.5
    assert confounds(facts, y).alarming


def test_a_class_of_few_groups_is_refused_in_plain_words():
    with pytest.raises(DataError, match=r"there are 4 synthetic image files .* at least 5"):
        confounds([FACTS] * 24, [0] * 20 + [1] * 4)
    with pytest.raises(DataError, match="there are 1 real image files"):
        confounds([FACTS] * 20, [0, 1] * 10, groups=np.zeros(20))
    with pytest.raises(DataError, match="3 labels for 4 images"):
        confounds([FACTS] * 4, [0, 1, 0])


def test_same_seed_same_figures():
    facts, y = both(30, 0, lambda r: drawn(r, [70, 90]), lambda r: drawn(r, [80, 90]))
    assert confounds(facts, y, seed=3) == confounds(facts, y, seed=3)


def test_of_many_images_some_are_drawn(monkeypatch):
    monkeypatch.setattr("synthdetect.data.confounds.MAX_IMAGES", 50)
    found = confounds(*both(60, 0, lambda r: drawn(r, [70]), lambda r: drawn(r, [90])))
    assert found.n_real + found.n_synthetic == 50


def test_a_dataset_s_files_are_read_and_arrays_left_out(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(native(rng, 48)).save(tmp_path / f"{i}.jpg", quality=60 + 30 * (i % 2))
    images = [*(tmp_path / f"{i}.jpg" for i in range(40)), native(rng, 48)]
    data = from_arrays(images, [i % 2 for i in range(41)])
    found = dataset_confounds(data)
    assert (found.n_real, found.n_synthetic) == (20, 20)
    assert found.alone["JPEG quality"].value == 1.0
    assert dataset_confounds(data, max_images=30).n_real <= 20
    with pytest.raises(DataError, match="there are 0 real image files that can be read"):
        dataset_confounds(from_arrays([native(rng, 48)] * 9, [0, 1, 1] * 3))


def test_the_interval_covers_with_and_without_groups():
    rng = np.random.default_rng(0)
    for spread in (0.0, 1.0):
        # Two normal classes a unit of standard deviation apart, in groups of 4 of one class.
        n_groups = 60
        group = np.repeat(np.arange(n_groups), 4)
        y = (group % 2).astype(np.int64)
        shift = np.sqrt(1 + spread**2)
        truth = 0.760  # Phi(1 / sqrt(2))
        covered = 0
        for _ in range(400):
            scores = rng.normal(size=len(y)) + spread * rng.normal(size=n_groups)[group]
            fold = (group // 2) % 5
            found = separation(scores + shift * y, y, fold=fold, group=group)
            covered += found.low <= truth <= found.high
        assert 0.91 <= covered / 400 <= 0.98, spread


@pytest.mark.slow
def test_facts_that_say_nothing_are_rarely_accused():
    n_accused = 0
    for seed in range(60):
        facts, y = both(60, seed, lambda r: drawn(r, [70, 90]), lambda r: drawn(r, [70, 90]))
        n_accused += confounds(facts, y, seed=seed).together.low > 0.5
    # 2.5 % are expected.
    assert n_accused <= 5


@pytest.mark.slow
@pytest.mark.skipif(not FACES.exists(), reason="the faces are not here")
def test_the_faces_say_something_but_not_alarmingly():
    found = dataset_confounds(read_manifest(FACES), max_images=2000)
    assert 0.6 < found.together.value < ALARM
    assert not found.alarming
