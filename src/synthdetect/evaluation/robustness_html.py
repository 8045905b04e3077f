"""A stress test as one HTML page: tables, and a curve of each family of perturbations."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from synthdetect.evaluation.displays import REAL, SYNTHETIC
from synthdetect.evaluation.interval import Rate
from synthdetect.evaluation.page import gallery, opening, page, picture, titled
from synthdetect.evaluation.robustness import Perturbed, Robustness
from synthdetect.evaluation.robustness_text import heading, tables

_FEWEST_LEVELS = 3


def as_html(robustness: Robustness, *, title: str = "Stress test") -> str:
    """Return a stress test as one HTML page.

    Parameters
    ----------
    robustness : Robustness
    title : str

    Returns
    -------
    html : str

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    notes = [robustness.note] if robustness.note else []
    parts = [
        *opening(title, heading(robustness), notes),
        *titled(tables(robustness)),
        *gallery("Curves", _pictures(robustness)),
    ]
    return page(title, parts)


def families(robustness: Robustness) -> dict[str, list[Perturbed]]:
    """Return the families with enough levels for a curve, rows by rising level."""
    found: dict[str, list[Perturbed]] = {}
    for row in robustness.rows:
        if row.level is not None and row.n_real and row.n_synthetic:
            found.setdefault(row.family, []).append(row)
    return {
        name: sorted(rows, key=lambda row: row.level or 0.0)
        for name, rows in found.items()
        if len(rows) >= _FEWEST_LEVELS
    }


def draw_family(rows: Sequence[Perturbed], untouched: Perturbed, ax: Any) -> Any:
    """Draw the rates of one family against its level.

    Parameters
    ----------
    rows : sequence of Perturbed
        Of one family, by rising level, each with both classes.
    untouched : Perturbed
        Drawn as dashed lines.
    ax : matplotlib Axes

    Returns
    -------
    ax : matplotlib Axes
    """
    for name, label, colour, mark in (
        ("true_positive_rate", "synthetic found (TPR)", SYNTHETIC, "s"),
        ("false_positive_rate", "real flagged (FPR)", REAL, "o"),
    ):
        rates: list[Rate] = [getattr(row, name) for row in rows]
        values = np.array([rate.value for rate in rates])
        ends = [
            [rate.value - rate.low for rate in rates],
            [rate.high - rate.value for rate in rates],
        ]
        levels = [row.level for row in rows]
        ax.errorbar(levels, values, ends, color=colour, marker=mark, capsize=3, label=label)
        ax.axhline(getattr(untouched, name).value, color=colour, linestyle="--", linewidth=0.8)
    ax.set(xlabel=rows[0].family, ylabel="rate at the shipped threshold", ylim=(-0.02, 1.02))
    ax.legend(loc="center left")
    return ax


def _pictures(robustness: Robustness) -> list[str]:
    caption = "Dashed: the same images untouched. Bars: intervals."
    return [
        picture(partial(draw_family, rows, robustness.rows[0]), name, caption)
        for name, rows in families(robustness).items()
    ]
