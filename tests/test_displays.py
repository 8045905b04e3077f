"""Pictures are scikit-learn's displays, or work like them, and need no global state."""

import numpy as np
import pytest
from scipy.special import expit

pytest.importorskip("matplotlib", reason="needs the plots extra")

from matplotlib.figure import Figure
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    DetCurveDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
)

from synthdetect.evaluation.displays import ScoreDisplay, ThresholdDisplay, roc_curves
from synthdetect.evaluation.evaluate import evaluate

KINDS = {
    "plot_roc": RocCurveDisplay,
    "plot_precision_recall": PrecisionRecallDisplay,
    "plot_det": DetCurveDisplay,
    "plot_reliability": CalibrationDisplay,
    "plot_confusion": ConfusionMatrixDisplay,
    "plot_threshold": ThresholdDisplay,
    "plot_scores": ScoreDisplay,
}


@pytest.fixture(scope="module")
def evaluation():
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    return evaluate(y, expit(2 * (2 * y - 1) + rng.normal(0, 2, 300)), 0.4)


@pytest.mark.parametrize(("method", "kind"), KINDS.items())
def test_each_picture_is_drawn_on_the_axes_that_are_given(evaluation, method, kind):
    ax = Figure().subplots()
    display = getattr(evaluation, method)(ax)
    assert isinstance(display, kind)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@pytest.mark.parametrize("method", ["plot_roc", "plot_scores"])
def test_without_axes_a_new_figure_is_made(evaluation, method, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    display = getattr(evaluation, method)()
    assert plt.fignum_exists(display.figure_.number)
    plt.close(display.figure_)


def test_rates_at_the_threshold_are_those_of_the_evaluation(evaluation):
    display = evaluation.plot_threshold(Figure().subplots())
    place = np.argmin(np.abs(display.thresholds - evaluation.threshold))
    assert display.false_positive_rate[place] == pytest.approx(evaluation.false_positive_rate.value)
    assert display.false_negative_rate[place] == pytest.approx(evaluation.false_negative_rate.value)
    assert display.cost[place] == pytest.approx(evaluation.error.value)


def test_dearer_false_alarms_move_the_cheapest_threshold_right(evaluation):
    even, dear = (
        evaluation.plot_threshold(Figure().subplots(), false_positive_cost=cost) for cost in (1, 20)
    )
    cheapest = [one.thresholds[np.argmin(one.cost)] for one in (even, dear)]
    assert cheapest[0] < cheapest[1]


@pytest.mark.parametrize("options", [{"false_positive_cost": -1}, {"prevalence": 2}])
def test_impossible_costs_are_refused(evaluation, options):
    with pytest.raises(ValueError, match="use costs of at least 0 and a share of"):
        evaluation.plot_threshold(Figure().subplots(), **options)


def test_every_image_is_in_the_histogram(evaluation):
    display = evaluation.plot_scores(Figure().subplots())
    assert display.n_real.sum() == display.n_synthetic.sum() == 150


def test_curves_of_many_share_axes_and_are_told_apart_without_colour(evaluation):
    ax = Figure().subplots()
    drawn = roc_curves({f"member {i}": evaluation for i in range(4)}, ax)
    assert drawn is ax
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [name.split(" (")[0] for name in names[:4]] == [f"member {i}" for i in range(4)]
    assert len({line.get_linestyle() for line in ax.get_lines()[:4]}) == 4
    # And the diagonal of chance, once.
    assert len(ax.get_lines()) == 5
