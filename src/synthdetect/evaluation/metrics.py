"""Every figure with its interval and its n. Plain functions on labels and probabilities."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.ensemble.checks import Floats, Labels, check_probabilities
from synthdetect.errors import DataError
from synthdetect.evaluation.interval import (
    NO_VARIANCE,
    Clusters,
    Estimate,
    Rate,
    clustered_variance,
    json_ready,
    rate,
    upper_tail,
)
from synthdetect.evaluation.ranking import auroc, check_scores, mid_ranks


def log_loss(
    y: ArrayLike,
    p: ArrayLike,
    confidence: float = 0.95,
    *,
    cluster: Clusters | None = None,
) -> Estimate:
    """Return the mean log loss, in nats, with the normal interval of a mean.

    Parameters
    ----------
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real.
    p : array-like of shape (n,), float
        P(synthetic), 0 to 1; 0 and 1 count as 2.2e-16 from the end.
    confidence : float
        Between 0 and 1.
    cluster : ndarray of shape (n,), int64, optional
        Images that go together, such as those of one person; the variance is that between clusters.

    Returns
    -------
    loss : Estimate
        With one image the interval is 0 to infinity; where the losses do not vary it has no upper
        end. With few images it is too short, as the rare large losses may all be missing: simulated
        on calibrated probabilities, one of 95 % covered 87 % of the time with 20 images, 90 % with
        50, 93 % to 94 % with 100 to 1,600.

    Raises
    ------
    DataError
        If the arrays do not fit, a label is not 0 or 1, or a probability is not in 0..1.
    """
    return mean_estimate(log_losses(*check_probability(y, p)), np.inf, confidence, cluster)


def log_losses(labels: Labels, scores: Floats) -> Floats:
    """Return the log loss of each image; 0 and 1 count as 2.2e-16 from the end."""
    margin = np.finfo(np.float64).eps
    own = np.clip(np.where(labels == 1, scores, 1 - scores), margin, 1 - margin)
    return np.asarray(-np.log(own))


def brier(
    y: ArrayLike,
    p: ArrayLike,
    confidence: float = 0.95,
    *,
    cluster: Clusters | None = None,
) -> Estimate:
    """Return the mean squared error of `p` (Brier 1950), 0 to 1.

    Parameters and errors are those of `log_loss`; the interval is the normal one of a mean. Where
    the squared errors do not vary, it allows for errors too rare to have been seen: it ends about
    3.7 / n above. With few images it is too short: simulated on calibrated probabilities, one of
    95 % covered 88 % of the time with 20 images, 92 % with 50, 94 % with 100 to 1,600.
    """
    labels, scores = check_probability(y, p)
    return mean_estimate((scores - labels) ** 2, 1.0, confidence, cluster)


def expected_calibration_error(y: ArrayLike, p: ArrayLike, n_bins: int = 15) -> float:
    """Return the expected calibration error over bins of equal numbers of images.

    The mean over the images of |mean p - share of synthetic| of the image's bin. Equal
    probabilities share a bin, so the order of the images does not matter and bins may differ.
    It is biased upwards: with few images a bin, perfect calibration too is above 0.

    Parameters
    ----------
    y, p
        As in `log_loss`.
    n_bins : int
        At least 1.

    Returns
    -------
    error : float
        0 to 1.

    Raises
    ------
    DataError
        As `log_loss`.
    ValueError
        If `n_bins` is below 1.
    """
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}; use 1 or more")
    labels, scores = check_probability(y, p)
    gap = np.bincount(equal_bins(scores, n_bins), weights=scores - labels)
    return float(np.abs(gap).sum() / len(scores))


def equal_bins(scores: Floats, n_bins: int) -> NDArray[np.int64]:
    """Return the bin of each score, of `n_bins` of equal numbers; equal scores share one."""
    return ((mid_ranks(scores) - 0.5) / len(scores) * n_bins).astype(np.int64)


@dataclass(frozen=True)
class Figures:
    """What `figures` measures; positive is synthetic.

    Parameters
    ----------
    n, n_real, n_synthetic : int
        Images, and images of each class.
    threshold : float
        An image with p >= threshold was called synthetic.
    confidence : float
        Of every interval.
    accuracy, error : Rate
        Right and wrong decisions among all.
    precision : Rate
        Synthetic ones among those called synthetic.
    recall, false_negative_rate : Rate
        Those called synthetic, and real, among the synthetic ones.
    false_positive_rate : Rate
        Those called synthetic among the real ones.
    auroc, log_loss, brier : Estimate
    expected_calibration_error : float
        Over 15 bins of equal numbers of images.
    """

    n: int
    n_real: int
    n_synthetic: int
    threshold: float
    confidence: float
    accuracy: Rate
    error: Rate
    precision: Rate
    recall: Rate
    false_positive_rate: Rate
    false_negative_rate: Rate
    auroc: Estimate
    log_loss: Estimate
    brier: Estimate
    expected_calibration_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description; NaN and infinity become None."""
        return {field.name: json_ready(getattr(self, field.name)) for field in fields(self)}


