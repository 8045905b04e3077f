"""Paired comparisons."""

import doctest
import json

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from synthdetect.errors import DataError
from synthdetect.evaluation import compare as module
from synthdetect.evaluation.compare import compare, mcnemar
from synthdetect.evaluation.evaluate import evaluate
from synthdetect.evaluation.ranking import auroc_difference


def pair(n=400, seed=0, strengths=(3, 2), **options):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    shared = rng.normal(0, 1, n)
    return [
        evaluate(
            y, expit(s * (2 * y - 1) + shared + rng.normal(0, 1, n)), 0.5, n_bootstrap=2, **options
        )
        for s in strengths
    ]


def test_differences_are_first_minus_second():
    a, b = pair()
    got = compare(a, b)
    assert got.accuracy.value == pytest.approx(a.accuracy.value - b.accuracy.value)
    assert got.log_loss.value == pytest.approx(a.log_loss.value - b.log_loss.value)
    assert got.brier.value == pytest.approx(a.brier.value - b.brier.value)
    assert got.auroc == auroc_difference(a.y, a.p, b.p)
    turned = compare(b, a)
    assert (turned.accuracy.low, turned.accuracy.high) == pytest.approx(
        (-got.accuracy.high, -got.accuracy.low)
    )


def test_mcnemar_is_the_exact_test_of_the_discordant_images():
    a, b = pair()
    right_a, right_b = (one.called == (one.y == 1) for one in (a, b))
    test = compare(a, b).mcnemar
    assert test.n_only_a == np.sum(right_a & ~right_b)
    wanted = stats.binomtest(test.n_only_a, test.n_only_a + test.n_only_b).pvalue
    assert test.p_value == pytest.approx(wanted)


def test_a_detector_does_not_differ_from_itself():
    a, _ = pair()
    got = compare(a, a)
    assert (got.accuracy.low, got.accuracy.high, got.accuracy.p_value) == (0, 0, 1)
    assert got.mcnemar.p_value == got.auroc.p_value == 1


@pytest.mark.parametrize("n", [2, 6])
def test_pairs_that_all_differ_by_the_same_have_no_interval(n):
    y = np.arange(n) % 2
    good, poor = (evaluate(y, p, 0.5) for p in (0.1 + 0.8 * y, 0.6 - 0.2 * y))
    got = compare(good, poor)
    for figure in (got.accuracy, got.log_loss, got.brier):
        assert figure.value != 0
        assert np.isnan([figure.low, figure.high, figure.p_value]).all()
    assert got.mcnemar.p_value == pytest.approx(2 ** (1 - n))
    assert "nan" not in str(got).lower()


@pytest.mark.slow
def test_equals_differ_as_often_as_chance_would():
    p_values = np.array(
        [compare(*pair(200, seed, (2, 2)), n_bootstrap=400).brier.p_value for seed in range(40)]
    )
    assert np.mean(p_values <= 0.1) <= 0.25
    assert 0.35 < p_values.mean() < 0.65


def test_clusters_widen_differences():
    rng = np.random.default_rng(0)
    y, noise = np.repeat(np.arange(100) % 2, 4), np.repeat(rng.normal(0, 2, (2, 100)), 4, axis=1)
    widths = []
    for cluster in (None, np.arange(400) // 4):
        a, b = (
            evaluate(y, expit(2 * (2 * y - 1) + row), 0.5, cluster=cluster, n_bootstrap=2)
            for row in noise
        )
        widths.append(np.ptp([compare(a, b).brier.low, compare(a, b).brier.high]))
    assert widths[1] > 1.5 * widths[0]


def test_text_and_json_tell_all():
    got = compare(*pair(40))
    text = str(got)
    assert text.startswith("first minus second, n = 40, 95 % intervals")
    for name in ("accuracy", "AUROC", "log loss", "Brier", "McNemar"):
        assert name in text
    assert json.loads(json.dumps(got.to_dict(), allow_nan=False))["accuracy"]["n"] == 40


def test_what_is_not_paired_is_refused():
    a, b = pair(40)
    other = evaluate(1 - a.y, a.p, 0.5, n_bootstrap=2)
    with pytest.raises(DataError, match=r"the labels differ .* same images, in the same order"):
        compare(a, other)
    clustered, _ = pair(40, cluster=np.arange(40) // 2)
    with pytest.raises(DataError, match="the clusters differ"):
        compare(clustered, b)
    with pytest.raises(DataError, match=r"the confidence is 0\.9 and 0\.95"):
        compare(pair(40, confidence=0.9)[0], b)
    with pytest.raises(ValueError, match="n_bootstrap is 1"):
        compare(a, b, n_bootstrap=1)


def test_mcnemar_alone_is_that_of_the_comparison():
    a, b = pair(40)
    assert mcnemar(a, b) == compare(a, b, n_bootstrap=2).mcnemar
    with pytest.raises(DataError, match="the labels differ"):
        mcnemar(a, evaluate(1 - a.y, a.p, 0.5, n_bootstrap=2))


def test_examples_run():
    assert doctest.testmod(module).failed == 0
