"""What an evaluation holds, and how it is shown."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.checks import Floats, Labels
from synthdetect.evaluation import displays
from synthdetect.evaluation.calibration import (
    BrierParts,
    Reliability,
)
from synthdetect.evaluation.decisions import (
    DecisionFigures,
    PredictiveValues,
    predictive_values,
)
from synthdetect.evaluation.files import writable, write_whole
from synthdetect.evaluation.groups import Grouping
from synthdetect.evaluation.interval import Clusters, Estimate, json_ready


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