def figures(y: ArrayLike, p: ArrayLike, threshold: float, confidence: float = 0.95) -> Figures:
    """Measure probabilities and the decisions at a threshold.

    Parameters
    ----------
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real. With one class only, what needs the other has n = 0 (AUROC: NaN).
    p : array-like of shape (n,), float
        P(synthetic), 0 to 1.
    threshold : float
        An image with p >= threshold is called synthetic.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    figures : Figures

    Raises
    ------
    DataError
        If the arrays do not fit, a label is not 0 or 1, or a probability is not in 0..1.
    """
    labels, scores = check_probability(y, p)
    called = scores >= threshold
    n, n_synthetic = len(labels), int(labels.sum())
    n_real = n - n_synthetic
    hits = int(called[labels == 1].sum())
    false_alarms = int(called.sum()) - hits
    wrong = false_alarms + n_synthetic - hits
    return Figures(
        n=n,
        n_real=n_real,
        n_synthetic=n_synthetic,
        threshold=float(threshold),
        confidence=confidence,
        accuracy=rate(n - wrong, n, confidence),
        error=rate(wrong, n, confidence),
        precision=rate(hits, hits + false_alarms, confidence),
        recall=rate(hits, n_synthetic, confidence),
        false_positive_rate=rate(false_alarms, n_real, confidence),
        false_negative_rate=rate(n_synthetic - hits, n_synthetic, confidence),
        auroc=auroc(labels, scores, confidence),
        log_loss=log_loss(labels, scores, confidence),
        brier=brier(labels, scores, confidence),
        expected_calibration_error=expected_calibration_error(labels, scores),
    )


def by_group(
    y: ArrayLike,
    p: ArrayLike,
    threshold: float,
    groups: Iterable[object],
    confidence: float = 0.95,
) -> dict[str, Rate]:
    """Return the accuracy of each group, such as a camera or a generator.

    Accuracy, because a group often has one class only and then no AUROC.

    Parameters
    ----------
    y, p, threshold, confidence
        As in `figures`.
    groups : iterable of n objects
        Group of each image, by its text.

    Returns
    -------
    accuracy : dict of str to Rate
        Sorted by group.

    Raises
    ------
    DataError
        As `figures`, or if there is not one group for each image.
    """
    labels, scores = check_probability(y, p)
    names = np.array([str(group) for group in groups])
    if len(names) != len(labels):
        raise DataError(f"groups has {len(names)} rows, y has {len(labels)}; give one for each")
    right = (scores >= threshold) == (labels == 1)
    distinct, place = np.unique(names, return_inverse=True)
    n_right, n = np.bincount(place, weights=right), np.bincount(place)
    return {
        str(name): rate(int(n_right[i]), int(n[i]), confidence) for i, name in enumerate(distinct)
    }


def mean_estimate(
    losses: Floats, largest: float, confidence: float, cluster: Clusters | None = None
) -> Estimate:
    """Return the mean of losses in 0..largest with its normal interval.

    Where the losses do not vary, others are too rare to have been seen: the share of images with a
    greater one (or a smaller one) is at most Clopper and Pearson's limit of none among as many
    images or clusters, about 3.7 / n at 95 %, and these have the largest (or no) loss at worst.
    """
    from scipy.special import ndtri

    tail = upper_tail(confidence)
    value, n = float(losses.mean()), len(losses)
    n_units = n if cluster is None else len(np.unique(cluster))
    if n_units < 2:
        return Estimate(value, 0.0, largest, n)
    variance = clustered_variance((losses - value) / n, cluster)
    if variance <= NO_VARIANCE:
        unseen = 1 - tail ** (1 / n_units)
        low, high = (float(end) * (1 - unseen) for end in (losses.min(), losses.max()))
        return Estimate(value, low, high + unseen * largest, n)
    half = float(-ndtri(tail) * np.sqrt(variance))
    return Estimate(value, max(0.0, value - half), min(largest, value + half), n)


def check_probability(y: ArrayLike, p: ArrayLike) -> tuple[Labels, Floats]:
    """Return clean labels and probabilities in 0..1."""
    labels, scores = check_scores(y, p)
    check_probabilities(scores)
    return labels, scores
