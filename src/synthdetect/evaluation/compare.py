"""Two evaluations on the same images: which is better, and is it more than noise?"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synthdetect.ensemble.checks import Floats
from synthdetect.errors import DataError
from synthdetect.evaluation.interval import Difference, json_ready, upper_tail
from synthdetect.evaluation.metrics import log_losses
from synthdetect.evaluation.ranking import auroc_difference
from synthdetect.evaluation.resample import replicate_counts
from synthdetect.evaluation.text import p_text

if TYPE_CHECKING:
    from synthdetect.evaluation.figures import Evaluation


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of the images that only one of two detectors judged rightly.

    Parameters
    ----------
    n_only_a, n_only_b : int
        Images that only the first, and only the second, judged rightly.
    p_value : float
        Two-sided, of both being as likely. It takes images as independent; with clusters, trust
        the bootstrap's instead.
    """

    n_only_a: int
    n_only_b: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` finds; every difference is the first minus the second.

    Parameters
    ----------
    n : int
        Images.
    confidence : float
        Of every interval.
    accuracy : Difference
        Above 0 where the first is better.
    auroc : Difference
        DeLong's; above 0 where the first is better.
    log_loss, brier : Difference
        Below 0 where the first is better.
    mcnemar : McNemar
    """

    n: int
    confidence: float
    accuracy: Difference
    auroc: Difference
    log_loss: Difference
    brier: Difference
    mcnemar: McNemar

    def to_dict(self) -> dict[str, Any]:
        """Return every figure as JSON takes it, NaN as None."""
        return dict(json_ready(asdict(self)))

    def __str__(self) -> str:
        return "\n".join(_lines(self)) + "\n"


def compare(
    a: "Evaluation", b: "Evaluation", *, n_bootstrap: int = 2000, seed: int = 0
) -> Comparison:
    """Compare two detectors on the same images, pair by pair.

    Differences of accuracy, log loss and Brier score have percentile intervals of a paired
    bootstrap, stratified by class and by the clusters of `a`, where it has some; none where all
    pairs of a class differ by the same, as those of very few images may.

    Parameters
    ----------
    a, b : Evaluation
        Of the same images in the same order, with the same confidence.
    n_bootstrap : int
        Replicates, at least 2.
    seed : int
        The same seed gives the same intervals.

    Returns
    -------
    comparison : Comparison

    Raises
    ------
    DataError
        If the labels, the clusters or the confidence are not the same.
    ValueError
        If `n_bootstrap` is below 2.

    References
    ----------
    .. [1] McNemar, "Note on the sampling error of the difference between correlated proportions or
       percentages", Psychometrika 12(2), 1947.

    Examples
    --------
    >>> from synthdetect.evaluation.evaluate import evaluate
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(400) % 2
    >>> good, poor = (np.clip(rng.normal(0.3 + 0.4 * y, sd), 0, 1) for sd in (0.2, 0.5))
    >>> comparison = compare(evaluate(y, good, 0.5), evaluate(y, poor, 0.5))
    >>> comparison.accuracy.low > 0, comparison.mcnemar.p_value < 0.001
    (True, True)
    """
    _check_pair(a, b)
    if n_bootstrap < 2:
        raise ValueError(f"n_bootstrap is {n_bootstrap}; use 2 or more")
    right_a, right_b = (one.called == (one.y == 1) for one in (a, b))
    differences = np.stack(
        [
            right_a.astype(np.float64) - right_b,
            log_losses(a.y, a.p) - log_losses(b.y, b.p),
            (a.p - a.y) ** 2 - (b.p - b.y) ** 2,
        ],
        axis=1,
    )
    counts = replicate_counts(a.y, a.cluster, n_bootstrap, np.random.default_rng(seed))
    drawn = np.vstack([block @ differences / block.sum(axis=1)[:, None] for block in counts])
    accuracy, log_loss, brier = (
        _difference(differences[:, i], drawn[:, i], a.confidence) for i in range(3)
    )
    return Comparison(
        n=a.n,
        confidence=a.confidence,
        accuracy=accuracy,
        auroc=auroc_difference(a.y, a.p, b.p, a.confidence, cluster=a.cluster),
        log_loss=log_loss,
        brier=brier,
        mcnemar=mcnemar(a, b),
    )


def mcnemar(a: "Evaluation", b: "Evaluation") -> McNemar:
    """Test the decisions of two detectors on the same images; see `McNemar`.

    Parameters
    ----------
    a, b : Evaluation
        Of the same images in the same order.

    Returns
    -------
    test : McNemar

    Raises
    ------
    DataError
        As `compare`.
    """
    from scipy.stats import binomtest

    _check_pair(a, b)
    right_a, right_b = (one.called == (one.y == 1) for one in (a, b))
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    p_value = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a, only_b, p_value)


def _check_pair(a: "Evaluation", b: "Evaluation") -> None:
    if not np.array_equal(a.y, b.y):
        raise DataError(
            f"compare: the labels differ (n = {a.n} and {b.n}); evaluate both on the same images, "
            "in the same order"
        )
    clusters = [one.cluster for one in (a, b) if one.cluster is not None]
    if len(clusters) == 1 or (clusters and not np.array_equal(clusters[0], clusters[1])):
        raise DataError("compare: the clusters differ; give the same ones to both evaluations")
    if a.confidence != b.confidence:
        raise DataError(
            f"compare: the confidence is {a.confidence} and {b.confidence}; use the same for both"
        )


def _difference(images: Floats, drawn: Floats, confidence: float) -> Difference:
    """Return a mean difference with its percentile interval and the p-value that fits it.

    NaN where the bootstrap has no spread and the difference is not 0.
    """
    if np.ptp(drawn) <= 1e-12 * np.abs(drawn).max() and images.any():
        # All pairs of a class differ by the same, as two images may: nothing is known of others.
        nothing = float("nan")
        return Difference(float(images.mean()), nothing, nothing, len(images), nothing)
    tail = upper_tail(confidence)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    rarer = min(np.sum(drawn <= 0), np.sum(drawn >= 0))
    p_value = min(1.0, 2 * (float(rarer) + 1) / (len(drawn) + 1))
    return Difference(float(images.mean()), float(low), float(high), len(images), p_value)


def _lines(comparison: Comparison) -> Iterator[str]:
    one = comparison
    level = f"{one.confidence * 100:g} %"
    yield f"first minus second, n = {one.n}, {level} intervals"
    for name, figure, better in (
        ("accuracy", one.accuracy, "higher"),
        ("AUROC", one.auroc, "higher"),
        ("log loss", one.log_loss, "lower"),
        ("Brier score", one.brier, "lower"),
    ):
        yield f"  {name:<12} {figure:+.4f}  p {p_text(figure.p_value)}  ({better} is better)"
    test = one.mcnemar
    yield (
        f"  right only by the first: {test.n_only_a}, only by the second: {test.n_only_b}; "
        f"McNemar p {p_text(test.p_value)}"
    )
