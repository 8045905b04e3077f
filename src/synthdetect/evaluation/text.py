"""An `Evaluation` as text and as Markdown; the rows and their words are those of the page too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthdetect.evaluation.files import one_line
from synthdetect.evaluation.groups import FIGURES, Gap
from synthdetect.evaluation.interval import Estimate

if TYPE_CHECKING:
    from synthdetect.evaluation.figures import Evaluation

GROUP_HEADER = ("group", "n", "accuracy", "false positive rate", "false negative rate")
GAP_HEADER = ("largest gap in", "is", "from", "to", "p", "p, adjusted", "more than noise?")


@dataclass(frozen=True)
class Row:
    """A figure with its words.

    Parameters
    ----------
    name, meaning : str
    figure : Estimate
    spec : str
        Format of a number.
    """

    name: str
    meaning: str
    figure: Estimate
    spec: str

    def cells(self) -> tuple[str, str, str, str]:
        """Name, value, interval and n."""
        return (
            self.name,
            number(self.figure.value, self.spec),
            interval(self.figure, self.spec),
            f"{self.figure.n}",
        )


def number(value: float, spec: str) -> str:
    """Return a number as text; `not defined` for NaN."""
    return "not defined" if np.isnan(value) else f"{value:{spec}}".replace("%", " %")


def interval(figure: Estimate, spec: str) -> str:
    """Return the interval as text; a dash where there is none."""
    if np.isnan(figure.low):
        return "–"
    return f"{number(figure.low, spec)} to {number(figure.high, spec)}"


def rate_cell(figure: Estimate, spec: str = ".1%") -> str:
    """Return a rate and its interval as one cell; a dash where there is none."""
    if np.isnan(figure.value):
        return "–"
    return f"{number(figure.value, spec)} ({interval(figure, spec)})"


def decision_rows(evaluation: "Evaluation") -> list[Row]:
    """What follows from the decisions at the threshold."""
    one, real, synthetic = evaluation, evaluation.real, evaluation.synthetic
    return [
        Row("accuracy", "All images: how many were judged rightly", one.accuracy, ".2%"),
        Row(
            "combined error rate",
            "All images: how many were judged wrongly, (FP + FN) / N",
            one.error,
            ".2%",
        ),
        Row(
            "false positive rate",
            "Real photographs that were wrongly flagged as synthetic",
            one.false_positive_rate,
            ".2%",
        ),
        Row(
            "false negative rate",
            "Synthetic images that were missed",
            one.false_negative_rate,
            ".2%",
        ),
        Row(
            "FPR + FNR",
            "Sum of the two rates above; not the combined error rate",
            one.sum_of_error_rates,
            ".2%",
        ),
        Row("precision, synthetic", "Alarms that were right", synthetic.precision, ".2%"),
        Row("recall, synthetic", "Synthetic images that were found", synthetic.recall, ".2%"),
        Row("F1, synthetic", "Precision and recall in one", synthetic.f1, ".4f"),
        Row("precision, real", "All-clears that were right", real.precision, ".2%"),
        Row("recall, real", "Real photographs that were cleared", real.recall, ".2%"),
        Row("F1, real", "Precision and recall in one", real.f1, ".4f"),
        Row(
            "balanced accuracy",
            "Accuracy if both kinds were equally frequent",
            one.balanced_accuracy,
            ".2%",
        ),
        Row(
            "Matthews correlation",
            "Decisions against truth: 1 perfect, 0 chance",
            one.matthews,
            ".4f",
        ),
    ]


def ranking_rows(evaluation: "Evaluation") -> list[Row]:
    """What no threshold changes."""
    one = evaluation
    return [
        Row(
            "AUROC",
            "Chance that a synthetic image scores above a real one; 0.5 is guessing",
            one.auroc,
            ".4f",
        ),
        Row(
            "average precision",
            "Area under precision against recall",
            one.average_precision,
            ".4f",
        ),
        Row(
            "partial AUROC, FPR up to 10 %",
            "The part where few photographs are flagged; 0.5 is guessing",
            one.partial_auroc,
            ".4f",
        ),
        *(
            Row(
                f"TPR at FPR {limit * 100:g} %",
                f"Synthetic images found if {limit * 100:g} % of photographs may be flagged",
                figure,
                ".2%",
            )
            for limit, figure in one.tpr_at_fpr.items()
        ),
    ]


def calibration_rows(evaluation: "Evaluation") -> list[Row]:
    """Whether probabilities mean what they say."""
    one, parts = evaluation, evaluation.brier_parts
    return [
        Row("log loss", "Penalty for confident mistakes; 0 is perfect", one.log_loss, ".4f"),
        Row("Brier score", "Mean squared error of the probability", one.brier, ".4f"),
        Row(
            "Brier: miscalibration",
            "What recalibration would gain on these images; noise makes it larger",
            parts.miscalibration,
            ".4f",
        ),
        Row(
            "Brier: discrimination",
            "What telling images apart gains on these images; noise makes it larger",
            parts.discrimination,
            ".4f",
        ),
        Row("Brier: uncertainty", "Score of a constant guess", parts.uncertainty, ".4f"),
        Row(
            "calibration error (ECE)",
            "How far probabilities are off on average, corrected for noise",
            one.expected_calibration_error,
            ".4f",
        ),
        Row(
            "largest error of a bin (MCE)",
            "How far they are off where it is worst, corrected for noise",
            one.maximum_calibration_error,
            ".4f",
        ),
    ]


def sections(evaluation: "Evaluation") -> list[tuple[str, list[Row]]]:
    """Headings with their rows."""
    return [
        (f"Decisions at threshold {evaluation.threshold:.4f}", decision_rows(evaluation)),
        ("Ranking, at any threshold", ranking_rows(evaluation)),
        ("Probabilities", calibration_rows(evaluation)),
    ]


def predictive_cells(evaluation: "Evaluation") -> list[tuple[str, str, str]]:
    """Prevalence, then how often each decision is right."""
    return [
        (
            f"{one.prevalence * 100:.4g} %",
            rate_cell(one.synthetic, ".2%"),
            rate_cell(one.real, ".2%"),
        )
        for one in evaluation.predictive_values
    ]


def group_cells(evaluation: "Evaluation", name: str) -> list[tuple[str, ...]]:
    """One row for each group, as `GROUP_HEADER` says."""
    return [
        (group, str(one.n), *(rate_cell(getattr(one, figure)) for figure in FIGURES))
        for group, one in evaluation.groupings[name].groups.items()
    ]


def gap_cells(evaluation: "Evaluation", name: str) -> list[tuple[str, ...]]:
    """One row for each gap, as `GAP_HEADER` says."""
    tail = 1 - evaluation.confidence
    return [
        (
            figure.replace("_", " "),
            rate_cell(gap.difference),
            gap.lowest,
            gap.highest,
            p_text(gap.p_value),
            p_text(gap.p_adjusted),
            verdict(gap, tail),
        )
        for figure, gap in evaluation.groupings[name].gaps.items()
    ]


def p_text(p_value: float) -> str:
    """Return a p-value as text, never as 0; NaN is "unknown"."""
    if np.isnan(p_value):
        return "unknown"
    return "< 0.0001" if p_value < 0.0001 else f"= {p_value:.4f}"


def verdict(gap: Gap, tail: float) -> str:
    """Return in words whether a gap is more than noise."""
    return "yes" if gap.p_adjusted <= tail else "not shown"


def heading(evaluation: "Evaluation") -> str:
    """Return n of each class, the threshold and the confidence in one line."""
    one = evaluation
    return (
        f"n = {one.n} ({one.real.support} real, {one.synthetic.support} synthetic), "
        f"threshold {one.threshold:.4f}, {one.confidence * 100:g} % intervals"
        + ("" if one.cluster is None else f", {len(np.unique(one.cluster))} clusters")
    )


def classification_lines(evaluation: "Evaluation") -> str:
    """Return scikit-learn's `classification_report`; `nan` where a figure is not defined."""
    from sklearn.metrics import classification_report

    return str(
        classification_report(
            evaluation.y,
            evaluation.called.astype(np.int64),
            labels=[0, 1],
            target_names=["real", "synthetic"],
            digits=4,
            zero_division=np.nan,
        )
    )


