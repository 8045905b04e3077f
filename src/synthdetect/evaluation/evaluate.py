"""One `Evaluation`: every figure of probabilities and decisions, with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.data.dataset import each_its_own, labels_to_y
from synthdetect.ensemble.checks import Floats, Labels, check_vector
from synthdetect.errors import DataError
from synthdetect.evaluation.calibration import (
    brier_parts,
    calibration_errors,
    reliability,
)
from synthdetect.evaluation.curves import area_estimates, tpr_at_fpr
from synthdetect.evaluation.decisions import (
    decision_figures,
    predictive_values,
)
from synthdetect.evaluation.figures import CalibrationFigures, Evaluation, RankingFigures
from synthdetect.evaluation.files import writable
from synthdetect.evaluation.groups import group_figures
from synthdetect.evaluation.interval import Clusters
from synthdetect.evaluation.metrics import (
    brier,
    check_probability,
    expected_calibration_error,
    log_loss,
)
from synthdetect.evaluation.ranking import auroc
from synthdetect.evaluation.resample import replicate_counts

MAX_FPR = 0.1
FPR_LIMITS = (0.01, 0.005, 0.001)
PREVALENCES = (0.5, 0.1, 0.01, 0.001)


def evaluate(
    y: ArrayLike,
    p: ArrayLike,
    threshold: float,
    *,
    groups: Mapping[str, ArrayLike] | ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    prevalence: float | None = None,
    confidence: float = 0.95,
    note: str = "",
    drop_nan: bool = False,
    seed: int = 0,
    n_bootstrap: int = 1000,
) -> Evaluation:
    """Measure probabilities and the decisions at a threshold.

    Parameters
    ----------
    y : array-like of shape (n,)
        `real`/`synthetic` or 0/1 with 1 = synthetic. With one class only, what needs the other is
        NaN.
    p : array-like of shape (n,), float
        P(synthetic), 0 to 1.
    threshold : float
        An image with p >= threshold is called synthetic.
    groups : mapping of str to array-like of shape (n,), or one array-like, optional
        Group of each image, by the name of the grouping: `{"source": [...], "gender": [...]}`.
        Images of no group, None or "", are left out of it.
    cluster : array-like of shape (n,), optional
        Images that go together, such as those of one person: intervals allow for it. Images of
        no cluster, None or "", are each their own.
    prevalence : float, optional
        Share of synthetic images where the detector will be used, 0 to 1.
    confidence : float, default=0.95
        Between 0 and 1.
    note : str
        What the images are. Say so if the threshold was chosen on them.
    drop_nan : bool, default=False
        Leave out images whose `p` is NaN, those that could not be read, and say so in the note.
    seed : int
        The same seed gives the same intervals.
    n_bootstrap : int
        Replicates, at least 2.

    Returns
    -------
    evaluation : Evaluation

    Raises
    ------
    DataError
        If the arrays do not fit, a label is unknown, or a probability is not in 0..1.
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(400) % 2
    >>> p = np.clip(0.3 + 0.4 * y + rng.normal(0, 0.2, 400), 0, 1)
    >>> evaluation = evaluate(y, p, 0.5)
    >>> f"{evaluation.accuracy:.1%}"
    '84.5% [80.6%, 87.9%]'
    """
    if n_bootstrap < 2:
        raise ValueError(f"n_bootstrap is {n_bootstrap}; use 2 or more")
    if not isinstance(threshold, int | float | np.number) or np.isnan(threshold):
        raise ValueError(
            f"threshold is {threshold!r}; use a number; p at or above it is called synthetic"
        )
    labels = labels_to_y(y)
    scores = check_vector("p", p)
    named = _groupings(groups, len(labels))
    clusters = None if cluster is None else _codes("cluster", cluster, len(labels))
    if drop_nan and len(scores) == len(labels):
        read = ~np.isnan(scores)
        labels, scores = labels[read], scores[read]
        named = {name: group[read] for name, group in named.items()}
        clusters = None if clusters is None else clusters[read]
        note = _with_unread(note, int(np.sum(~read)))
    labels, scores = check_probability(labels, scores)
    drawing = _Drawing(labels, clusters, n_bootstrap, seed, confidence)
    decided = decision_figures(labels, scores >= threshold, confidence, clusters)
    shares = {*PREVALENCES, *([] if prevalence is None else [prevalence])}
    return Evaluation(
        **vars(decided),
        **vars(_ranking(labels, scores, drawing)),
        **vars(_calibration(labels, scores, drawing)),
        y=labels,
        p=scores,
        threshold=float(threshold),
        cluster=clusters,
        confidence=confidence,
        predictive_values=tuple(
            predictive_values(decided.synthetic.recall, decided.false_positive_rate, share)
            for share in sorted(shares, reverse=True)
        ),
        groupings=group_figures(
            labels,
            scores >= threshold,
            named,
            rng=drawing.rng(4),
            confidence=confidence,
            cluster=clusters,
        ),
        note=writable(note),
    )


@dataclass(frozen=True)
class _Drawing:
    """What the intervals of one evaluation have in common."""

    y: Labels
    cluster: Clusters | None
    n_bootstrap: int
    seed: int
    confidence: float

    def rng(self, purpose: int) -> np.random.Generator:
        """One generator for each purpose, so that one more figure does not move the others."""
        return np.random.default_rng([self.seed, purpose])

    def counts(self, purpose: int) -> Any:
        return replicate_counts(self.y, self.cluster, self.n_bootstrap, self.rng(purpose))


def _ranking(y: Labels, p: Floats, drawing: _Drawing) -> RankingFigures:
    confidence, cluster = drawing.confidence, drawing.cluster
    area = auroc(y, p, confidence, cluster=cluster)
    if np.isnan(area.value):
        return RankingFigures(
            auroc=area,
            average_precision=area,
            partial_auroc=area,
            tpr_at_fpr=dict.fromkeys(FPR_LIMITS, area),
        )
    precision, partial = area_estimates(
        y, p, drawing.counts(1), max_fpr=MAX_FPR, confidence=confidence, cluster=cluster
    )
    return RankingFigures(
        auroc=area,
        average_precision=precision,
        partial_auroc=partial,
        tpr_at_fpr={limit: tpr_at_fpr(y, p, limit, confidence, cluster) for limit in FPR_LIMITS},
    )


def _calibration(y: Labels, p: Floats, drawing: _Drawing) -> CalibrationFigures:
    confidence, cluster = drawing.confidence, drawing.cluster
    expected, maximum = calibration_errors(
        y, p, rng=drawing.rng(2), confidence=confidence, cluster=cluster
    )
    return CalibrationFigures(
        log_loss=log_loss(y, p, confidence, cluster=cluster),
        brier=brier(y, p, confidence, cluster=cluster),
        brier_parts=brier_parts(y, p),
        expected_calibration_error=expected,
        maximum_calibration_error=maximum,
        plain_expected_calibration_error=expected_calibration_error(y, p),
        reliability=reliability(y, p, rng=drawing.rng(3), confidence=confidence, cluster=cluster),
    )


def _with_unread(note: str, n: int) -> str:
    unread = f"{n} image(s) could not be read and are left out." if n else ""
    return " ".join(filter(None, (note, unread)))


def _groupings(
    groups: Mapping[str, ArrayLike] | ArrayLike | None, n: int
) -> dict[str, NDArray[np.str_]]:
    """Return groups by the text of their names."""
    if groups is None:
        return {}
    named = groups if isinstance(groups, Mapping) else {"group": groups}
    return {
        writable(str(name)): _texts(f"groups[{str(name)!r}]", value, n)
        for name, value in named.items()
    }


def _codes(name: str, values: ArrayLike, n: int) -> Clusters:
    """Return clusters as numbers; images of none are each their own."""
    names = each_its_own(_texts(name, values, n))
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _texts(name: str, values: ArrayLike, n: int) -> NDArray[np.str_]:
    flat = np.asarray(values, dtype=object).ravel()
    texts = np.array(["" if v is None else writable(str(v)) for v in flat], dtype=str)
    if len(texts) != n:
        raise DataError(f"{name} has {len(texts)} rows, y has {n}; give one for each image")
    return texts
