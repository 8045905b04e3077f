"""What `synthdetect calibrate` prints: rates before and after, what errors cost, what to know."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from synthdetect.ensemble.costs import Costs
    from synthdetect.ensemble.threshold import AnyThreshold
    from synthdetect.evaluation.interval import Rate


@dataclass(frozen=True)
class Side:
    """A threshold, and the probabilities that it decides on.

    Parameters
    ----------
    threshold : Threshold or BandThreshold
    p : ndarray of shape (n,), float64
        P(synthetic) of the labelled images.
    """

    threshold: "AnyThreshold"
    p: "NDArray[np.float64]"


def report(
    y: "NDArray[np.int64]", before: Side, after: Side, *, policy: object, on: str
) -> list[str]:
    """Return the lines of the report.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        1 = synthetic, 0 = real.
    before, after : Side
    policy : Policy
        What chose the threshold of `after`.
    on : str
        What the images are.

    Returns
    -------
    lines : list of str
    """
    n_synthetic = int(y.sum())
    lines = [
        f"on {on}: n = {len(y)} ({len(y) - n_synthetic} real, {n_synthetic} synthetic), "
        "95 % intervals",
        f"{'':4}{'threshold':>16}  {'false-positive rate':<27}{'false-negative rate':<27}uncertain",
    ]
    lines += [_row(name, y, side) for name, side in (("old", before), ("new", after))]
    lines.append(f"new threshold by {after.threshold.policy}")
    lines.append(_base_rate(y, after, getattr(policy, "prevalence", None)))
    costs = ("false_positive", "false_negative", "prevalence")
    if after.threshold.value == _low(after) and all(hasattr(policy, name) for name in costs):
        lines += _costs(y, after, policy)  # type: ignore[arg-type]
    lines += [f"note: {note}" for note in after.threshold.notes]
    note = "old and new rates are measured on the same images"
    if not after.threshold.policy.startswith("Fixed"):
        note += ", which also chose the new threshold: expect its rates to be worse on others"
    return [*lines, note]


def _row(name: str, y: "NDArray[np.int64]", side: Side) -> str:
    low, high = _low(side), side.threshold.value
    cut = f"{high:.4f}" if low == high else f"{low:.4f} to {high:.4f}"
    rates = (_rate(y, side, 0, "synthetic"), _rate(y, side, 1, "real"))
    undecided = ""
    if low != high:
        undecided = " and ".join(
            f"{_rate(y, side, label, 'uncertain').value:.3f} of {of}"
            for label, of in enumerate(("real", "synthetic"))
        )
    return f"{name:4}{cut:>16}  {rates[0]!s:<27}{rates[1]!s:<27}{undecided or 'none'}"


def _base_rate(y: "NDArray[np.int64]", side: Side, stated: float | None) -> str:
    """Say how often an alarm is right where synthetic images are as rare as stated."""
    from synthdetect.evaluation.decisions import predictive_values

    if not (side.p >= side.threshold.value).any():
        return "none of these images is called synthetic"
    prevalence = float(y.mean()) if stated is None else stated
    precision = predictive_values(
        _rate(y, side, 1, "synthetic"), _rate(y, side, 0, "synthetic"), prevalence
    ).synthetic
    where = f"{100 * prevalence:.3g} % of the images are synthetic"
    if stated is None:
        where += ", as here"
    return f"where {where}, {precision} of those called synthetic are"


def _costs(y: "NDArray[np.int64]", side: Side, costs: "Costs") -> Iterator[str]:
    from synthdetect.ensemble.costs import cost_curve, spread_thresholds

    chosen = side.threshold.value
    thresholds = sorted({*spread_thresholds(side.p).tolist(), chosen})
    yield "expected of 1,000 images, at this and other thresholds:"
    yield f"{'threshold':>12}{'false positives':>17}{'false negatives':>17}{'cost':>12}"
    for at in cost_curve(y, side.p, costs, thresholds):
        yield (
            f"{at.threshold:>12.4f}{at.false_positives:>17.1f}{at.false_negatives:>17.1f}"
            f"{at.cost:>12.1f}{'  <- chosen' if at.threshold == chosen else ''}"
        )


def _rate(y: "NDArray[np.int64]", side: Side, label: int, decided: str) -> "Rate":
    """Return how many images of a class are decided in a way."""
    from synthdetect.evaluation.interval import rate

    decisions = side.threshold.decide(side.p[y == label])
    return rate(int((decisions == decided).sum()), len(decisions))


def _low(side: Side) -> float:
    return getattr(side.threshold, "low", side.threshold.value)
