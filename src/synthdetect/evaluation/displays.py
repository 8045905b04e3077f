"""Pictures of an `Evaluation`: scikit-learn's displays, and two of ours that work like them."""

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from synthdetect.ensemble.checks import Floats
from synthdetect.optional import require

if TYPE_CHECKING:
    from synthdetect.evaluation.figures import Evaluation

REAL, SYNTHETIC, NEUTRAL = "#1f6fb2", "#c2410c", "#4b5563"
_N_THRESHOLDS, _N_BINS = 501, 40
_DASHES = ("-", "--", "-.", ":")


@dataclass
class ThresholdDisplay:
    """Error rates and expected cost against the threshold.

    Parameters
    ----------
    thresholds, false_positive_rate, false_negative_rate, cost : ndarray of shape (thresholds,)
        `cost` is what an image costs on average.
    chosen : float
        The threshold of the evaluation.

    Attributes
    ----------
    ax_, figure_
        Of `plot`.
    """

    thresholds: Floats
    false_positive_rate: Floats
    false_negative_rate: Floats
    cost: Floats
    chosen: float
    ax_: Any = field(default=None, repr=False)
    figure_: Any = field(default=None, repr=False)

    def plot(self, ax: Any = None) -> "ThresholdDisplay":
        """Draw on `ax` or a new figure; return self."""
        ax = _axes(ax)
        for values, label, colour, line in (
            (self.false_positive_rate, "photographs flagged (FPR)", REAL, "-"),
            (self.false_negative_rate, "synthetic images missed (FNR)", SYNTHETIC, "--"),
            (self.cost, "expected cost an image", NEUTRAL, ":"),
        ):
            ax.plot(self.thresholds, values, line, color=colour, label=label)
        ax.axvline(self.chosen, color="black", linewidth=0.8, label=f"threshold {self.chosen:.3f}")
        ax.set(xlabel="threshold on P(synthetic)", ylabel="rate, or cost", xlim=(0, 1))
        ax.set_ylim(bottom=0)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


@dataclass
class ScoreDisplay:
    """Histogram of the probabilities by class, counts on a logarithmic axis.

    Parameters
    ----------
    edges : ndarray of shape (bins + 1,)
    n_real, n_synthetic : ndarray of shape (bins,)
    chosen : float
        The threshold of the evaluation.

    Attributes
    ----------
    ax_, figure_
        Of `plot`.
    """

    edges: Floats
    n_real: Floats
    n_synthetic: Floats
    chosen: float
    ax_: Any = field(default=None, repr=False)
    figure_: Any = field(default=None, repr=False)

    def plot(self, ax: Any = None) -> "ScoreDisplay":
        """Draw on `ax` or a new figure; return self."""
        ax = _axes(ax)
        for counts, label, colour, hatch in (
            (self.n_real, "real", REAL, ""),
            (self.n_synthetic, "synthetic", SYNTHETIC, "///"),
        ):
            # The bottom is below 1, since a logarithmic axis would hide bins of one image.
            ax.stairs(
                counts, self.edges, baseline=0.5, fill=True, alpha=0.35, color=colour, hatch=hatch
            )
            ax.stairs(np.maximum(counts, 0.5), self.edges, baseline=0.5, color=colour, label=label)
        ax.axvline(self.chosen, color="black", linewidth=0.8, label=f"threshold {self.chosen:.3f}")
        ax.set(xlabel="P(synthetic)", ylabel="images (logarithmic)", yscale="log", xlim=(0, 1))
        ax.set_ylim(bottom=0.5)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def threshold(
    evaluation: "Evaluation", costs: tuple[float, float], prevalence: float | None
) -> ThresholdDisplay:
    """Measure error rates and cost at many thresholds.

    Parameters
    ----------
    evaluation : Evaluation
    costs : (float, float)
        Of a false positive and of a false negative.
    prevalence : float or None
        Share of synthetic images in use; None is that of the data.

    Raises
    ------
    ValueError
        If a cost is below 0 or the prevalence not in 0..1.
    """
    share = float(np.mean(evaluation.y)) if prevalence is None else prevalence
    if min(costs) < 0 or not 0 <= share <= 1:
        raise ValueError(
            f"costs are {costs}, prevalence is {share}; use costs of at least 0 and a share of 0..1"
        )
    at = np.linspace(0, 1, _N_THRESHOLDS)
    real, synthetic = (np.sort(evaluation.p[evaluation.y == label]) for label in (0, 1))
    nothing = np.full(len(at), np.nan)
    flagged = 1 - np.searchsorted(real, at) / len(real) if len(real) else nothing
    missed = np.searchsorted(synthetic, at) / len(synthetic) if len(synthetic) else nothing
    cost = (1 - share) * costs[0] * flagged + share * costs[1] * missed
    return ThresholdDisplay(at, flagged, missed, cost, evaluation.threshold)


