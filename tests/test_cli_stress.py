"""`synthdetect stress` and `predict --stability`: which images, which form, what they exit with."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from conftest import labelled_arrays, run
from synthdetect.cli.stress import _format_of
from synthdetect.detector import Detector


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Two images of each class in train, three in test."""
    folder = tmp_path_factory.mktemp("stress")
    lines = ["path,label,split,source"]
    for i, (pixels, label) in enumerate(zip(*labelled_arrays(5, seed=8), strict=True)):
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{label},{('train', 'test')[i % 5 > 1]},{('camera', 'gan')[label]}")
    (folder / "all.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "all.csv"


def test_json_tells_what_was_measured_on_the_test_images(manifest, tiny_bundle, tmp_path):
    out = tmp_path / "stress.json"
    result = run("stress", manifest, "--bundle", tiny_bundle, "--out", out, "-q")
    assert result.exit_code == 0, result.output
    told = json.loads(out.read_text(encoding="utf-8"))
    assert told["note"] == f"Split test of {manifest}."
    assert told["perturbations"][0]["n"] == 6
    assert set(told["flips"]["groups"]) == {"class", "source"}
    assert told["threshold"] == Detector.load(tiny_bundle).threshold_


def test_max_images_and_seed_decide_the_images(manifest, tiny_bundle):
    options = ("--bundle", tiny_bundle, "--split", "all", "--max-images", "4", "-f", "csv")
    first, again = (run("stress", manifest, *options, "--seed", "1").stdout for _ in range(2))
    assert first == again
    rows = list(csv.DictReader(io.StringIO(first)))
    assert {row["n"] for row in rows} == {"4"}
    assert rows[0]["perturbation"] == "untouched"


def test_text_says_that_images_of_train_are_among_them(manifest, tiny_bundle):
    result = run("stress", manifest, "--bundle", tiny_bundle, "--split", "train")
    assert "They include those of split train" in result.stdout
    assert "Decisions that flip" in result.stdout


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.csv", "csv"), ("a.MD", "markdown"), ("a.html", "html"), ("a.json", "json"), ("a", "text")],
)
def test_the_form_follows_the_extension_of_out(name, form):
    assert _format_of(Path(name)) == form


def test_unreadable_images_are_named_and_exit_with_1(tiny_bundle, tmp_path):
    for i, (pixels, label) in enumerate(zip(*labelled_arrays(1, seed=7), strict=True)):
        path = tmp_path / ("real", "ai")[label] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    (tmp_path / "ai" / "broken.png").write_bytes(b"broken")
    result = run("stress", tmp_path, "--bundle", tiny_bundle, "-f", "markdown")
    assert result.exit_code == 1
    assert "1 image(s) could not be read." in result.stdout
    assert "broken.png: is no image of a kind" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--split", "val"), "has no split 'val'"), (("--max-images", "1"), "--max-images")],
)
def test_wrong_usage_is_told_in_words(manifest, options, message):
    result = run("stress", manifest, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


class TestPredictStability:
    def test_csv_has_a_column_for_each_form(self, tiny_bundle, image_folder):
        options = ("--bundle", tiny_bundle, "--stability", "-f", "csv")
        rows = list(csv.DictReader(io.StringIO(run("predict", image_folder, *options).stdout)))
        paths = [row["path"] for row in rows if row["decision"] != "unreadable"]
        seen = Detector.load(tiny_bundle).stability(paths)
        told = [
            [float(value) for name, value in row.items() if name.startswith("p_")]
            for row in rows
            if row["p_synthetic"]
        ]
        assert told == seen.p.tolist()
        assert [row["decision"] for row in rows if row["p_synthetic"]] == seen.decided.tolist()
        assert [row["stable"] for row in rows if row["p_synthetic"]] == [
            str(stable) for stable in seen.stable
        ]
        assert [row["stable"] for row in rows if not row["p_synthetic"]] == [""]

    def test_the_given_threshold_decides_each_form(self, tiny_bundle, image_folder):
        options = ("--bundle", tiny_bundle, "--stability", "-f", "jsonl", "--threshold", "0")
        lines = run("predict", image_folder / "a.jpg", *options).stdout.splitlines()
        assert json.loads(lines[0])["decision"] == "synthetic"
        assert json.loads(lines[0])["stable"] is True

    def test_the_table_has_the_decision_that_holds(self, tiny_bundle, image_folder):
        options = ("--bundle", tiny_bundle, "--stability")
        result = run("predict", image_folder / "c.png", *options)
        seen = Detector.load(tiny_bundle).stability([image_folder / "c.png"])
        assert result.stdout.splitlines()[1].split()[1] == seen.decided[0]
