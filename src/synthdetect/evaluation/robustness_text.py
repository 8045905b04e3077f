"""A stress test as text, Markdown, CSV and JSON; the tables are those of the page too."""

import csv
import io
import json
from collections.abc import Iterator

import numpy as np

from synthdetect.evaluation.interval import Estimate
from synthdetect.evaluation.robustness import Perturbed, Robustness
from synthdetect.evaluation.table import Table
from synthdetect.evaluation.text import (
    columns,
    markdown_escape,
    markdown_table,
    number,
    p_text,
    rate_cell,
)

_FIGURES = (
    "accuracy",
    "auroc",
    "true_positive_rate",
    "false_positive_rate",
    "true_positive_rate_change",
    "false_positive_rate_change",
)


def heading(robustness: Robustness) -> str:
    """Return n of each class, the threshold, the confidence and the seed in one line."""
    first = robustness.rows[0]
    return (
        f"n = {first.n} ({first.n_real} real, {first.n_synthetic} synthetic), "
        f"threshold {robustness.threshold:.4f}, {robustness.confidence * 100:g} % intervals, "
        f"seed {robustness.seed}"
    )


def tables(robustness: Robustness) -> tuple[Table, ...]:
    """Return what there is to tell, most important first."""
    made = [_perturbed(robustness), _forms(robustness)]
    for name, rates in robustness.flips.groups.items():
        rows = tuple((one, f"{rate.n}", rate_cell(rate)) for one, rate in rates.items())
        header = (name, "n", "images that flip")
        made.append(Table(f"Decisions that flip, by {name}", "", header, rows))
    return tuple(made)


def as_text(robustness: Robustness) -> str:
    """Return a stress test as text of fixed width."""
    lines = [heading(robustness), *([robustness.note] if robustness.note else []), ""]
    for table in tables(robustness):
        lines += [table.title, *columns([table.header, *table.rows])]
        lines += [f"  ({table.note})"] if table.note else []
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def as_markdown(robustness: Robustness) -> str:
    """Return a stress test as Markdown."""
    lines = ["# Stress test", "", heading(robustness), ""]
    lines += [markdown_escape(robustness.note), ""] if robustness.note else []
    for table in tables(robustness):
        lines += [f"## {markdown_escape(table.title)}", ""]
        lines += [*markdown_table([table.header, *table.rows]), ""]
        lines += [table.note, ""] if table.note else []
    return "\n".join(lines).rstrip() + "\n"


def as_json(robustness: Robustness) -> str:
    """Return every figure of a stress test as JSON."""
    return json.dumps(robustness.to_dict(), indent=2, allow_nan=False) + "\n"


def as_csv(robustness: Robustness) -> str:
    """Return a stress test as CSV, one row a perturbation; each figure with `_low` and `_high`.

    `flips` and `mean_change` are of the five re-shippings alone; all five together are in the other
    forms. What is not defined is empty.
    """
    rows = [dict(_plain(row, robustness)) for row in robustness.rows]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def change_cell(row: Perturbed) -> str:
    """Return how the false positive rate changed, with its interval, in points of per cent."""
    change = row.false_positive_rate_change
    if not row.n_real:
        return "–"
    return (
        f"{number(100 * change.value, '+.1f')} "
        f"({number(100 * change.low, '+.1f')} to {number(100 * change.high, '+.1f')})"
    )


def _perturbed(robustness: Robustness) -> Table:
    rows = tuple(
        (
            row.name,
            "never" if row.outside else "–",
            f"{row.n}",
            rate_cell(row.accuracy),
            rate_cell(row.auroc, ".4f"),
            rate_cell(row.true_positive_rate),
            rate_cell(row.false_positive_rate),
            change_cell(row) if i else "–",
            p_text(row.false_positive_rate_change.p_value) if i and row.n_real else "–",
        )
        for i, row in enumerate(robustness.rows)
    )
    header = (
        "perturbation",
        "drawn in training",
        "n",
        "accuracy",
        "AUROC",
        "synthetic found (TPR)",
        "real flagged (FPR)",
        "FPR change, points",
        "p",
    )
    note = (
        "At the shipped threshold. The change is from the same photographs untouched; p is "
        "McNemar's exact one, not adjusted for the number of rows. 'never' stands where training "
        "never drew these parameters."
    )
    return Table("Under each perturbation", note, header, rows)


def _forms(robustness: Robustness) -> Table:
    one = robustness.flips
    rows = [
        ("any of these forms", f"{one.n}", rate_cell(one.any), rate_cell(one.change, ".4f")),
        ("of real, cleared: flagged in some form", f"{one.real_flagged.n}",
         rate_cell(one.real_flagged), "–"),
        ("of synthetic, found: lost in some form", f"{one.synthetic_lost.n}",
         rate_cell(one.synthetic_lost), "–"),
        *(
            (name, f"{rate.n}", rate_cell(rate), rate_cell(one.change_by_form[name], ".4f"))
            for name, rate in one.by_form.items()
        ),
    ]  # fmt: skip
    left = f" {one.n_left_out} image(s) are left out: a form of theirs cannot be judged."
    note = (
        "Share of images whose decision is another one once they are shipped again, and the mean "
        "of |change of P(synthetic)|." + (left if one.n_left_out else "")
    )
    header = ("form", "n", "images that flip", "mean change")
    return Table("Decisions that flip", note, header, tuple(rows))


def _plain(row: Perturbed, robustness: Robustness) -> Iterator[tuple[str, object]]:
    yield from (("perturbation", row.name), ("family", row.family), ("level", row.level))
    yield from (("outside_training", row.outside), ("threshold", robustness.threshold))
    for name in ("n", "n_real", "n_synthetic", "n_left_out"):
        yield name, getattr(row, name)
    for name in _FIGURES:
        yield from _with_ends(name, getattr(row, name))
    yield "false_positive_rate_change_p", _number(row.false_positive_rate_change.p_value)
    yield from _with_ends("flips", robustness.flips.by_form.get(row.name))
    yield from _with_ends("mean_change", robustness.flips.change_by_form.get(row.name))


def _with_ends(name: str, figure: Estimate | None) -> Iterator[tuple[str, object]]:
    yield name, None if figure is None else _number(figure.value)
    yield f"{name}_low", None if figure is None else _number(figure.low)
    yield f"{name}_high", None if figure is None else _number(figure.high)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
