"""Figures of decisions: all that follows from a confusion matrix, with intervals."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.checks import Labels
from synthdetect.evaluation.interval import (
    Clusters,
    Estimate,
    Rate,
    among,
    rate_of,
    square_and_add,
)


@dataclass(frozen=True)
class ClassFigures:
    """Precision, recall and F1 of one class.

    Parameters
    ----------
    precision, recall : Rate
    f1 : Estimate
    support : int
        Images of the class.
    """

    precision: Rate
    recall: Rate
    f1: Estimate
    support: int


@dataclass(frozen=True)
class PredictiveValues:
    """How often a decision is right, where a given share of the images is synthetic.

    Parameters
    ----------
    prevalence : float
        Share of synthetic images, 0 to 1.
    synthetic : Estimate
        Share of synthetic images among those called synthetic.
    real : Estimate
        Share of real images among those called real.
    """

    prevalence: float
    synthetic: Estimate
    real: Estimate


@dataclass(frozen=True, kw_only=True)
class DecisionFigures:
    """What `decision_figures` measures; positive is synthetic.

    Parameters
    ----------
    confusion : tuple of ((int, int), (int, int))
        Rows are true, columns are decided; real first, as `sklearn.metrics.confusion_matrix`.
    accuracy, error : Rate
        Right and wrong decisions among all. `error` is (FP + FN) / N.
    balanced_accuracy : Estimate
        Mean recall of the classes.
    matthews : Estimate
        Matthews' correlation coefficient, -1 to 1.
    false_positive_rate, false_negative_rate : Rate
        Wrong decisions among the real, and among the synthetic images.
    sum_of_error_rates : Estimate
        False positive rate plus false negative rate, 0 to 2: another figure than `error`.
    real, synthetic : ClassFigures
    """

    confusion: tuple[tuple[int, int], tuple[int, int]]
    accuracy: Rate
    error: Rate
    balanced_accuracy: Estimate
    matthews: Estimate
    false_positive_rate: Rate
    false_negative_rate: Rate
    sum_of_error_rates: Estimate
    real: ClassFigures
    synthetic: ClassFigures


def decision_figures(
    y: Labels,
    called: NDArray[np.bool_],
    confidence: float = 0.95,
    cluster: Clusters | None = None,
) -> DecisionFigures:
    """Measure decisions.

    Rates have Clopper-Pearson intervals. What is a function of both classes' recall and their
    shares in the data (balanced accuracy, MCC, F1, FPR + FNR) has the interval that those of the
    recalls imply, at these shares.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    called : ndarray of shape (n,), bool
        Whether the image was called synthetic.
    confidence : float
        Between 0 and 1.
    cluster : ndarray of shape (n,), int64, optional
        Images that go together, such as those of one person.

    Returns
    -------
    figures : DecisionFigures
        With one class only, what needs the other is NaN; F1 is scikit-learn's all the same.
    """
    n, share = len(y), float(np.mean(y))

    def rate_among(rows: NDArray[np.bool_], events: NDArray[np.bool_]) -> Rate:
        return rate_of(events[rows], among(cluster, rows), confidence)

    everything, real, synthetic = np.ones(n, dtype=bool), y == 0, y == 1
    right = called == synthetic
    specificity, recall = rate_among(real, ~called), rate_among(synthetic, called)
    hits, false_alarms = int(np.sum(called & synthetic)), int(np.sum(called & real))
    n_real, n_synthetic = int(real.sum()), int(synthetic.sum())

    def implied(
        figure: Callable[[float, float], float], bounds: tuple[float, float] = (0.0, 1.0)
    ) -> Estimate:
        return square_and_add(figure, [specificity, recall], n=n, bounds=bounds)

    def implied_f1(figure: Callable[[float, float], float], support: int) -> Estimate:
        found = implied(figure)
        # Without images of the class, that F1 is 0 says nothing about it.
        return found if support else replace(found, low=0.0, high=1.0)

    return DecisionFigures(
        confusion=((n_real - false_alarms, false_alarms), (n_synthetic - hits, hits)),
        accuracy=rate_among(everything, right),
        error=rate_among(everything, ~right),
        balanced_accuracy=implied(lambda a, b: (a + b) / 2),
        matthews=implied(lambda a, b: _matthews(a, b, share), (-1.0, 1.0)),
        false_positive_rate=rate_among(real, called),
        false_negative_rate=rate_among(synthetic, ~called),
        sum_of_error_rates=implied(lambda a, b: 2 - a - b, (0.0, 2.0)),
        real=ClassFigures(
            rate_among(~called, real),
            specificity,
            implied_f1(lambda a, b: _f1(b, a, 1 - share), n_real),
            n_real,
        ),
        synthetic=ClassFigures(
            rate_among(called, synthetic),
            recall,
            implied_f1(lambda a, b: _f1(a, b, share), n_synthetic),
            n_synthetic,
        ),
    )


def predictive_values(
    recall: Rate, false_positive_rate: Rate, prevalence: float
) -> PredictiveValues:
    """Return how often decisions are right at a prevalence other than that of the data.

    Parameters
    ----------
    recall, false_positive_rate : Rate
        Of independent images: the synthetic and the real ones.
    prevalence : float
        Share of synthetic images where the decisions will be used, 0 to 1.

    Returns
    -------
    values : PredictiveValues

    Raises
    ------
    ValueError
        If the prevalence is not in 0..1.

    Examples
    --------
    >>> from synthdetect.evaluation.interval import rate
    >>> values = predictive_values(rate(950, 1000), rate(50, 1000), prevalence=0.01)
    >>> f"{values.synthetic.value:.0%}"
    '16%'
    """
    if not 0 <= prevalence <= 1:
        raise ValueError(f"prevalence is {prevalence!r}; use a share of images from 0 to 1")
    rates, n = [recall, false_positive_rate], recall.n + false_positive_rate.n
    return PredictiveValues(
        float(prevalence),
        square_and_add(
            lambda hit, alarm: _ratio(prevalence * hit, (1 - prevalence) * alarm), rates, n=n
        ),
        square_and_add(
            lambda hit, alarm: _ratio((1 - prevalence) * (1 - alarm), prevalence * (1 - hit)),
            rates,
            n=n,
        ),
    )


def _ratio(wanted: float, other: float) -> float:
    return wanted / (wanted + other) if wanted + other > 0 else float("nan")


def _f1(specificity: float, recall: float, share: float) -> float:
    """F1 of the class that is `share` of the images; NaN where none are of it or called so."""
    # A rate of no images is NaN, and weighs nothing.
    hits = share * recall if share else 0.0
    false_alarms = (1 - share) * (1 - specificity) if share < 1 else 0.0
    return _ratio(2 * hits, share - hits + false_alarms)


def _matthews(specificity: float, recall: float, share: float) -> float:
    """Matthews' coefficient; 0 where all decisions are the same, as in scikit-learn."""
    called = share * recall + (1 - share) * (1 - specificity)
    if called in (0.0, 1.0):
        return 0.0
    spread = np.sqrt(share * (1 - share) / (called * (1 - called)))
    return float((recall + specificity - 1) * spread)
