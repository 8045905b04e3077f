"""Rates under perturbations, against the same images untouched."""

import csv
import doctest
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from synthdetect.ensemble.threshold import Threshold
from synthdetect.errors import DataError
from synthdetect.evaluation import robustness as module
from synthdetect.evaluation.interval import rate
from synthdetect.evaluation.robustness import Form, Robustness, paired_change, perturbed_rows
from synthdetect.evaluation.robustness_html import as_html, families
from synthdetect.evaluation.robustness_text import as_csv, as_json, as_markdown, as_text
from synthdetect.evaluation.stability import Stability, flips

FORMS = [
    Form("untouched", "none", None, False),
    Form("jpeg-30", "JPEG quality", 30.0, True),
    Form("jpeg-50", "JPEG quality", 50.0, True),
    Form("jpeg-95", "JPEG quality", 95.0, False),
]


def scores(n=200, seed=0):
    """Labels, and probabilities that are worse and higher the lower the quality."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    logit = 3.0 * (2 * y - 1) + rng.normal(0, 1.5, n)
    moved = {"untouched": 0.0, "jpeg-95": 0.1, "jpeg-50": 1.5, "jpeg-30": 3.0}
    return y, {name: 1 / (1 + np.exp(-(logit + by))) for name, by in moved.items()}


@pytest.fixture(scope="module")
def robustness():
    y, p = scores()
    p["jpeg-30"][:3] = np.nan
    seen = Stability.of(
        ("untouched", "jpeg-50"),
        np.column_stack([p["untouched"], p["jpeg-50"]]),
        Threshold(0.5, "by hand").decide,
    )
    found = flips(seen, y, groups={"source": np.where(np.arange(200) < 50, "a\x1b[2J|", "b")})
    return Robustness(perturbed_rows(y, p, FORMS, 0.5), found, 0.5, 0.95, 7, "Made up.")


def test_rates_are_those_at_the_threshold(robustness):
    y, p = scores()
    row = robustness["jpeg-50"]
    assert row.false_positive_rate == rate(int(np.sum(p["jpeg-50"][y == 0] >= 0.5)), 100)
    assert row.true_positive_rate == rate(int(np.sum(p["jpeg-50"][y == 1] >= 0.5)), 100)
    assert row.accuracy == rate(int(np.sum((p["jpeg-50"] >= 0.5) == y)), 200)
    assert row.auroc.value == pytest.approx(roc_auc_score(y, p["jpeg-50"]))


def test_a_rate_that_rises_for_the_same_photographs_is_seen(robustness):
    change = robustness["jpeg-50"].false_positive_rate_change
    before, after = (robustness[name].false_positive_rate for name in ("untouched", "jpeg-50"))
    assert change.value == pytest.approx(after.value - before.value)
    assert change.low > 0
    assert change.p_value < 0.01
    assert robustness["untouched"].false_positive_rate_change.value == 0


def test_what_could_not_be_judged_is_left_out_on_both_sides(robustness):
    row = robustness["jpeg-30"]
    assert (row.n, row.n_left_out, row.false_positive_rate_change.n) == (197, 3, 98)


def test_an_image_that_was_not_judged_as_it_is_is_refused():
    y, p = scores(10)
    p["untouched"][0] = np.nan
    with pytest.raises(DataError, match="1 of 10 images were not judged as they are"):
        perturbed_rows(y, p, FORMS, 0.5)


def test_one_class_leaves_its_rates_undefined():
    y, p = scores(20)
    only_real = {name: values[y == 0] for name, values in p.items()}
    row = perturbed_rows(np.zeros(10, np.int64), only_real, FORMS, 0.5)[1]
    assert np.isnan(row.true_positive_rate.value)
    assert np.isnan(row.true_positive_rate_change.value)
    assert np.isnan(row.auroc.value)
    assert row.false_positive_rate.n == 10


def test_a_row_that_is_not_there_names_those_that_are(robustness):
    with pytest.raises(KeyError, match="jpeg-95"):
        robustness["jpeg-1"]


events = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(events)
def test_the_change_is_within_its_interval_and_mirrors(pairs):
    before, after = np.array(pairs, dtype=np.bool_).T
    one, back = paired_change(before, after), paired_change(after, before)
    assert -1 <= one.low <= one.value <= one.high <= 1
    assert one.value == -back.value
    np.testing.assert_allclose([one.low, one.high], [-back.high, -back.low], atol=1e-12)
    assert one.p_value == back.p_value


def test_no_change_among_few_images_is_no_proof_of_none():
    nothing = np.zeros(20, dtype=np.bool_)
    change = paired_change(nothing, nothing)
    assert change.value == 0
    assert change.low < -0.1
    assert change.high > 0.1
    assert change.p_value == 1


@pytest.mark.parametrize(
    ("share", "gain", "loss"), [(0.03, 0.02, 0.0), (0.05, 0.3, 0.02), (0.5, 0.1, 0.1)]
)
def test_intervals_cover_the_true_change(share, gain, loss):
    rng, hits, n_runs = np.random.default_rng(1), 0, 300
    truth = (1 - share) * gain - share * loss
    for _ in range(n_runs):
        before = rng.random(150) < share
        after = np.where(before, rng.random(150) >= loss, rng.random(150) < gain)
        change = paired_change(before, after)
        hits += change.low <= truth <= change.high
    # Three standard deviations of a binomial below 95 %.
    assert hits / n_runs > 0.95 - 3 * np.sqrt(0.95 * 0.05 / n_runs)


def test_text_has_a_line_for_each_perturbation_and_each_form(robustness):
    text = as_text(robustness)
    assert text.startswith("n = 200 (100 real, 100 synthetic), threshold 0.5000, 95 % intervals")
    lines = [line.split() for line in text.splitlines() if line.startswith("  jpeg-50 ")]
    assert [line[1] for line in lines] == ["never", "200"]
    assert "\x1b" not in text


def test_csv_has_all_figures_of_a_perturbation(robustness):
    rows = {row["perturbation"]: row for row in csv.DictReader(io.StringIO(as_csv(robustness)))}
    assert list(rows) == ["untouched", "jpeg-30", "jpeg-50", "jpeg-95"]
    one = rows["jpeg-50"]
    assert float(one["accuracy"]) == robustness["jpeg-50"].accuracy.value
    assert float(one["flips_high"]) == robustness.flips.by_form["jpeg-50"].high
    assert rows["jpeg-95"]["flips"] == ""
    assert one["outside_training"] == "True"


def test_json_is_strict_and_whole(robustness):
    told = json.loads(as_json(robustness))
    assert [row["name"] for row in told["perturbations"]] == [form.name for form in FORMS]
    assert told["flips"]["any"]["n"] == 200
    assert told["seed"] == 7


def test_markdown_keeps_names_from_ending_cells(robustness):
    assert "\\|" in as_markdown(robustness)


def test_curves_are_of_families_with_three_levels_in_rising_order(robustness):
    rows = families(robustness)["JPEG quality"]
    assert [row.level for row in rows] == [30, 50, 95]
    assert list(families(robustness)) == ["JPEG quality"]


def test_the_page_has_the_tables_and_the_curve(robustness):
    pytest.importorskip("matplotlib", reason="needs the plots extra")
    html = as_html(robustness)
    assert html.startswith("<!DOCTYPE html>")
    assert html.count("data:image/png") == 1
    assert "Made up." in html


def test_the_examples_run():
    assert doctest.testmod(module).failed == 0
