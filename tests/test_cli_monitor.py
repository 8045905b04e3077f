"""`synthdetect monitor`: from the first reference to a check for cron."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from conftest import native
from synthdetect.cli import app


def run(*args):
    """Run a command in this process."""
    return CliRunner().invoke(app, ["monitor", *(str(arg) for arg in args)])


def write_scores(path, p):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("path", "p_synthetic"), *((f"{i}.jpg", x) for i, x in enumerate(p))]
        )
    return path


@pytest.fixture
def store(tmp_path, tiny_bundle):
    """A started store, with low scores as its reference."""
    scores = write_scores(tmp_path / "normal.csv", np.random.default_rng(0).beta(1, 30, 500))
    path = tmp_path / "m.db"
    result = run("start", path, "--reference", scores, "--bundle", tiny_bundle)
    assert result.exit_code == 0, result.output
    return path


def test_images_are_recorded_and_labelled_later(store, tmp_path, tiny_bundle, image_folder):
    result = run("record", store, image_folder, "--bundle", tiny_bundle, "--tag", "site=x")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["decision"] for row in rows].count("unreadable") == 1
    assert "broken.jpg" in result.stderr
    labels = tmp_path / "labels.csv"
    labels.write_text(f"id,label\n{rows[0]['id']},real\n")
    result = run("label", store, labels)
    assert "1 recorded images have a label now" in result.stderr
    result = run(
        "report", store, "--window", "1h", "--json", tmp_path / "r.json", "--tag", "site=x"
    )
    assert result.exit_code == 0, result.output
    newest = json.loads((tmp_path / "r.json").read_text())["windows"][-1]
    assert newest["n"] == len(rows)
    assert newest["labelled"]["n"] == 1


def test_files_of_other_programs_are_read(store, tmp_path):
    scores = tmp_path / "scores.csv"
    scores.write_bytes(b"\xef\xbb\xbfp_synthetic,path\r\n0.25,caf\xe9.jpg\r\n0,b.jpg\r\n")
    result = run("record", store, scores)
    assert result.exit_code == 0, result.output
    ids = [row["id"] for row in csv.DictReader(io.StringIO(result.stdout))]
    labels = tmp_path / "labels.csv"
    labels.write_bytes(b"\xef\xbb\xbfid,label,note\r\n" + f"{ids[0]},real,".encode() + b"\xe9\r\n")
    assert "1 recorded images have a label now" in run("label", store, labels).stderr


def test_what_an_interrupted_run_recorded_is_left_out(store, tmp_path):
    first, second = write_scores(tmp_path / "a.csv", [0.1, 0.2]), tmp_path / "b.csv"
    write_scores(second, [0.3, 0.4, 0.5])
    result = run("record", store, first, second, "--skip", 3, "--quiet")
    assert result.exit_code == 0, result.output
    assert [row["p_synthetic"] for row in csv.DictReader(io.StringIO(result.stdout))] == [
        "0.4",
        "0.5",
    ]


def test_a_directory_may_be_the_reference(tmp_path, tiny_bundle):
    folder = tmp_path / "normal"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(50):
        Image.fromarray(native(rng)).save(folder / f"{i}.png")
    result = run("start", tmp_path / "m.db", "--reference", folder, "--bundle", tiny_bundle)
    assert "reference of 50 images" in result.stderr


def test_a_check_is_quiet_until_something_changes(store, tmp_path):
    run(
        "record", store, write_scores(tmp_path / "a.csv", np.random.default_rng(1).beta(1, 30, 300))
    )
    assert run("check", store).exit_code == 0
    run("record", store, write_scores(tmp_path / "b.csv", np.random.default_rng(2).beta(3, 3, 500)))
    result = run("check", store)
    assert result.exit_code == 1
    assert "score" in result.stdout
    assert run("check", store).exit_code == 0  # told already


def test_rules_come_from_a_file(store, tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rules]]\nfigure = "images"\nbelow = 10\nname = "too quiet"\n')
    result = run("check", store, "--rules", rules)
    assert result.exit_code == 1
    assert result.stdout.startswith("too quiet: ")
    rules.write_text("nonsense")
    assert run("check", store, "--rules", rules).exit_code == 2


def test_a_report_in_text_html_and_metrics(store, tmp_path):
    run(
        "record", store, write_scores(tmp_path / "a.csv", np.random.default_rng(1).beta(1, 30, 300))
    )
    assert "Drift of the newest window" in run("report", store, "--window", "1h").stdout
    pytest.importorskip("matplotlib", reason="needs the plots extra")
    assert run("report", store, "--html", tmp_path / "r.html").exit_code == 0
    assert (tmp_path / "r.html").stat().st_size < 3_000_000
    pytest.importorskip("prometheus_client", reason="needs the prometheus extra")
    assert "synthdetect_window_images 300.0" in run("metrics", store).stdout


def test_what_was_recorded_can_become_the_reference(store, tmp_path):
    run("record", store, write_scores(tmp_path / "b.csv", np.random.default_rng(2).beta(3, 3, 500)))
    result = run("rebase", store, "--since", "2020-01-01T00:00+00:00")
    assert "reference of 500 images" in result.stderr
    assert run("check", store).exit_code == 0
    assert "reference of 500" in run("report", store).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "none.db"], "there is no such file"),
        (["record", "{store}", "none.jpg"], "there is no such file or directory"),
        (["record", "{store}", "{bad}"], "no column 'p_synthetic'"),
        (["record", "{store}", "{words}"], "is no number"),
        (["label", "{store}", "{bad}"], "no column 'id'"),
        (
            ["start", "{store}", "--reference", "{normal}"],
            "is there already and keeps its reference",
        ),
        (["label", "{store}", "{semicolons}"], "but ['id;label']; save it as CSV in UTF-8"),
        (["label", "{store}", "{utf16}"], "no column 'id'"),
        (["label", "{store}", "{huge}"], "is no number; use those recorded"),
        (["label", "{store}", "{square}"], "is no number; use those recorded"),
        (["label", "{store}", "{long}"], "is no CSV"),
        (["report", "{store}", "--window", "9" * 23 + "d"], "window is '999"),
        (["report", "{store}", "--window", "9" * 23], "window is '999"),
        (["report", "{store}", "--tag", "x"], "has no '='"),
        (["report", "{store}", "--window", "soon"], "window is 'soon'"),
        (["start", "x.db", "--reference", "{bad}", "--alpha", "2"], "not between 0 and 1"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_line(store, tmp_path, words, told):
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    (tmp_path / "words.csv").write_text("p_synthetic\nmuch\n")
    (tmp_path / "huge.csv").write_text(f"id,label\n{10**20},real\n")
    (tmp_path / "semicolons.csv").write_text("id;label\n1;real\n")
    (tmp_path / "utf16.csv").write_text("id,label\n1,real\n", encoding="utf-16")
    (tmp_path / "square.csv").write_text("id,label\n²,real\n", encoding="utf-8")
    (tmp_path / "long.csv").write_text(f"id,label\n{'1' * 140_000},real\n")
    places = {"store": store} | {path.stem: path for path in tmp_path.glob("*.csv")}
    result = run(*(word.format(**places) for word in words))
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
