"""Intervals hold the true figure about as often as they say; each true figure is defined here."""

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binom, norm

from synthdetect.evaluation.calibration import Bins, calibration_errors
from synthdetect.evaluation.curves import tpr_at_fpr
from synthdetect.evaluation.decisions import decision_figures, predictive_values
from synthdetect.evaluation.evaluate import FPR_LIMITS
from synthdetect.evaluation.interval import rate, rate_of
from synthdetect.evaluation.ranking import auroc

pytestmark = pytest.mark.slow
LOW, HIGH = 0.93, 0.975


def covers(interval, true):
    return interval.low - 1e-9 <= true <= interval.high + 1e-9


@pytest.mark.parametrize(("n", "true"), [(400, 0.9), (819, 0.05), (1638, 0.98), (1638, 0.9)])
def test_rates_cover(n, true):
    # Exact: no simulation, every outcome with its probability.
    outcomes = np.flatnonzero(binom.pmf(np.arange(n + 1), n, true) > 1e-9)
    held = [covers(rate(int(k), n), true) * binom.pmf(k, n, true) for k in outcomes]
    assert LOW <= sum(held) <= HIGH


def test_rates_of_clusters_cover():
    rng = np.random.default_rng(0)
    held, cluster = [], np.arange(600) // 6
    for _ in range(1000):
        own = rng.beta(4, 1, 100)[cluster]
        held.append(covers(rate_of(rng.random(600) < own, cluster), 0.8))
    assert LOW <= np.mean(held) <= HIGH


@pytest.mark.parametrize("shift", [1.0, 2.0, 3.0])
def test_auroc_and_threshold_dependent_figures_cover(shift):
    rng = np.random.default_rng(0)
    y, threshold, limit = np.arange(600) % 2, shift / 2 + 0.3, 0.05
    fpr, tpr = norm.sf(threshold), norm.sf(threshold - shift)
    called = (fpr + tpr) / 2
    true = {
        "accuracy": (1 - fpr + tpr) / 2,
        "false_positive_rate": fpr,
        "false_negative_rate": 1 - tpr,
        "precision": tpr / (tpr + fpr),
        "matthews": (tpr - fpr) / 2 / np.sqrt(called * (1 - called)),
        "f1": 2 * tpr / (1 + tpr + fpr),
        "predictive": 0.02 * tpr / (0.02 * tpr + 0.98 * fpr),
        "auroc": norm.cdf(shift / np.sqrt(2)),
        "tpr_at_fpr": norm.sf(norm.isf(limit) - shift),
    }
    held = {name: [] for name in true}
    for _ in range(1000):
        scores = rng.normal(shift * y, 1)
        got = decision_figures(y, scores >= threshold)
        found = {
            "precision": got.synthetic.precision,
            "f1": got.synthetic.f1,
            "predictive": predictive_values(
                got.synthetic.recall, got.false_positive_rate, 0.02
            ).synthetic,
            "auroc": auroc(y, scores),
            "tpr_at_fpr": tpr_at_fpr(y, scores, limit),
        }
        for name, value in true.items():
            held[name].append(covers(found.get(name) or getattr(got, name), value))
    coverage = {name: float(np.mean(one)) for name, one in held.items()}
    # Clopper-Pearson promises at least 95 %, and few events make it conservative.
    assert all(LOW <= one <= 0.985 for one in coverage.values()), coverage
    assert LOW <= coverage["auroc"] <= HIGH, coverage


@pytest.mark.parametrize("limit", FPR_LIMITS)
@pytest.mark.parametrize("n", [600, 1600])
@pytest.mark.parametrize("shift", [2.0, 3.0, 4.0])
def test_tpr_at_the_reported_limits_covers_and_errs_to_the_safe_side(n, shift, limit):
    rng = np.random.default_rng(0)
    y, true = np.arange(n) % 2, norm.sf(norm.isf(limit) - shift)
    held = [covers(tpr_at_fpr(y, rng.normal(shift * y, 1), limit), true) for _ in range(500)]
    # 500 data sets know the coverage to 1 % at 95 %, one standard error.
    assert 0.945 <= np.mean(held) <= 0.998, np.mean(held)


def test_auroc_of_clusters_covers():
    rng = np.random.default_rng(0)
    held, cluster = [], np.arange(600) // 3
    y = cluster % 2
    for _ in range(600):
        scores = 1.5 * y + rng.normal(0, 0.8, 200)[cluster] + rng.normal(0, 0.6, 600)
        held.append(covers(auroc(y, scores, cluster=cluster), norm.cdf(1.5 / np.sqrt(2))))
    assert LOW <= np.mean(held) <= HIGH


WRONG = {
    "calibrated": lambda p: p,
    "too certain": lambda p: expit(logit(p) / 1.5),
    "much too certain": lambda p: expit(logit(p) / 2.5),
    "shifted": lambda p: expit(logit(p) + 0.3),
}


@pytest.mark.parametrize("n", [400, 1600])
@pytest.mark.parametrize("wrong", WRONG)
def test_ece_covers(wrong, n):
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        p = expit(rng.normal(0, 3, n))
        q = WRONG[wrong](p)
        expected, _ = calibration_errors((rng.random(n) < q).astype(int), p, rng=rng)
        bins = Bins.of(q, p, 15)
        held.append(covers(expected, float(bins.n / n @ np.abs(bins.share - bins.p))))
    # 300 data sets know the coverage to 1.3 % only, one standard error.
    assert LOW - 0.005 <= np.mean(held) <= HIGH + 0.01, np.mean(held)
