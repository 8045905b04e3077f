"""One `Evaluation`: every figure of probabilities and decisions, with its interval."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.data.dataset import labels_to_y
from synthdetect.ensemble.checks import Floats, Labels, check_vector
from synthdetect.errors import DataError
from synthdetect.evaluation import displays
from synthdetect.evaluation.calibration import (
    BrierParts,
    Reliability,
    brier_parts,
    calibration_errors,
    reliability,
)
from synthdetect.evaluation.curves import area_estimates, tpr_at_fpr
from synthdetect.evaluation.decisions import (
    DecisionFigures,
    PredictiveValues,
    decision_figures,
    predictive_values,
)
from synthdetect.evaluation.files import writable, write_whole
from synthdetect.evaluation.groups import Grouping, group_figures
from synthdetect.evaluation.interval import Clusters, Estimate, json_ready
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


@dataclass(frozen=True, kw_only=True)
class RankingFigures:
    """What no threshold changes.

    Parameters
    ----------
    auroc : Estimate
        With DeLong's interval.
    average_precision : Estimate
    partial_auroc : Estimate
        Over false positive rates of at most 10 %, as McClish standardises it: 0.5 is chance.
    tpr_at_fpr : mapping of float to Estimate
        True positive rate at false positive rates of 1 %, 0.5 % and 0.1 %.
    """

    auroc: Estimate
    average_precision: Estimate
    partial_auroc: Estimate
    tpr_at_fpr: Mapping[float, Estimate]


@dataclass(frozen=True, kw_only=True)
class CalibrationFigures:
    """Whether probabilities mean what they say.

    Parameters
    ----------
    log_loss, brier : Estimate
    brier_parts : BrierParts
    expected_calibration_error, maximum_calibration_error : Estimate
        Corrected for noise; see `synthdetect.evaluation.calibration`.
    plain_expected_calibration_error : float
        The usual one over 15 bins of equal numbers of images, biased upwards.
    reliability : Reliability
    """

    log_loss: Estimate
    brier: Estimate
    brier_parts: BrierParts
    expected_calibration_error: Estimate
    maximum_calibration_error: Estimate
    plain_expected_calibration_error: float
    reliability: Reliability


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation(DecisionFigures, RankingFigures, CalibrationFigures):
    """Every figure of a detector on labelled images, as `evaluate` makes it.

    `print(evaluation)` is the report; each figure is an attribute with `value`, `low`, `high` and
    `n`. The figures themselves are described with `DecisionFigures`, `RankingFigures` and
    `CalibrationFigures`.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        1 = synthetic.
    p : ndarray of shape (n,), float64
        P(synthetic).
    threshold : float
        An image with p >= threshold was called synthetic.
    cluster : ndarray of shape (n,), int64, or None
        Number of the cluster that an image belongs to.
    confidence : float
        Of every interval.
    predictive_values : tuple of PredictiveValues
        At 50 %, 10 %, 1 % and 0.1 %, and at the prevalence that was asked for; falling.
    groupings : mapping of str to Grouping
    note : str
        What the images are, and what was chosen on them.
    """

    y: Labels = field(repr=False)
    p: Floats = field(repr=False)
    threshold: float
    cluster: Clusters | None = field(repr=False)
    confidence: float
    predictive_values: tuple[PredictiveValues, ...]
    groupings: Mapping[str, Grouping]
    note: str

    @property
    def n(self) -> int:
        """Images."""
        return len(self.y)

    @property
    def called(self) -> NDArray[np.bool_]:
        """Whether each image was called synthetic."""
        return self.p >= self.threshold

    def at_prevalence(self, prevalence: float) -> PredictiveValues:
        """Return how often decisions are right where this share of the images is synthetic.

        Raises
        ------
        ValueError
            If the prevalence is not in 0..1.
        """
        return predictive_values(self.synthetic.recall, self.false_positive_rate, prevalence)

    def __str__(self) -> str:
        from synthdetect.evaluation.text import as_text

        return as_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Return every figure as JSON takes it, NaN as None; not the rows of the images."""
        whole: dict[str, Any] = {"n": self.n, **asdict(self)}
        for rows in ("y", "p", "cluster"):
            del whole[rows]
        whole["tpr_at_fpr"] = {str(limit): one for limit, one in whole["tpr_at_fpr"].items()}
        return dict(json_ready(whole))

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return `to_dict` as JSON, and write it where a path is given."""
        import json

        text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        return write_whole(path, text)

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the report as Markdown tables, and write it where a path is given."""
        from synthdetect.evaluation.text import as_markdown

        return write_whole(path, as_markdown(self))

    def to_html(self, path: str | os.PathLike[str] | None = None, *, title: str = "") -> str:
        """Return the report as one HTML page with its pictures inside, and write it.

        Parameters
        ----------
        path : path-like, optional
            Replaced as a whole, or not at all.
        title : str
            Of the page; by default it says what was measured.

        Returns
        -------
        html : str

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        from synthdetect.evaluation.html import as_html

        return write_whole(path, as_html(self, title=writable(title)))

    def plot_roc(self, ax: Any = None) -> Any:
        """Return scikit-learn's RocCurveDisplay, drawn on `ax` or a new figure."""
        return displays.roc(self, ax)

    def plot_precision_recall(self, ax: Any = None) -> Any:
        """Return scikit-learn's PrecisionRecallDisplay."""
        return displays.precision_recall(self, ax)

    def plot_det(self, ax: Any = None) -> Any:
        """Return scikit-learn's DetCurveDisplay."""
        return displays.det(self, ax)

    def plot_reliability(self, ax: Any = None) -> Any:
        """Return scikit-learn's CalibrationDisplay, with consistency bands."""
        return displays.reliability(self, ax)

    def plot_confusion(self, ax: Any = None) -> Any:
        """Return scikit-learn's ConfusionMatrixDisplay."""
        return displays.confusion(self, ax)

    def plot_threshold(
        self,
        ax: Any = None,
        *,
        false_positive_cost: float = 1.0,
        false_negative_cost: float = 1.0,
        prevalence: float | None = None,
    ) -> displays.ThresholdDisplay:
        """Return error rates and expected cost an image against the threshold.

        Parameters
        ----------
        ax : Axes, optional
        false_positive_cost, false_negative_cost : float
            At least 0, in any one unit.
        prevalence : float, optional
            Share of synthetic images where the threshold will be used; by default, that of `y`.
        """
        costs = (false_positive_cost, false_negative_cost)
        return displays.threshold(self, costs, prevalence).plot(ax)

    def plot_scores(self, ax: Any = None) -> displays.ScoreDisplay:
        """Return a histogram of the probabilities by class."""
        return displays.scores(self).plot(ax)


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
        Images of the empty group, "", are left out of it.
    cluster : array-like of shape (n,), optional
        Images that go together, such as those of one person: intervals allow for it.
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
    if np.isnan(threshold):
        raise ValueError("threshold is NaN; use a number; p at or above it is called synthetic")
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
    return np.unique(_texts(name, values, n), return_inverse=True)[1].astype(np.int64)


def _texts(name: str, values: ArrayLike, n: int) -> NDArray[np.str_]:
    flat = np.asarray(values, dtype=object).ravel()
    texts = np.array([writable(str(value)) for value in flat], dtype=str)
    if len(texts) != n:
        raise DataError(f"{name} has {len(texts)} rows, y has {n}; give one for each image")
    return texts
