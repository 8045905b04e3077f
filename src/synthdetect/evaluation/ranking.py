"""AUROC with DeLong's interval, and the difference of two on the same images."""

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.checks import Floats, Labels, check_finite, check_labels, check_vector
from synthdetect.evaluation.interval import (
    NO_VARIANCE,
    Clusters,
    Difference,
    Estimate,
    clustered_variance,
    logit_interval,
    upper_tail,
)


def auroc(
    y: ArrayLike,
    p: ArrayLike,
    confidence: float = 0.95,
    *,
    cluster: Clusters | None = None,
) -> Estimate:
    """Return the area under the ROC curve with DeLong's interval.

    The variance is that of DeLong et al. (1988) by the fast algorithm of Sun and Xu (2014); the
    interval is normal on the logit of the area, so that it stays within 0 to 1. Where that
    variance is not defined or 0, the m = min(n_real, n_synthetic) disjoint pairs of a real and
    a synthetic image that any matching gives stand in, which is conservative: a perfect (or
    perfectly wrong) ranking has the Clopper-Pearson interval of m of m (0 of m) pairs, and any
    other area A the variance A (1 - A) / m, the largest that there is. Simulated on normal scores
    (areas of 0.5 to 0.998, 10 to 500 images a class) a 95 % interval covered 92 % to 98 %, least
    where only a few pairs are in the wrong order.

    Parameters
    ----------
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real.
    p : array-like of shape (n,), float
        P(synthetic), or any finite score that rises with it.
    confidence : float
        Between 0 and 1.
    cluster : ndarray of shape (n,), int64, optional
        Images that go together, such as those of one person. The variance is then that between
        clusters (Obuchowski 1997), and m is at most the number of clusters.

    Returns
    -------
    area : Estimate
        NaN with the interval 0 to 1 where `y` has one class only.

    Raises
    ------
    DataError
        If the arrays do not fit, a label is not 0 or 1, or a score is not finite.

    References
    ----------
    .. [1] DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated
       receiver operating characteristic curves", Biometrics 44(3), 1988.
    .. [2] Sun and Xu, "Fast implementation of DeLong's algorithm", IEEE Signal Processing
       Letters 21(11), 2014.
    .. [3] Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53(2), 1997.

    Examples
    --------
    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value
    0.75
    """
    labels, scores = check_scores(y, p)
    n, n_pairs = len(labels), _n_pairs(labels, cluster)
    upper_tail(confidence)
    if n_pairs == 0:
        return Estimate(float("nan"), 0.0, 1.0, n)
    placements = _placements(labels, scores)
    area = float(placements[0].mean())
    variance = _variance(labels, placements, cluster)
    return logit_interval(area, variance, n_pairs, n, confidence)


def auroc_difference(
    y: ArrayLike,
    p_a: ArrayLike,
    p_b: ArrayLike,
    confidence: float = 0.95,
    *,
    cluster: Clusters | None = None,
) -> Difference:
    """Return AUROC of `p_a` minus that of `p_b` on the same images (DeLong et al. 1988).

    Where DeLong's variance is not defined or 0, although the rankings differ, Hoeffding's bound
    over min(n_real, n_synthetic) disjoint pairs stands in, which is conservative.

    Parameters
    ----------
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real.
    p_a, p_b : array-like of shape (n,), float
        Two finite scores of the same images.
    confidence : float
        Between 0 and 1.
    cluster : ndarray of shape (n,), int64, optional
        As for `auroc`.

    Returns
    -------
    difference : Difference
        With a two-sided p-value. NaN with the interval -1 to 1 where `y` has one class only.

    Raises
    ------
    DataError
        If the arrays do not fit, a label is not 0 or 1, or a score is not finite.
    """
    from scipy.special import ndtr, ndtri

    labels, scores_a = check_scores(y, p_a, "p_a")
    _, scores_b = check_scores(y, p_b, "p_b")
    n, n_pairs = len(labels), _n_pairs(labels, cluster)
    tail = upper_tail(confidence)
    if n_pairs == 0:
        return Difference(float("nan"), -1.0, 1.0, n, float("nan"))
    if np.array_equal(mid_ranks(scores_a), mid_ranks(scores_b)):
        return Difference(0.0, 0.0, 0.0, n, 1.0)
    placements_a, placements_b = _placements(labels, scores_a), _placements(labels, scores_b)
    synthetic, real = (a - b for a, b in zip(placements_a, placements_b, strict=True))
    value = float(synthetic.mean())
    variance = _variance(labels, (synthetic, real), cluster)
    if variance > NO_VARIANCE:
        half = float(-ndtri(tail) * np.sqrt(variance))
        p_value = float(2 * ndtr(-abs(value) / np.sqrt(variance)))
    else:
        half = float(np.sqrt(-2 * np.log(tail) / n_pairs))
        p_value = min(1.0, float(2 * np.exp(-n_pairs * value**2 / 2)))
    return Difference(value, max(-1.0, value - half), min(1.0, value + half), n, p_value)


def _placements(labels: Labels, scores: Floats) -> tuple[Floats, Floats]:
    """Return, for each synthetic image, the share of real ones below it, and the reverse.

    A tie counts one half. The mean of either is the AUROC.
    """
    synthetic = labels == 1
    midranks = mid_ranks(scores)
    real_below = midranks[synthetic] - mid_ranks(scores[synthetic])
    synthetic_below = midranks[~synthetic] - mid_ranks(scores[~synthetic])
    return real_below / np.sum(~synthetic), 1 - synthetic_below / np.sum(synthetic)


def _variance(labels: Labels, placements: tuple[Floats, Floats], cluster: Clusters | None) -> float:
    """Return the variance of the mean placement; 0.0 with one image of a class."""
    synthetic, real = placements
    if len(synthetic) < 2 or len(real) < 2:
        return 0.0
    if cluster is None:
        return float(np.var(synthetic, ddof=1) / len(synthetic) + np.var(real, ddof=1) / len(real))
    influence = np.empty(len(labels))
    influence[labels == 1] = (synthetic - synthetic.mean()) / len(synthetic)
    influence[labels == 0] = (real - real.mean()) / len(real)
    return clustered_variance(influence, cluster)


def _n_pairs(labels: Labels, cluster: Clusters | None) -> int:
    """Return how many pairs of a real and a synthetic image have nothing in common."""
    if cluster is None:
        return int(min(labels.sum(), len(labels) - labels.sum()))
    return min(len(np.unique(cluster[labels == label])) for label in (0, 1))


def mid_ranks(values: Floats) -> Floats:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])


def check_scores(y: ArrayLike, p: ArrayLike, name: str = "p") -> tuple[Labels, Floats]:
    """Return clean labels and finite scores."""
    scores = check_vector(name, p)
    labels = check_labels(y, len(scores))
    check_finite(name, scores)
    return labels, scores
