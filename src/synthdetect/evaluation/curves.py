"""What is read off the ROC and precision-recall curves, with intervals."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from synthdetect.ensemble.checks import Floats, Labels
from synthdetect.evaluation.interval import (
    Clusters,
    Estimate,
    among,
    effective_n,
    logit_interval,
    rate_of,
    upper_tail,
)


@dataclass(frozen=True)
class Steps:
    """Images in descending order of score, with the end of each run of equal scores.

    Parameters
    ----------
    order : ndarray of shape (n,), int64
    ends : ndarray of shape (distinct scores,), int64
    y : ndarray of shape (n,), int64
        In that order.
    """

    order: Labels
    ends: Labels
    y: Labels

    @classmethod
    def of(cls, y: Labels, p: Floats) -> "Steps":
        """Sort once, for every replicate."""
        order = np.argsort(-p, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)
        return cls(order, ends, y[order])

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return synthetic and real images at or above each distinct score.

        Parameters
        ----------
        weights : ndarray of shape (replicates, n), float64

        Returns
        -------
        hits, false_alarms : ndarray of shape (replicates, distinct scores), float64
        """
        sorted_weights = weights[:, self.order]
        called = np.cumsum(sorted_weights, axis=1)[:, self.ends]
        hits = np.cumsum(sorted_weights * self.y, axis=1)[:, self.ends]
        return hits, called - hits


def average_precision(hits: Floats, false_alarms: Floats) -> Floats:
    """Return scikit-learn's `average_precision_score` of each row of `Steps.counts`."""
    called = hits + false_alarms
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    gained = np.diff(hits, axis=1, prepend=0.0)
    return np.asarray((gained * precision).sum(axis=1) / hits[:, -1])


def partial_area(hits: Floats, false_alarms: Floats, max_fpr: float) -> Floats:
    """Return the mean true positive rate over false positive rates of 0 to `max_fpr`, by row."""
    tpr = np.insert(hits / hits[:, -1:], 0, 0.0, axis=1)
    fpr = np.insert(false_alarms / false_alarms[:, -1:], 0, 0.0, axis=1)
    width, rise = np.diff(fpr, axis=1), np.diff(tpr, axis=1)
    start = np.minimum(fpr[:, :-1], max_fpr)
    end = np.minimum(fpr[:, 1:], max_fpr)
    slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
    height = tpr[:, :-1] + slope * ((start + end) / 2 - fpr[:, :-1])
    return np.asarray(((end - start) * height).sum(axis=1) / max_fpr)


def standardized(area: float, max_fpr: float) -> float:
    """Return McClish's partial AUROC, 0.5 for chance and 1 for perfect, of a `partial_area`."""
    chance = max_fpr / 2
    return 0.5 * (1 + (area - chance) / (1 - chance))


def area_estimates(
    y: Labels,
    p: Floats,
    counts: Iterable[Floats],
    *,
    max_fpr: float,
    confidence: float = 0.95,
    cluster: Clusters | None = None,
) -> tuple[Estimate, Estimate]:
    """Return average precision and McClish's partial AUROC.

    Their intervals are normal on the logit, with the variance of the bootstrap; a perfect value has
    the Clopper-Pearson interval of as many disjoint pairs of a real and a synthetic image (for the
    partial area, of the share `max_fpr` of the real ones).

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        Of both classes.
    p : ndarray of shape (n,), float64
    counts : iterable of ndarray of shape (replicates, n), float64
        As `synthdetect.evaluation.resample.replicate_counts` yields them.
    max_fpr : float
        Above 0, at most 1.
    confidence : float
        Between 0 and 1.
    cluster : ndarray of shape (n,), int64, optional

    Returns
    -------
    average_precision, partial_auroc : Estimate

    References
    ----------
    .. [1] McClish, "Analyzing a portion of the ROC curve", Medical Decision Making 9(3), 1989.
    .. [2] Boyd, Eng and Page, "Area under the precision-recall curve: point estimates and
       confidence intervals", ECML PKDD 2013.
    """
    steps = Steps.of(y, p)
    whole = steps.counts(np.ones((1, len(y))))
    # Only two numbers of each replicate are kept, as the curves of all would fill the memory.
    drawn = np.hstack(
        [
            [average_precision(*curve), partial_area(*curve, max_fpr)]
            for curve in (steps.counts(block) for block in counts)
        ]
    )
    variance = np.var(drawn, axis=1, ddof=1)
    units = np.arange(len(y)) if cluster is None else cluster
    n_synthetic, n_real = (len(np.unique(units[y == label])) for label in (1, 0))
    precision = logit_interval(
        float(average_precision(*whole)[0]),
        float(variance[0]),
        min(n_synthetic, n_real),
        len(y),
        confidence,
    )
    partial = float(partial_area(*whole, max_fpr)[0])
    area = logit_interval(
        1.0 if partial > 1 - 1e-12 else partial,  # steps of a perfect curve need not add up to 1
        float(variance[1]),
        min(n_synthetic, max(1, int(n_real * max_fpr))),
        len(y),
        confidence,
    )
    value, low, high = (standardized(one, max_fpr) for one in (area.value, area.low, area.high))
    return precision, Estimate(value, low, high, len(y))