def as_text(evaluation: "Evaluation") -> str:
    """Return the report as text of fixed width.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    text : str
        First scikit-learn's `classification_report`, then each figure with its interval and n.
    """
    (tn, fp), (fn, tp) = evaluation.confusion
    lines = [heading(evaluation), *([evaluation.note] if evaluation.note else []), ""]
    lines += [classification_lines(evaluation)]
    lines += [f"real: {tn} right, {fp} flagged; synthetic: {tp} found, {fn} missed", ""]
    for title, rows in sections(evaluation):
        lines += [title, *columns([row.cells() for row in rows]), ""]
    lines += ["If this share of the images were synthetic, decisions would be right"]
    lines += [*columns([("share", "synthetic", "real"), *predictive_cells(evaluation)]), ""]
    for name in evaluation.groupings:
        lines += [f"By {one_line(name)}", *columns([GROUP_HEADER, *group_cells(evaluation, name)])]
        if gaps := gap_cells(evaluation, name):
            lines += columns([GAP_HEADER, *gaps])
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def as_markdown(evaluation: "Evaluation") -> str:
    """Return the report as Markdown, every figure with its interval and n.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    markdown : str
    """
    header = ("figure", "value", f"{evaluation.confidence * 100:g} % interval", "n")
    lines = ["# Evaluation", "", heading(evaluation), ""]
    if evaluation.note:
        lines += [markdown_escape(evaluation.note), ""]
    lines += ["```text", classification_lines(evaluation).rstrip(), "```", ""]
    for title, rows in sections(evaluation):
        lines += [f"## {title}", "", *markdown_table([header, *(row.cells() for row in rows)]), ""]
    lines += ["## Where synthetic images are rarer", ""]
    words = ("share of synthetic images", "alarms that are right", "all-clears that are right")
    lines += [*markdown_table([words, *predictive_cells(evaluation)]), ""]
    for name in evaluation.groupings:
        lines += [f"## By {markdown_escape(name)}", ""]
        lines += [*markdown_table([GROUP_HEADER, *group_cells(evaluation, name)]), ""]
        if gaps := gap_cells(evaluation, name):
            lines += [*markdown_table([GAP_HEADER, *gaps]), ""]
    return "\n".join(lines).rstrip() + "\n"


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align cells, the first to the left, the others to the right."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(["", row[0].ljust(len(first)), *others]).rstrip()


def markdown_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; the first row is its header."""
    for i, row in enumerate(rows):
        yield f"| {' | '.join(markdown_escape(cell) for cell in row)} |"
        if i == 0:
            yield f"|{' --- |' * len(row)}"


def markdown_escape(text: str) -> str:
    """Keep a name of a user from ending a cell or becoming markup."""
    flat = one_line(text)
    for mark in "\\`*_|<>[]":
        flat = flat.replace(mark, f"\\{mark}")
    return flat
