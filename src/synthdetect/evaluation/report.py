"""Figures of an ensemble, its members, each source and each pair of sources, as plain values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.evaluation.metrics import by_group, figures
from synthdetect.evaluation.ranking import auroc_difference


def measure(
    y: NDArray[np.int64],
    probabilities: Mapping[str, NDArray[np.float64]],
    thresholds: Mapping[str, float],
    *,
    split: str,
    source: NDArray[np.str_],
    pairs: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Measure an ensemble and its members on the same images.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    probabilities : mapping of str to ndarray of shape (n,), float64
        P(synthetic) by `"ensemble"` and by each member's name.
    thresholds : mapping of str to float
        For the same names.
    split : str
        What the images are, for example `"test"`.
    source : ndarray of shape (n,), str
        Where each image comes from; empty strings where unknown.
    pairs : sequence of (str, str)
        A real and a synthetic source that share crop, size and history; each pair is measured
        alone, and several together too.

    Returns
    -------
    report : dict
        JSON-ready; every figure with n and its 95 % interval.

    Raises
    ------
    DataError
        As `synthdetect.evaluation.metrics.figures`.
    """
    p, threshold = probabilities["ensemble"], thresholds["ensemble"]
    rows = {" / ".join(pair): np.isin(source, pair) for pair in pairs}
    if len(pairs) > 1:
        rows["all pairs"] = np.isin(source, [name for pair in pairs for name in pair])
    members = [name for name in probabilities if name != "ensemble"]
    report: dict[str, Any] = {
        "split": split,
        "n": len(y),
        "ensemble": figures(y, p, threshold).to_dict(),
        "members": {
            name: figures(y, probabilities[name], thresholds[name]).to_dict() for name in members
        },
        "accuracy_by_source": {
            name: rate.to_dict() for name, rate in by_group(y, p, threshold, source).items() if name
        },
        "pairs": {
            pair: {
                name: _short(y, probabilities[name], thresholds[name], chosen)
                for name in probabilities
            }
            for pair, chosen in rows.items()
        },
    }
    if members:
        best = max(members, key=lambda name: report["members"][name]["auroc"]["value"] or 0.0)
        gain = auroc_difference(y, p, probabilities[best])
        report["auroc_gain_over_best_member"] = {"best_member": best, **gain.to_dict()}
    return report


def as_lines(report: Mapping[str, Any]) -> list[str]:
    """Render what `measure` returns as lines of text.

    Parameters
    ----------
    report : mapping
        Of `measure`.

    Returns
    -------
    lines : list of str
    """
    if not report:
        return ["not measured"]
    lines = [f"on {report['split']}, n = {report['n']}, with 95 % intervals:"]
    if "note" in report:
        lines.append(f"  ({report['note']})")
    rows = {"ensemble": report["ensemble"], **report["members"]}
    lines.extend(
        f"  {name:<14} accuracy {_text(row['accuracy'])}  AUROC {_text(row['auroc'], digits=4)}"
        for name, row in rows.items()
    )
    for pair, values in report["pairs"].items():
        row = values["ensemble"]
        lines.append(
            f"  {pair} (n = {row['accuracy']['n']}): accuracy {_text(row['accuracy'])}  "
            f"AUROC {_text(row['auroc'], digits=4)}"
        )
    return lines


def _short(
    y: NDArray[np.int64], p: NDArray[np.float64], threshold: float, rows: NDArray[np.bool_]
) -> dict[str, Any]:
    whole = figures(y[rows], p[rows], threshold).to_dict()
    return {
        key: whole[key]
        for key in ("accuracy", "false_positive_rate", "false_negative_rate", "auroc")
    }


def _text(figure: Mapping[str, Any], *, digits: int = 3) -> str:
    if figure["value"] is None:
        return "undefined"
    value, low, high = (f"{figure[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
