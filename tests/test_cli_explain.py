"""`synthdetect explain`, `audit` and `predict --evidence`."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

from conftest import native
from synthdetect.cli import app


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def marked(tmp_path):
    path = tmp_path / "marked.png"
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a \x1b[2Jcat")
    Image.fromarray(native(np.random.default_rng(0))).save(path, pnginfo=info)
    return path


def test_explain_prints_members_and_evidence(tiny_bundle, marked):
    result = run("explain", marked, "--bundle", tiny_bundle)
    assert result.exit_code == 0, result.stderr
    assert "spectral" in result.stdout
    assert "made by AI" in result.stdout
    assert "\x1b" not in result.stdout


def test_explain_prints_json_and_writes_a_page(tiny_bundle, marked, tmp_path):
    page = tmp_path / "why.html"
    result = run("explain", marked, "--bundle", tiny_bundle, "--json", "--html", page)
    assert json.loads(result.stdout)["evidence"]["summary"] == "made by AI (generator text)"
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_file_called_json_gets_json(tiny_bundle, marked, tmp_path):
    out = tmp_path / "why.json"
    assert run("explain", marked, "--bundle", tiny_bundle, "--out", out).exit_code == 0
    assert "evidence" in json.loads(out.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read (No such file"),
        (b"\x30\x82\xff", "is no PEM"),
        (b"path,label\n", "is no PEM"),
    ],
)
def test_signers_that_are_no_pem_are_refused(tiny_bundle, marked, tmp_path, content, told):
    path = tmp_path / "signers"
    if content is not None:
        path.write_bytes(content)
    result = run("explain", marked, "--bundle", tiny_bundle, "--trust", path)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


@pytest.mark.parametrize("words", [["no-such.png"], ["a.png", "--html", "nowhere/why.html"]])
def test_explain_says_what_is_wrong(words, tiny_bundle):
    result = run("explain", *words, "--bundle", tiny_bundle)
    assert result.exit_code == 2
    assert "no-such.png: there is no such file" in result.stderr or "nowhere" in result.stderr


def test_predict_tells_evidence_in_a_column_of_its_own(tiny_bundle, marked, image_folder):
    words = ["predict", marked, image_folder, "--bundle", tiny_bundle, "-f", "csv", "-q"]
    plain = list(csv.DictReader(io.StringIO(run(*words).stdout)))
    told = list(csv.DictReader(io.StringIO(run(*words, "--evidence").stdout)))
    assert "evidence" not in plain[0]
    assert [row.pop("evidence") for row in told][:2] == ["made by AI (generator text)", "none"]
    assert told == plain


def test_predict_shows_evidence_in_a_table(tiny_bundle, marked):
    result = run("predict", marked, "--bundle", tiny_bundle, "--evidence")
    assert "made by AI (generator text)" in result.stdout


def test_audit_writes_a_page_and_figures(tiny_bundle, image_manifest, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the plots extra")
    page, figures = tmp_path / "audit.html", tmp_path / "audit.json"
    words = ["--bundle", tiny_bundle, "--out", page, "--json", figures, "--stress-images", 2]
    result = run("audit", image_manifest, *words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("To look at first:")
    assert "Data card" in page.read_text(encoding="utf-8")
    told = json.loads(figures.read_text(encoding="utf-8"))["sections"]
    assert told["Figures"]["n"] == 60
    assert told["After compression, scaling and sharing"]["perturbations"][0]["n"] == 2


def test_audit_names_a_split_that_is_not_there(tiny_bundle, image_manifest, tmp_path):
    words = ["--bundle", tiny_bundle, "--out", tmp_path / "a.html", "--split", "holdout"]
    result = run("audit", image_manifest, *words)
    assert result.exit_code == 2
    assert "has no split 'holdout'" in result.stderr
