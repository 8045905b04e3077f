"""How fast and how large choosing thresholds and probabilities is, on cached scores.

    python benchmarks/decision.py                       # 1,000,000 scores
    python benchmarks/decision.py --scores 100000 --json out.json

Each policy of synthdetect chooses from the same labels and probabilities, with its threshold's
interval by 200 bootstrap replicates, exact intervals of its rates and, where it has one, its
guarantee. Beside it, in the same run, is what scikit-learn offers for the same choice:
`TunedThresholdClassifierCV` over 100 thresholds, or `roc_curve`, both without an interval.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect import (
    AutoCalibration,
    Band,
    ConformalBand,
    CostWeighted,
    EqualError,
    FBeta,
    Fixed,
    IsotonicCalibration,
    MaxFPR,
    MinPrecision,
    MinRecall,
    PlattScaling,
    Youden,
)

POLICIES = {
    "Youden": Youden(),
    "CostWeighted": CostWeighted(false_positive=10, prevalence=0.02),
    "FBeta": FBeta(),
    "EqualError": EqualError(),
    "Fixed": Fixed(0.5),
    "MaxFPR": MaxFPR(0.01),
    "MinRecall": MinRecall(0.95),
    "MinPrecision": MinPrecision(0.9),
    "Band": Band(review=0.1),
    "ConformalBand": ConformalBand(0.05),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("error")  # what is timed must be an ordinary case
    y, logit = scores(options.scores)
    p = 1 / (1 + np.exp(-logit))
    before = peak_mb()
    ours = timed(
        {f"{name}().fit": fit_of(policy, y, p) for name, policy in POLICIES.items()}, options.rounds
    )
    peak = peak_mb()
    theirs = timed(scikit_learn(y, p), options.rounds)
    calibrators = timed(calibration(y, logit), options.rounds)
    results: dict[str, Any] = {
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "scores": options.scores,
            "rounds": options.rounds,
        },
        "synthdetect, seconds (median)": ours,
        "all policies": {
            "seconds (sum of medians)": sum(ours.values()),
            "peak MB before": before,
            "peak MB after": peak,
        },
        "scikit-learn, seconds (median)": theirs,
        "calibrators, seconds (median)": calibrators,
        "agreement": agreement(y, p),
    }
    for name, values in results.items():
        print(f"{name}:")
        for key, value in values.items():
            text = f"{value:.4f}" if isinstance(value, float) else value
            print(f"  {key:<52} {text}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def scores(n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels, half of each class, and logits that are calibrated up to a temperature."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    return y, 1.5 * rng.normal(1.5 * (2 * y - 1), 1.0)


def fit_of(policy: Any, y: NDArray[np.int64], p: NDArray[np.float64]) -> Callable[[], Any]:
    return lambda: policy.fit(y, p)


def scikit_learn(y: NDArray[np.int64], p: NDArray[np.float64]) -> dict[str, Callable[[], Any]]:
    """Return what scikit-learn does for the same choices."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    def youden() -> float:
        false_positive_rate, recall, cuts = roc_curve(y, p)
        return float(cuts[np.argmax(recall - false_positive_rate)])

    def f1() -> float:
        precision, recall, cuts = precision_recall_curve(y, p)
        with np.errstate(invalid="ignore"):
            return float(cuts[np.nanargmax((2 * precision * recall / (precision + recall))[:-1])])

    return {
        "roc_curve, then argmax (Youden)": youden,
        "precision_recall_curve, then argmax (F1)": f1,
        "TunedThresholdClassifierCV, balanced accuracy": lambda: tuned(y, p, "balanced_accuracy"),
        "TunedThresholdClassifierCV, f1": lambda: tuned(y, p, "f1"),
    }


def tuned(y: NDArray[np.int64], p: NDArray[np.float64], scoring: str) -> float:
    """Return the threshold that scikit-learn tunes on scores that are given."""
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import TunedThresholdClassifierCV

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """A classifier whose probabilities are its input."""

        classes_ = np.array([0, 1])
        fitted_ = True

        def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.column_stack([1 - X[:, 0], X[:, 0]])

    tuner = TunedThresholdClassifierCV(
        FrozenEstimator(Given()), scoring=scoring, cv="prefit", refit=False
    )
    return float(tuner.fit(p[:, np.newaxis], y).best_threshold_)


def calibration(y: NDArray[np.int64], logit: NDArray[np.float64]) -> dict[str, Callable[[], Any]]:
    """Return calibrators of both sides."""
    from sklearn.calibration import _SigmoidCalibration
    from sklearn.isotonic import IsotonicRegression

    return {
        "PlattScaling().fit": lambda: PlattScaling().fit(logit, y),
        "IsotonicCalibration().fit": lambda: IsotonicCalibration().fit(logit, y),
        "AutoCalibration().fit (5 folds, 4 kinds)": lambda: AutoCalibration().fit(logit, y),
        "scikit-learn's sigmoid": lambda: _SigmoidCalibration().fit(logit, y),
        "scikit-learn's IsotonicRegression": lambda: IsotonicRegression().fit(logit, y),
    }


def agreement(y: NDArray[np.int64], p: NDArray[np.float64]) -> dict[str, float]:
    """Return what both reach on the same scores."""
    from sklearn.metrics import balanced_accuracy_score, f1_score

    reached = {}
    for name, policy, scoring, score in (
        ("balanced accuracy", Youden(), "balanced_accuracy", balanced_accuracy_score),
        ("f1", FBeta(), "f1", f1_score),
    ):
        reached[f"{name}, synthdetect"] = float(score(y, policy.fit(y, p, n_replicates=0)(p)))
        reached[f"{name}, TunedThresholdClassifierCV"] = float(score(y, p >= tuned(y, p, scoring)))
    return reached


def timed(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each contender, A B C A B C ..."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def peak_mb() -> float:
    """Return the peak resident memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