def scores(evaluation: "Evaluation") -> ScoreDisplay:
    """Count images by their probability."""
    edges = np.linspace(0, 1, _N_BINS + 1)
    real, synthetic = (
        np.histogram(evaluation.p[evaluation.y == label], edges)[0].astype(np.float64)
        for label in (0, 1)
    )
    return ScoreDisplay(edges, real, synthetic, evaluation.threshold)


def roc(evaluation: "Evaluation", ax: Any = None) -> Any:
    """Draw scikit-learn's RocCurveDisplay with the chosen threshold as a point."""
    from sklearn.metrics import RocCurveDisplay

    display = RocCurveDisplay.from_predictions(
        evaluation.y, evaluation.p, ax=_axes(ax), plot_chance_level=True
    )
    one = evaluation
    point = one.false_positive_rate.value, one.synthetic.recall.value
    display.ax_.plot(*point, "o", color="black", label=f"threshold {one.threshold:.3f}")
    display.ax_.legend()
    return display


def roc_curves(evaluations: Mapping[str, "Evaluation"], ax: Any = None) -> Any:
    """Draw the ROC curves of several detectors, by name, on one pair of axes; return these."""
    from sklearn.metrics import RocCurveDisplay

    ax = _axes(ax)
    for i, (name, one) in enumerate(evaluations.items()):
        # Colours run out after ten; another dash tells the rest apart, and helps in grey too.
        RocCurveDisplay.from_predictions(
            one.y,
            one.p,
            ax=ax,
            name=name,
            plot_chance_level=i == len(evaluations) - 1,
            curve_kwargs={"linestyle": _DASHES[i % len(_DASHES)]},
        )
    ax.legend(fontsize="x-small", loc="lower right")
    return ax


def precision_recall(evaluation: "Evaluation", ax: Any = None) -> Any:
    """Draw scikit-learn's PrecisionRecallDisplay."""
    from sklearn.metrics import PrecisionRecallDisplay

    return PrecisionRecallDisplay.from_predictions(
        evaluation.y, evaluation.p, ax=_axes(ax), plot_chance_level=True
    )


def det(evaluation: "Evaluation", ax: Any = None) -> Any:
    """Draw scikit-learn's DetCurveDisplay."""
    from sklearn.metrics import DetCurveDisplay

    return DetCurveDisplay.from_predictions(evaluation.y, evaluation.p, ax=_axes(ax))


def reliability(evaluation: "Evaluation", ax: Any = None) -> Any:
    """Draw scikit-learn's CalibrationDisplay, with consistency bands."""
    from sklearn.calibration import CalibrationDisplay

    curve, ax = evaluation.reliability, _axes(ax)
    ax.fill_between(
        curve.p,
        curve.low,
        curve.high,
        color=NEUTRAL,
        alpha=0.25,
        linewidth=0,
        label=f"{evaluation.confidence * 100:g} % band if calibrated",
    )
    display = CalibrationDisplay(curve.share, curve.p, evaluation.p).plot(ax=ax)
    display.ax_.set(xlabel="mean P(synthetic) of a bin", ylabel="share that is synthetic")
    display.ax_.legend()
    return display


def confusion(evaluation: "Evaluation", ax: Any = None) -> Any:
    """Draw scikit-learn's ConfusionMatrixDisplay."""
    from sklearn.metrics import ConfusionMatrixDisplay

    display = ConfusionMatrixDisplay(
        np.array(evaluation.confusion), display_labels=["real", "synthetic"]
    )
    display.plot(ax=_axes(ax), cmap="Blues", colorbar=False, values_format="d")
    display.ax_.set(xlabel="decided", ylabel="true")
    return display


def _axes(ax: Any) -> Any:
    """Return `ax`, or that of a new figure of pyplot, as scikit-learn's displays do."""
    if ax is not None:
        return ax
    return require("matplotlib.pyplot", extra="plots").subplots()[1]


def drawn(draw: Callable[[Any], Any]) -> str:
    """Return what `draw` draws on matplotlib Axes as a PNG that a page can hold, a data URI.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    # A figure without pyplot: no global state, no window, nothing to close.
    require("matplotlib", extra="plots")
    figure = require("matplotlib.figure", extra="plots").Figure((5.6, 4.2), layout="constrained")
    draw(figure.subplots())
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
