"""An audit measures what `evaluate` does, and says what to look at first."""

import csv
import json

import numpy as np
import pytest

from conftest import write_manifest
from synthdetect import DataError, Detector, audit
from synthdetect.auditing.section import Section
from synthdetect.auditing.sections import SECTIONS
from synthdetect.data.folders import read_dataset

pytest.importorskip("matplotlib", reason="needs the plots extra")


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return Detector.load(tiny_bundle)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """15 images of each class, one of them broken, with a source and an odd file."""
    path = write_manifest(tmp_path_factory.mktemp("audit"), 15, seed=8)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for i, row in enumerate(rows):
        row["source"] = f"source {i % 2}"
    (path.parent / rows[3]["path"]).write_bytes(b"broken")
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def report(detector, manifest):
    return audit(detector, read_dataset(manifest), prevalence=0.02, note="made up", stress_images=0)


def test_its_figures_are_those_of_evaluate(detector, manifest, report):
    dataset = read_dataset(manifest)
    same = detector.evaluate(dataset.images, dataset.y, on_error="nan")
    assert report.evaluation.auroc == same.auroc
    assert report.evaluation.accuracy == same.accuracy
    assert set(report.evaluation.groupings) == {"source"}


def test_what_a_reviewer_must_know_comes_first(report):
    first = " ".join(report.attention)
    assert "1 of 30 images could not be read" in first
    assert "Only 14 real images" in first
    assert "no column group" in first
    assert str(report).startswith("To look at first:\n- ")


def test_training_data_are_recognised(detector, manifest, tiny_bundle):
    dataset = read_dataset(manifest)
    trained = Detector.load(tiny_bundle)
    facts = {**trained.facts_, "training_data": {"manifest_sha256": dataset.sha256}}
    trained._origin = type(trained._origin)("tiny", facts)
    sections = [SECTIONS[0]]
    found = audit(trained, dataset, sections=sections).attention
    assert any("trained on this very manifest" in line for line in found)


def test_the_nearest_images_are_the_nearest(detector, report):
    (listed,) = [s for s in report.sections if s.title == "Nearest to the threshold"]
    p = np.array([one["p"] for one in listed.values["images"]])
    away = np.abs(np.log(p / (1 - p)) - np.log(detector.threshold_ / (1 - detector.threshold_)))
    assert (np.diff(away) >= 0).all()
    assert len(listed.pictures) == len(p) == 12


def test_every_image_of_wrong_and_sure_is_wrong(report):
    (listed,) = [s for s in report.sections if s.title == "Wrong and sure of it"]
    assert all(one["label"] != one["decision"] for one in listed.values["images"])


def test_the_page_has_every_part_and_stays_small(report, tmp_path):
    html = report.to_html(tmp_path / "audit.html")
    for section in report.sections:
        assert section.title in html or not (section.words or section.tables)
    assert html.index("To look at first") < html.index("All figures") < html.index("Data card")
    assert html.count("<img ") == html.count('alt="')
    assert "<script" not in html
    assert len(html.encode()) < 3_000_000


def test_it_is_json(report, tmp_path):
    text = report.to_json(tmp_path / "audit.json")
    told = json.loads(text)
    assert told["attention"] == list(report.attention)
    assert told["sections"]["Figures"]["n"] == 29


def test_a_further_section_is_a_function(detector, manifest):
    def mine(material):
        return Section("Mine", [f"n = {len(material.p)}"], attention=["look here"])

    found = audit(detector, read_dataset(manifest), sections=[mine])
    assert found.attention == ("look here",)
    assert "<h2>Mine</h2>" in found.to_html()


def test_nothing_to_read_is_an_error(detector, tmp_path):
    path = write_manifest(tmp_path, 2, seed=0)
    for image in tmp_path.glob("*.png"):
        image.write_bytes(b"broken")
    with pytest.raises(DataError, match="none of 4 images can be read"):
        audit(detector, read_dataset(path))
