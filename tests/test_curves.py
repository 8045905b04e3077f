"""Figures of the ROC and precision-recall curves are scikit-learn's, and their intervals honest."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from synthdetect.evaluation.curves import (
    Steps,
    area_estimates,
    average_precision,
    partial_area,
    standardized,
    tpr_at_fpr,
)
from synthdetect.evaluation.resample import replicate_counts

grid = st.integers(0, 10).map(lambda k: k / 10)
rows = st.lists(st.tuples(st.integers(0, 1), grid), min_size=4, max_size=40)


def columns(drawn):
    y, p = (np.array(column) for column in zip(*drawn, strict=True))
    assume(0 < y.sum() < len(y))
    return y, p.astype(float)


def binormal(n, shift, seed):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return y, stats.norm.cdf(rng.normal(shift * y, 1))


@settings(max_examples=60)
@given(drawn=rows, seed=st.integers(0, 99))
def test_areas_of_weighted_images_are_scikit_learns(drawn, seed):
    y, p = columns(drawn)
    weights = np.random.default_rng(seed).integers(0, 3, (3, len(y))).astype(float)
    weights[:, [np.argmax(y), np.argmin(y)]] += 1
    curve = Steps.of(y, p).counts(weights)
    for row, precision, area in zip(
        weights, average_precision(*curve), partial_area(*curve, 0.1), strict=True
    ):
        assert precision == pytest.approx(average_precision_score(y, p, sample_weight=row))
        wanted = roc_auc_score(y, p, sample_weight=row, max_fpr=0.1)
        assert standardized(area, 0.1) == pytest.approx(wanted)


@settings(max_examples=60)
@given(drawn=rows, limit=st.sampled_from([0.001, 0.1, 0.25, 0.5]))
def test_tpr_at_fpr_is_read_off_the_roc_curve(drawn, limit):
    y, p = columns(drawn)
    fpr, tpr, _ = roc_curve(y, p, drop_intermediate=False)
    got = tpr_at_fpr(y, p, limit)
    assert got.value == pytest.approx(tpr[fpr <= limit + 1e-9].max())
    assert 0 <= got.low <= got.value <= got.high <= 1


def test_too_few_real_images_for_a_limit_leave_it_open_below():
    y, p = binormal(400, 3, 0)
    assert tpr_at_fpr(y, p, 0.001).low == 0
    assert tpr_at_fpr(y, p, 0.05).low > 0.5


def test_clusters_widen_the_interval():
    y, p = binormal(300, 2, 0)
    copies = np.repeat(np.arange(300), 4)
    alone = tpr_at_fpr(y[copies], p[copies], 0.1)
    together = tpr_at_fpr(y[copies], p[copies], 0.1, cluster=copies)
    assert together.value == alone.value
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def areas(y, p, cluster=None, n=300):
    counts = replicate_counts(y, cluster, n, np.random.default_rng(0))
    return area_estimates(y, p, counts, max_fpr=0.1, cluster=cluster)


def test_areas_have_their_value_inside_and_clusters_widen_them():
    y, p = binormal(300, 2, 0)
    copies = np.repeat(np.arange(300), 4)
    for alone, together in zip(
        areas(y[copies], p[copies]), areas(y[copies], p[copies], copies), strict=True
    ):
        assert alone.low < alone.value < alone.high
        assert together.high - together.low > 1.5 * (alone.high - alone.low)


@pytest.mark.parametrize(("n_real", "n_synthetic"), [(265, 50), (30, 30), (997, 61)])
def test_a_perfect_partial_area_is_1_whatever_rounding_leaves(n_real, n_synthetic):
    y = np.repeat([0, 1], [n_real, n_synthetic])
    p = np.linspace(0, 1, len(y))
    counts = replicate_counts(y, None, 50, np.random.default_rng(0))
    _, partial = area_estimates(y, p, counts, max_fpr=0.1)
    assert (partial.value, partial.high) == (1, 1)
    assert partial.low > 0.5 + 0.5 * (0.025 ** (1 / min(n_synthetic, n_real // 10)) - 0.2)


def test_perfect_areas_stay_uncertain():
    y = np.arange(100) % 2
    precision, partial = areas(y, y.astype(float))
    assert (precision.value, partial.value) == (1, 1)
    assert precision.low < 0.95
    assert partial.low < precision.low


def test_areas_that_no_replicate_changes_stay_uncertain():
    y = np.arange(100) % 2
    _, partial = areas(y, np.full(100, 0.5))
    assert partial.high - partial.low > 0.05
