"""One Evaluation: every figure, in time, from whatever a caller gives."""

import doctest
import json
import time

import numpy as np
import pytest
from scipy.special import expit

from synthdetect.errors import DataError
from synthdetect.evaluation import evaluate as module
from synthdetect.evaluation.evaluate import evaluate
from synthdetect.evaluation.interval import Estimate
from synthdetect.evaluation.metrics import figures


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return y, expit(3 * (2 * y - 1) + rng.normal(0, 2, n))


def estimates(value):
    """Every Estimate in a nest of dataclasses, mappings and tuples."""
    if isinstance(value, Estimate):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from estimates(one)
    elif isinstance(value, tuple):
        for one in value:
            yield from estimates(one)
    elif hasattr(value, "__dict__"):
        yield from estimates(vars(value))


def test_figures_are_those_of_the_plain_functions():
    y, p = drawn(300)
    got, plain = evaluate(y, p, 0.4), figures(y, p, 0.4)
    for name in ("accuracy", "error", "false_positive_rate", "auroc", "log_loss", "brier"):
        assert getattr(got, name) == getattr(plain, name)
    assert got.synthetic.precision == plain.precision
    assert got.plain_expected_calibration_error == plain.expected_calibration_error


def test_every_figure_has_an_interval_with_its_value_and_an_n():
    y, p = drawn(300)
    got = evaluate(y, p, 0.5, groups={"half": np.arange(300) // 150}, prevalence=0.02)
    found = list(estimates(got))
    assert len(found) >= 45
    described = [one for one in found if one in vars(got.brier_parts).values()]
    assert len(described) == 3
    for one in (one for one in found if one not in described):
        assert one.low - 1e-9 <= one.value <= one.high + 1e-9
        assert one.n > 0


def test_the_seed_decides_and_nothing_else_does():
    y, p = drawn(200)
    assert evaluate(y, p, 0.5).to_json() == evaluate(y, p, 0.5).to_json()
    other = evaluate(y, p, 0.5, seed=1)
    assert other.average_precision != evaluate(y, p, 0.5).average_precision
    assert other.average_precision.value == evaluate(y, p, 0.5).average_precision.value


def test_words_and_numbers_are_the_same_labels():
    y, p = drawn(50)
    words = np.where(y == 1, "synthetic", "real")
    assert evaluate(words, p, 0.5).to_json() == evaluate(y, p, 0.5).to_json()


def test_json_is_strict_and_has_no_rows_of_images(tmp_path):
    y, p = drawn(60)
    got = evaluate(y, p, 0.5, groups=y, cluster=np.arange(60) // 2)
    text = got.to_json(tmp_path / "evaluation.json")
    told = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert json.loads(text) == told
    assert told["accuracy"] == got.accuracy.to_dict()
    assert told["tpr_at_fpr"]["0.01"]["n"] == 60
    assert set(told["groupings"]["group"]["groups"]) == {"0", "1"}
    assert not {"y", "p", "cluster"} & set(told)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_leaves_what_needs_both_undefined(label):
    got = evaluate(np.full(20, label), np.linspace(0, 1, 20), 0.5)
    assert np.isnan(got.auroc.value)
    assert np.isnan(got.tpr_at_fpr[0.01].value)
    assert got.accuracy.n == 20
    json.loads(got.to_json())


def test_images_of_no_cluster_are_each_their_own_and_of_no_group_in_none():
    y, p = drawn(60)
    alone = evaluate(y, p, 0.5, cluster=np.arange(60)).accuracy
    for nothing in ([None] * 60, [""] * 60, [None, ""] * 30):
        assert evaluate(y, p, 0.5, cluster=nothing).accuracy == alone
    groups = ["a"] * 30 + [None] * 30
    (grouping,) = evaluate(y, p, 0.5, groups=groups).groupings.values()
    assert list(grouping.groups) == ["a"]


def test_clusters_widen_intervals_of_all_kinds():
    y, p = drawn(200)
    copies = np.repeat(np.arange(200), 4)
    alone, together = (evaluate(y[copies], p[copies], 0.5, cluster=c) for c in (None, copies))
    for name in ("accuracy", "auroc", "brier", "log_loss", "average_precision", "matthews"):
        narrow, wide = getattr(alone, name), getattr(together, name)
        assert wide.value == narrow.value
        assert 1.5 < (wide.high - wide.low) / (narrow.high - narrow.low) < 2.6


def test_unread_images_are_left_out_when_asked_and_told():
    y, p = drawn(100)
    broken = p.copy()
    broken[[3, 50]] = np.nan
    groups = np.where(np.arange(100) == 3, "only broken", "read")
    got = evaluate(y, broken, 0.5, groups=groups, cluster=np.arange(100), drop_nan=True, note="A.")
    assert got.n == 98
    assert list(got.groupings["group"].groups) == ["read"]
    assert got.note == "A. 2 image(s) could not be read and are left out."
    with pytest.raises(DataError, match="p of row 3 is NaN"):
        evaluate(y, broken, 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ["a"]}, r"groups\['group'\] has 1 rows, y has 4; give one for each image"),
        ({"groups": {"x": ["a"] * 5}}, r"groups\['x'\] has 5 rows"),
        ({"cluster": [1]}, "cluster has 1 rows, y has 4"),
        ({"n_bootstrap": 1}, "n_bootstrap is 1; use 2 or more"),
        ({"prevalence": 2}, "prevalence is 2"),
        ({"confidence": 95}, "confidence is 95"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        evaluate([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9], 0.5, **options)


@pytest.mark.parametrize("threshold", [float("nan"), None, "0.5"])
def test_a_threshold_that_is_no_number_is_refused(threshold):
    with pytest.raises(ValueError, match=r"threshold is .*; use a number"):
        evaluate([0, 1], [0.1, 0.9], threshold)


def test_no_images_are_refused():
    with pytest.raises(DataError, match="y is empty; give at least one image"):
        evaluate([], [], 0.5)


def test_p_of_another_length_is_refused():
    with pytest.raises(DataError, match="y has shape"):
        evaluate([0, 1], [0.1, 0.2, 0.3], 0.5, drop_nan=True)


def test_an_asked_prevalence_is_among_the_others_in_order():
    y, p = drawn(100)
    got = evaluate(y, p, 0.5, prevalence=0.02)
    assert [one.prevalence for one in got.predictive_values] == [0.5, 0.1, 0.02, 0.01, 0.001]
    assert got.predictive_values[2] == got.at_prevalence(0.02)


def test_an_evaluation_of_1638_images_takes_under_3_seconds():
    y, p = drawn(1638)
    start = time.process_time()
    evaluate(y, p, 0.5)
    assert time.process_time() - start < 3


def test_examples_run():
    assert doctest.testmod(module).failed == 0
