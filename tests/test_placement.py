"""Where a score lies among those that a bundle keeps."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.ensemble.combine import LinearCombiner
from synthdetect.evaluation.placement import ENSEMBLE, placement, score_quantiles

N = 400


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], N)
    logits = rng.normal(size=(2 * N, 2)) + 2 * y[:, np.newaxis]
    combiner = LinearCombiner((0.5, 0.5))
    return logits, y, score_quantiles(logits, y, combiner, ["a", "b"], on="these")


def test_a_placement_is_the_share_of_each_class_that_is_not_above(scores):
    logits, y, kept = scores
    for score in (-2.0, 0.0, 1.0, 3.0):
        found = placement(score, kept, "a")
        for value, share in ((0, found.real), (1, found.synthetic)):
            true = np.mean(logits[y == value, 0] <= score)
            assert share.value == pytest.approx(true, abs=0.011)
            assert share.low <= share.value <= share.high
            assert share.n == N


def test_the_combined_logit_has_its_own_place(scores):
    logits, y, kept = scores
    combined = logits.mean(axis=1)
    median = float(np.median(combined[y == 0]))
    assert placement(median, kept, ENSEMBLE).real.value == pytest.approx(0.5, abs=0.011)


def test_beyond_all_scores_a_share_is_nothing_or_everything(scores):
    kept = scores[2]
    assert placement(-99.0, kept, "a").real.value == 0
    assert placement(99.0, kept, "a").synthetic.value == 1


def test_equal_scores_count_as_not_above():
    logits = np.array([[0.0]] * 90 + [[1.0]] * 10 + [[2.0]] * 5)
    y = np.repeat([0, 1], [100, 5])
    kept = score_quantiles(logits, y, LinearCombiner((1.0,)), ["a"], on="ties")
    assert placement(0.0, kept, "a").real.value == pytest.approx(0.9, abs=0.021)


def test_what_a_manifest_keeps_is_json_and_survives_it(scores):
    kept = json.loads(json.dumps(scores[2], allow_nan=False))
    assert placement(0.3, kept, "b") == placement(0.3, scores[2], "b")


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"levels": [0, 1], "scores": {}},
        {"levels": [0, 1], "scores": {"a": {"real": 3, "synthetic": 3}}},
        {"levels": [0, 1], "scores": {"a": {"real": {"n": 2, "quantiles": [1, 0]}}}},
        {"levels": "x", "scores": None},
    ],
)
def test_a_bundle_without_usable_scores_gives_no_placement(kept):
    assert placement(0.0, kept, "a") is None


def test_a_member_that_did_not_look_has_no_place(scores):
    assert placement(float("nan"), scores[2], "a") is None


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_a_higher_score_is_never_placed_lower(a, b):
    y = np.repeat([0, 1], 20)
    logits = np.linspace(-3, 3, 40)[:, np.newaxis]
    kept = score_quantiles(logits, y, LinearCombiner((1.0,)), ["a"], on="x")
    low, high = (placement(score, kept, "a") for score in sorted((a, b)))
    assert low.real.value <= high.real.value
    assert low.synthetic.value <= high.synthetic.value
