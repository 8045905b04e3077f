"""The report as text and as Markdown."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import classification_report

from synthdetect.evaluation.evaluate import evaluate
from synthdetect.evaluation.text import p_text


def drawn(n=200):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    return y, np.clip(0.3 + 0.4 * y + rng.normal(0, 0.2, n), 0, 1)


@pytest.fixture(scope="module")
def evaluation():
    y, p = drawn()
    source = np.where(y == 1, "gan | [x](y)", "camera")
    return evaluate(y, p, 0.5, groups={"source": source}, note="Test split.")


def test_it_starts_in_the_layout_of_scikit_learn(evaluation):
    wanted = classification_report(
        evaluation.y, evaluation.called, target_names=["real", "synthetic"], digits=4
    )
    assert wanted in str(evaluation)


def test_it_has_every_figure_with_interval_and_n(evaluation):
    text = str(evaluation)
    assert "n = 200 (100 real, 100 synthetic), threshold 0.5000, 95 % intervals" in text
    assert "Test split." in text
    one = evaluation.accuracy
    line = next(line for line in text.splitlines() if line.startswith("  accuracy  "))
    assert line.split("  ")[-1].strip() == "200"
    assert f"{one.low * 100:.2f} % to {one.high * 100:.2f} %" in line
    for name in ("combined error rate", "FPR + FNR", "TPR at FPR 0.1 %", "calibration error (ECE)"):
        assert name in text


def test_parts_of_the_brier_score_claim_no_interval(evaluation):
    lines = [line for line in str(evaluation).splitlines() if line.startswith("  Brier: ")]
    assert len(lines) == 3
    assert all(line.split()[-2:] == ["–", "200"] for line in lines)
    told = evaluation.to_dict()["brier_parts"]["uncertainty"]
    assert told == {"value": pytest.approx(0.25), "low": None, "high": None, "n": 200}


def test_the_combined_error_rate_is_not_the_sum_of_rates(evaluation):
    lines = {line[2:22].strip(): line for line in str(evaluation).splitlines()}
    assert f"{evaluation.error.value * 100:.2f} %" in lines["combined error rate"]
    assert f"{evaluation.sum_of_error_rates.value * 100:.2f} %" in lines["FPR + FNR"]


def test_one_class_prints_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = str(evaluate(np.zeros(10, int), np.full(10, 0.1), 0.5))
    assert "not defined" in text


def test_markdown_tables_have_as_many_cells_as_heads_whatever_the_names(evaluation, tmp_path):
    text = evaluation.to_markdown(tmp_path / "evaluation.md")
    assert (tmp_path / "evaluation.md").read_text(encoding="utf-8") == text
    assert "gan \\| \\[x\\](y)" in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 6
    for table in tables:
        counts = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(counts) == 1


@pytest.fixture(scope="module")
def hostile():
    y, p = drawn()
    source = np.where(np.arange(200) < 100, "a\nb\x1b[31m", "byte \udcff")
    return evaluate(y, p, 0.5, groups={"s\n\x1b[2J\udcfe": source}, note="\udcfd")


def test_names_stay_on_their_line_and_do_not_steer_a_terminal(hostile):
    text = str(hostile)
    assert "\x1b" not in text
    assert "By s [2J\\udcfe\n" in text
    assert any(line.startswith("  a b [31m  ") for line in text.splitlines())


def test_names_that_utf_8_cannot_hold_are_written_by_their_escape(hostile, tmp_path):
    text = hostile.to_markdown(tmp_path / "evaluation.md")
    assert (tmp_path / "evaluation.md").read_text(encoding="utf-8") == text
    assert "\\udcff" in text
    assert "\x1b" not in text
    assert hostile.note == "\\udcfd"


def test_a_small_p_value_is_not_0():
    assert p_text(1e-9) == "< 0.0001"
    assert p_text(0.04) == "= 0.0400"
