"""`synthdetect card`: what it prints, in which form, and what it exits with."""

import json

import numpy as np
import pytest
from PIL import Image

from conftest import labelled_arrays, native, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten real JPEGs of quality 90 and ten synthetic ones of quality 70, in labelled folders."""
    root = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(0)
    for name, quality in (("real", 90), ("fake", 70)):
        (root / "train" / name).mkdir(parents=True)
        for i in range(10):
            path = root / "train" / name / f"{i}.jpg"
            Image.fromarray(native(rng, 48)).save(path, quality=quality)
    return root


def test_text_has_the_counts_and_the_verdict(folder):
    result = run("card", folder)
    assert result.exit_code == 0, result.output
    assert "20 images: 10 real, 10 synthetic" in result.stdout
    assert "train    10         10" in result.stdout
    assert "file: JPEG quality" in result.stdout
    assert "Do file facts tell the classes apart?" in result.stdout
    assert result.stderr == ""


def test_json_has_both_in_one_object(folder):
    told = json.loads(run("card", folder, "--format", "json").stdout)
    assert told["by_class"] == {"real": 10, "synthetic": 10}
    assert told["spreads"]["file: JPEG quality"]["synthetic"]["median"] == 70
    assert told["confounds"]["n_real"] == 10
    assert set(told["confounds"]["alone"]) == {"JPEG quality", "bytes per pixel"}


def test_the_form_follows_the_extension_of_out(folder, tmp_path):
    for name, start in (("card.md", "# Data card\n"), ("card.json", "{\n"), ("card.txt", "20 ")):
        assert run("card", folder, "--out", tmp_path / name).exit_code == 0
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)


def test_a_manifest_s_further_columns_are_counted(folder, tmp_path):
    lines = ["path,label,gender"]
    lines += [f"{folder}/train/real/{i}.jpg,real,f" for i in range(6)]
    lines += [f"{folder}/train/fake/{i}.jpg,synthetic,\x1b[2Jm" for i in range(6)]
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = run("card", manifest)
    assert "gender" in result.stdout
    assert "\\x1b[2Jm" in result.stdout
    assert "\x1b" not in result.stdout


def test_near_duplicates_are_told_where_asked(folder, tmp_path):
    pytest.importorskip("imagehash", reason="needs the data extra")
    (tmp_path / "test" / "ai").mkdir(parents=True)
    (tmp_path / "train" / "real").mkdir(parents=True)
    content = (folder / "train" / "real" / "0.jpg").read_bytes()
    for path in ("test/ai/a.jpg", "train/real/b.jpg"):
        (tmp_path / path).write_bytes(content)
    (tmp_path / "train" / "real" / "broken.jpg").write_bytes(b"broken")
    result = run("card", tmp_path, "--duplicates")
    assert result.exit_code == 1
    assert "2 images look like others, in 1 groups\n1 of the groups are in more than one split" in (
        result.stdout
    )
    told = json.loads(run("card", tmp_path, "--duplicates", "-f", "json").stdout)
    assert told["duplicates"]["n_groups"] == 1
    assert "b.jpg (real)" in told["duplicates"]["across_classes"][0]
    assert "duplicates" not in json.loads(run("card", tmp_path, "-f", "json").stdout)


def test_too_few_images_have_a_card_and_a_reason_for_no_check(folder, tmp_path):
    lines = ["path,label", *(f"{folder}/train/real/{i}.jpg,real" for i in range(3))]
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = run("card", manifest)
    assert result.exit_code == 0
    assert "3 images: 3 real, 0 synthetic" in result.stdout
    assert "not checked: there are 3 real image files" in result.stdout


def test_unreadable_images_are_named_and_exit_with_1(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.jpg").write_bytes(b"broken")
    result = run("card", tmp_path)
    assert result.exit_code == 1
    assert "a.jpg: is no image of a kind that is read" in result.stdout
    assert result.stderr == "synthdetect: 1 of 1 images could not be read\n"


def test_unlabelled_images_are_an_error_in_one_line(tmp_path):
    (tmp_path / "a.jpg").touch()
    result = run("card", tmp_path)
    assert result.exit_code == 2
    assert "is in no folder whose name is a class" in result.stderr
    assert result.stderr.count("\n") == 1


def test_labelled_folders_can_be_calibrated_on(tiny_bundle, tmp_path):
    for i, (pixels, label) in enumerate(zip(*labelled_arrays(15, seed=7), strict=True)):
        path = tmp_path / ("nature", "ai")[label] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    out = tmp_path / "mine"
    result = run("calibrate", tmp_path, "--bundle", tiny_bundle, "--out", out)
    assert result.exit_code == 0, result.output
    assert "n = 30 (15 real, 15 synthetic)" in result.stdout


def test_an_image_with_a_whole_header_alone_is_named_where_pixels_are_looked_at(folder, tmp_path):
    whole = (folder / "train" / "real" / "0.jpg").read_bytes()
    (tmp_path / "real").mkdir()
    for i in range(2):
        (tmp_path / "real" / f"{i}.jpg").write_bytes(whole)
    (tmp_path / "real" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    assert run("card", tmp_path).exit_code == 0
    result = run("card", tmp_path, "--duplicates")
    assert result.exit_code == 1
    assert "cut.jpg: is truncated or damaged" in result.stdout
    assert "2 images look like others, in 1 groups" in result.stdout