def tpr_at_fpr(
    y: Labels,
    p: Floats,
    max_fpr: float,
    confidence: float = 0.95,
    cluster: Clusters | None = None,
) -> Estimate:
    """Return the largest true positive rate at a false positive rate of at most `max_fpr`.

    The interval holds the true positive rate at the threshold whose *true* false positive rate is
    `max_fpr`. Two things are uncertain: that threshold (by the binomial distribution of the real
    images above it) and the rate of synthetic images above it (Clopper-Pearson); their squares
    add up. With few real images it is wide: below about 3.7 / `max_fpr` of them the
    threshold may lie above every real image, and the interval starts at 0.

    It is conservative, the more so the fewer real images may be flagged, as whole numbers of them
    are. Simulated on normal scores (shifts of 2 to 4) at limits of 1 %, 0.5 % and 0.1 %, one of
    95 % covered 98.4 % to 99.6 % with 300 real images and 96.4 % to 99.4 % with 800.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        Of both classes.
    p : ndarray of shape (n,), float64
    max_fpr : float
        Above 0, below 1.
    confidence : float
        Between 0 and 1.
    cluster : ndarray of shape (n,), int64, optional

    Returns
    -------
    rate : Estimate
        The value is that of `sklearn.metrics.roc_curve`.
    """
    from scipy.stats import binom

    steps = Steps.of(y, p)
    hits, false_alarms = (row[0] for row in steps.counts(np.ones((1, len(y)))))
    real, synthetic = y == 0, y == 1
    n_real, n_synthetic, tail = int(real.sum()), int(synthetic.sum()), upper_tail(confidence)

    def tpr(n_false_alarms: float) -> float:
        n_steps = int(np.searchsorted(false_alarms, n_false_alarms, side="right"))
        return float(hits[n_steps - 1]) / n_synthetic if n_steps else 0.0

    # The margin is for products such as 1000 * 0.005, just below a whole number.
    n_allowed = np.floor(n_real * max_fpr + 1e-9)
    n_steps = int(np.searchsorted(false_alarms, n_allowed, side="right"))
    called = np.zeros(len(y), dtype=bool)
    called[steps.order[: steps.ends[n_steps - 1] + 1 if n_steps else 0]] = True
    value = tpr(n_allowed)
    seen = rate_of(called[synthetic], among(cluster, synthetic), confidence)
    n_independent = int(max(1, effective_n(called[real], among(cluster, real), confidence)))
    fewest, most = (
        float(binom.ppf(end, n_independent, max_fpr)) / n_independent * n_real
        for end in (tail, 1 - tail)
    )
    lowest = min(value, tpr(np.ceil(fewest) - 1))
    highest = max(value, tpr(np.floor(most)))
    low = value - np.hypot(value - lowest, value - seen.low)
    high = value + np.hypot(highest - value, seen.high - value)
    return Estimate(value, max(0.0, float(low)), min(1.0, float(high)), len(y))
