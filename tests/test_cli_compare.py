"""`synthdetect compare`: which images, which form, and what it exits with."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from conftest import labelled_arrays, run
from synthdetect.cli.compare import _format_of

pytestmark = pytest.mark.filterwarnings("ignore:the threshold is learned on|the classes are sep")

RECIPE = """
[[members]]
kind = "spectral"
view = { kind = "crops", n = 1, size = 128 }
copies = 0
n_nets = 1
n_hidden = 4
n_epochs = 30
learning_rate = 3e-3
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Of each of two real and two synthetic sources, 12 images train, 12 val, 8 test."""
    folder = tmp_path_factory.mktemp("data")
    lines = ["path,label,split,source"]
    images, y = labelled_arrays(64, seed=0)
    for i, (pixels, label) in enumerate(zip(images, y, strict=True)):
        Image.fromarray(pixels).save(folder / f"{i}.png")
        split = ("train" if i % 32 < 12 else "val") if i % 32 < 24 else "test"
        source = ("camera", "phone", "gan", "diffusion")[i // 32]
        lines.append(f"{i}.png,{label},{split},{source}")
    (folder / "all.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "all.csv"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_text_is_measured_on_test_and_taught_on_val(manifest, tiny_bundle):
    result = run("compare", manifest, "--bundle", tiny_bundle, "--pairs", "camera/gan")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("n = 32 (16 real, 16 synthetic), 95 % intervals\n")
    assert f"Split test of {manifest}." in result.stdout
    assert "learned on val, n = 48" in result.stdout
    assert "tiny/spectral" in result.stdout
    assert "camera / gan" in result.stdout
    assert result.stderr == ""


def test_nothing_is_learned_on_images_that_are_measured(manifest, tiny_bundle):
    result = run("compare", manifest, "--bundle", tiny_bundle, "--split", "val")
    assert "n = 48 (" in result.stdout
    assert "logit above 0" in result.stdout
    assert "learned on val" not in result.stdout


def test_images_of_train_are_told(manifest, tiny_bundle):
    result = run("compare", manifest, "--bundle", tiny_bundle, "--split", "train")
    assert "They include those of split train" in result.stdout


@pytest.mark.parametrize(
    ("name", "form"), [("a.csv", "csv"), ("a.MD", "markdown"), ("a.html", "html"), ("a", "text")]
)
def test_the_form_follows_the_extension_of_out(name, form):
    assert _format_of(Path(name)) == form


def test_a_page_is_written_whole(manifest, tiny_bundle, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the plots extra")
    out = tmp_path / "a.html"
    assert run("compare", manifest, "--bundle", tiny_bundle, "--out", out).exit_code == 0
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(tmp_path.iterdir()) == [out]


def test_csv_has_a_row_for_each_member_and_ensemble(manifest, tiny_bundle):
    result = run("compare", manifest, "--bundle", tiny_bundle, "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert sorted(row["member"] for row in rows) == ["tiny/ensemble", "tiny/spectral"]
    assert {row["error at gan_n"] for row in rows} == {"8"}


def test_unreadable_images_are_named_and_exit_with_1(tiny_bundle, tmp_path):
    for i, (pixels, label) in enumerate(zip(*labelled_arrays(4, seed=7), strict=True)):
        path = tmp_path / ("nature", "ai")[label] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    (tmp_path / "ai" / "broken.png").write_bytes(b"broken")
    result = run("compare", tmp_path, "--bundle", tiny_bundle)
    assert result.exit_code == 1
    assert "n = 8 (4 real, 4 synthetic)" in result.stdout
    assert "1 image(s) could not be read." in result.stdout
    assert "broken.png: is no image of a kind" in result.stderr


def test_leaving_out_prints_a_table_keeps_it_and_does_not_repeat_it(manifest, recipe, tmp_path):
    options = ("--leave-out", "source", "--recipe", recipe, "--out", tmp_path / "run", "-q")
    result = run("compare", manifest, *options, "--only", "gan")
    assert result.exit_code == 0, result.output
    assert "gan synthetic 32 16 spectral" in " ".join(result.stdout.split())
    told = json.loads((tmp_path / "run" / "leave-out.json").read_text(encoding="utf-8"))
    assert [fold["value"] for fold in told["folds"]] == ["gan"]
    again = run("compare", manifest, *options, "--only", "gan", "-f", "markdown")
    assert "| gan | synthetic | 32 | 16 | spectral |" in again.stdout
    log = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum('"left out"' in line for line in log) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--leave-out", "source"), "also needs --recipe RECIPE and --out DIR"),
        (("--leave-out", "source", "--split", "val"), "do not go with it"),
        (("--only", "gan"), "go with --leave-out"),
        (("--pairs", "camera"), "'camera' is no pair; write REAL/SYNTHETIC"),
        (("--pairs", "camera/sun"), "no measured image is of source 'sun'"),
        (("--bundle", "nowhere"), "nowhere"),
    ],
)
def test_wrong_usage_is_told_in_words(manifest, options, message):
    result = run("compare", manifest, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_form_that_leaving_out_does_not_have_is_refused_before_training(
    manifest, recipe, tmp_path
):
    out = tmp_path / "run"
    options = ("--leave-out", "source", "--recipe", recipe, "--out", out, "--format", "csv")
    result = run("compare", manifest, *options)
    assert result.exit_code == 2
    assert not out.exists()


def test_a_recipe_s_and_a_manifest_s_errors_name_the_key_and_the_row(manifest, recipe, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(RECIPE.replace("copies", "copys"), encoding="utf-8")
    leaving = ("--leave-out", "source", "--out", tmp_path / "run")
    result = run("compare", manifest, *leaving, "--recipe", bad)
    assert "key 'copys' is not known; did you mean copies?" in result.stderr
    rows = manifest.with_name("bad.csv")
    rows.write_text("path,label\n0.png,real\n1.png,fake?\n", encoding="utf-8")
    result = run("compare", rows, *leaving, "--recipe", recipe)
    assert "row 3: label is 'fake?'" in result.stderr
    result = run("compare", manifest, "--split", "train", "--leave-out", "x")
    assert result.exit_code == 2
