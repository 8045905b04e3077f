"""`synthdetect bundles card`: measured, written as a bundle, told as a page."""

import json

import numpy as np
import pytest
from PIL import Image

from conftest import labelled_arrays, run
from synthdetect.auditing.card_texts import read_texts
from synthdetect.auditing.model_card import measured, model_card, pairs_of
from synthdetect.bundle.card_text import as_markdown
from synthdetect.bundle.format import read_bundle
from synthdetect.data.folders import read_dataset
from synthdetect.detector import Detector
from synthdetect.errors import DataError
from synthdetect.evaluation.interval import Estimate, rate
from synthdetect.evaluation.left_out import LeaveOneOut, LeftOut, LeftOutFigures

SEED = bytes(range(32))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten images of each class; only the synthetic ones have a gender."""
    folder = tmp_path_factory.mktemp("card")
    lines = ["path,label,split,source,origin,gender,width"]
    for i, (pixels, label) in enumerate(zip(*labelled_arrays(10, seed=8), strict=True)):
        Image.fromarray(pixels).save(folder / f"{i}.png")
        gender = ("female", "male")[i % 2] if label else ""
        source, origin = (("camera", "a camera"), ("gan", "a GAN"))[label]
        name = ("real", "synthetic")[label]
        lines.append(f"{i}.png,{name},test,{source},{origin},{gender},{100 + i % 3}")
    (folder / "all.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "all.csv"


@pytest.fixture(scope="module")
def stress(data, tiny_bundle, tmp_path_factory):
    """A stress test of four of the images."""
    path = tmp_path_factory.mktemp("stress") / "stress.json"
    options = ("--bundle", tiny_bundle, "--max-images", "4", "--out", path, "-q")
    assert run("stress", data, *options).exit_code == 0
    return path


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text('intended_use = """\nReview of\nuploads."""\nnot_for = ["Proof."]\n')
    return path


@pytest.fixture
def left_out(tmp_path):
    folds = tuple(
        LeftOut(name, *counts, 5, (one("spectral"), one("ensemble")))
        for name, counts, one in (
            ("camera", (10, 0), figures_of(rate(3, 10), 0.9)),
            ("gan", (0, 10), figures_of(rate(4, 10), 0.8)),
            ("flux", (0, 30), figures_of(rate(9, 30), 0.6)),
        )
    )
    path = tmp_path / "leave-out.json"
    path.write_text(json.dumps(LeaveOneOut("source", folds).to_dict()), encoding="utf-8")
    return path


def figures_of(error, area):
    def named(name):
        return LeftOutFigures(name, 0.5, Estimate(area, area - 0.1, 1.0, 15), error, rate(1, 5))

    return named


def card_of(path):
    return read_bundle(path).manifest.card


def test_the_bundle_is_the_same_but_for_its_card_and_the_page_says_what_it_says(
    data, texts, tiny_bundle, tmp_path
):
    out, page = tmp_path / "carded", tmp_path / "card.md"
    options = ("--texts", texts, "--data", data, "--out", out, "--markdown", page, "-q")
    result = run("bundles", "card", tiny_bundle, *options)
    assert result.exit_code == 0, result.output
    before, after = read_bundle(tiny_bundle), read_bundle(out)
    assert after.files == before.files
    assert after.manifest.figures == before.manifest.figures
    assert page.read_text(encoding="utf-8") == as_markdown(after.manifest)
    assert "gender: no real image" in result.stdout
    assert "Review of uploads." in run("info", out).stdout


def test_figures_are_those_of_evaluate_by_columns_of_words(data, texts, tiny_bundle, tmp_path):
    options = ("--texts", texts, "--data", data, "--out", tmp_path / "carded", "-q")
    assert run("bundles", "card", tiny_bundle, *options).exit_code == 0
    card = card_of(tmp_path / "carded")
    dataset = read_dataset(data)
    found = Detector.load(tiny_bundle).evaluate(dataset.images, dataset.y)
    for measure, figure in (
        ("accuracy", found.accuracy),
        ("AUROC", found.auroc),
        ("TPR at FPR 0.5 %", found.tpr_at_fpr[0.005]),
        ("ECE", found.expected_calibration_error),
    ):
        row = card.figure("overall", "all images", measure)
        assert (row.value, row.low, row.high, row.n) == (*vars(figure).values(),)
    # `origin` names the sources anew, `width` is a number.
    assert card.groups() == ("overall", "source", "gender")
    assert card.figure("source", "gan", "false positive rate") is None
    missed = found.false_negative_rate
    row = card.figure("source", "gan", "true positive rate")
    assert (row.value, row.low) == pytest.approx((1 - missed.value, 1 - missed.high))


def test_notes_have_the_name_of_the_data_and_not_where_it_lay(data, texts, tiny_bundle, tmp_path):
    options = ("--texts", texts, "--data", data, "--out", tmp_path / "carded", "-q")
    assert run("bundles", "card", tiny_bundle, *options).exit_code == 0
    told = card_of(tmp_path / "carded").notes["overall"]
    assert told.startswith("Split test of all.csv (SHA-256 ")
    assert str(data.parent) not in (tmp_path / "carded" / "manifest.json").read_text()


def test_a_stress_test_and_sources_left_out_become_rows(
    data, texts, stress, left_out, tiny_bundle, tmp_path
):
    options = ("--texts", texts, "--data", data, "--out", tmp_path / "carded.zip", "-q")
    more = ("--stress", stress, "--left-out", left_out)
    result = run("bundles", "card", tiny_bundle, *options, *more)
    assert result.exit_code == 0, result.output
    card = card_of(tmp_path / "carded.zip")
    first = json.loads(stress.read_text())["perturbations"][0]
    told = card.figure("perturbation", "untouched", "accuracy")
    assert told.value == first["accuracy"]["value"]
    assert card.figure("shipped again", "jpeg-60", "decisions that flip").n == 4
    assert card.figure("left out", "camera", "false positive rate").value == 0.3
    assert card.figure("left out", "gan", "false negative rate").value == 0.4
    assert card.figure("left out", "all real ones", "false positive rate").n == 10
    mean = card.figure("left out", "mean of the 2 synthetic ones", "AUROC")
    assert (mean.value, mean.low, mean.n) == (pytest.approx(0.7), None, 40)
    assert "members: spectral" in card.notes["left out"]


def test_pairs_of_the_recipe_are_measured_where_they_are_there(data, tiny_bundle, texts):
    found = measured(Detector.load(tiny_bundle), read_dataset(data))
    pairs = pairs_of({"pairs": [["camera", "gan"], ["camera", "unknown"], 7]})
    card = model_card(read_texts(texts), found, pairs=pairs)
    assert {row.name for row in card.rows if row.group == "pair"} == {"camera / gan"}
    whole = found.evaluation.accuracy.value
    assert card.figure("pair", "camera / gan", "accuracy").value == whole


def test_the_new_bundle_has_the_signature_that_was_asked_for(data, texts, tiny_bundle, tmp_path):
    pytest.importorskip("cryptography", reason="needs the sign extra")
    (tmp_path / "key").write_bytes(SEED)
    out = tmp_path / "carded"
    options = ("--texts", texts, "--data", data, "--out", out, "-q")
    assert run("bundles", "card", tiny_bundle, *options, "--sign", tmp_path / "key").exit_code == 0
    assert read_bundle(out).signature is not None
    # The same card again, in its own place: the same manifest, so the signature still fits.
    assert run("bundles", "card", out, *options).exit_code == 0
    assert read_bundle(out).signature is not None
    texts.write_text('intended_use = "Another."\n')
    assert run("bundles", "card", out, *options).exit_code == 0
    assert read_bundle(out).signature is None


def test_unreadable_images_are_named_and_do_not_count(texts, tiny_bundle, tmp_path):
    for i, (pixels, label) in enumerate(zip(*labelled_arrays(2, seed=7), strict=True)):
        path = tmp_path / "photos" / ("real", "ai")[label] / f"{i}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(pixels).save(path)
    (tmp_path / "photos" / "ai" / "broken.png").write_bytes(b"broken")
    options = ("--texts", texts, "--data", tmp_path / "photos", "--out", tmp_path / "c", "-q")
    result = run("bundles", "card", tiny_bundle, *options)
    assert result.exit_code == 1
    assert "broken.png: is no image of a kind" in result.stderr
    assert card_of(tmp_path / "c").figure("overall", "all images", "accuracy").n == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "intended_use is missing"),
        ("intended_use = 7", "intended_use is 7; give a text"),
        ('intended_use = "x"\nnot_for = "y"', "not_for is 'y'; give a list"),
        ('intended_use = "x"\nlicense = "y"', "key 'license' is unknown; use intended_use"),
        ('intended_use = " "', "intended_use is ''"),
        ('intended_use = "a\\u001b[2J"', "one line of 1 to 2000 printable"),
        ("intended_use", "not a readable TOML file"),
        ('intended_use = "x"\ngroups = ["age"]', "has no column 'age'; it has source, origin"),
    ],
)
def test_wrong_words_are_told_before_anything_is_written(
    content, message, data, texts, tiny_bundle, tmp_path
):
    texts.write_text(content, encoding="utf-8")
    options = ("--texts", texts, "--data", data, "--out", tmp_path / "carded")
    result = run("bundles", "card", tiny_bundle, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "carded").exists()


def test_a_stress_test_of_another_threshold_is_refused(data, texts, stress, tiny_bundle, tmp_path):
    other = tmp_path / "other.json"
    other.write_text(json.dumps(json.loads(stress.read_text()) | {"threshold": 0.123}))
    options = ("--texts", texts, "--data", data, "--out", tmp_path / "c", "--stress", other)
    result = run("bundles", "card", tiny_bundle, *options)
    assert result.exit_code == 2
    assert "was taken at threshold 0.123000" in result.stderr


@pytest.mark.parametrize("option", ["--stress", "--left-out"])
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"threshold": 0.5, "perturbations": [7]}'])
def test_a_file_of_something_else_is_refused(option, content, data, texts, tiny_bundle, tmp_path):
    (tmp_path / "x.json").write_text(content)
    options = ("--texts", texts, "--data", data, "--out", tmp_path / "c")
    result = run("bundles", "card", tiny_bundle, *options, option, tmp_path / "x.json")
    assert result.exit_code == 2
    assert "x.json: " in result.stderr


def test_a_column_named_as_rows_of_every_card_is_refused(data, tiny_bundle):
    dataset = read_dataset(data)
    named = {"pair": np.array(["a", "b"] * 10)}
    odd = type(dataset)(**{**vars(dataset), "facets": named})
    with pytest.raises(DataError, match="a column is called 'pair'"):
        measured(Detector.load(tiny_bundle), odd)
