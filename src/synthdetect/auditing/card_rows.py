"""Rows of a model card from an evaluation, pairs, a stress test and sources that were left out."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from synthdetect.bundle.model_card import (
    ACCURACY,
    ALL_IMAGES,
    AUROC,
    ECE,
    ERROR,
    FALSE_NEGATIVES,
    FALSE_POSITIVES,
    FLIPS,
    LEFT_OUT,
    OVERALL,
    PAIR,
    PERTURBATION,
    RESHIPPING,
    TRUE_POSITIVES,
    CardRow,
)
from synthdetect.evaluation.figures import Evaluation
from synthdetect.evaluation.files import one_line
from synthdetect.evaluation.interval import Estimate, json_ready, rate, without_interval
from synthdetect.evaluation.left_out import LeaveOneOut, LeftOutFigures
from synthdetect.evaluation.metrics import Figures

ENSEMBLE = "ensemble"
# Names and keys of a stress test's figures.
_STRESSED = {
    ACCURACY: "accuracy",
    AUROC: "auroc",
    TRUE_POSITIVES: "true_positive_rate",
    FALSE_POSITIVES: "false_positive_rate",
}
_LIMITS = (0.01, 0.005)


def evaluation_rows(evaluation: Evaluation) -> Iterator[CardRow]:
    """Yield the figures of all images, then of each group of each grouping.

    Parameters
    ----------
    evaluation : Evaluation

    Yields
    ------
    row : CardRow
        A group has only rows that its images can have: no false positive rate without real ones.
    """
    one = evaluation
    whole = {
        ACCURACY: one.accuracy,
        ERROR: one.error,
        FALSE_POSITIVES: one.false_positive_rate,
        TRUE_POSITIVES: one.synthetic.recall,
        AUROC: one.auroc,
        **{f"TPR at FPR {limit * 100:g} %": one.tpr_at_fpr[limit] for limit in _LIMITS},
        ECE: one.expected_calibration_error,
    }
    yield from (_row(OVERALL, ALL_IMAGES, name, figure) for name, figure in whole.items())
    for grouping, found in one.groupings.items():
        for name, group in found.groups.items():
            for measure, figure in {
                ERROR: _complement(group.accuracy),
                FALSE_POSITIVES: group.false_positive_rate,
                TRUE_POSITIVES: _complement(group.false_negative_rate),
            }.items():
                if figure.n:
                    yield _row(grouping, name, measure, figure)


def pair_rows(name: str, found: Figures) -> Iterator[CardRow]:
    """Yield the figures of a pair of sources."""
    yield _row(PAIR, name, ACCURACY, found.accuracy)
    yield _row(PAIR, name, FALSE_POSITIVES, found.false_positive_rate)
    yield _row(PAIR, name, TRUE_POSITIVES, found.recall)
    yield _row(PAIR, name, AUROC, found.auroc)


def stress_rows(stress: Mapping[str, Any]) -> Iterator[CardRow]:
    """Yield the figures under each perturbation.

    Parameters
    ----------
    stress : mapping
        As `synthdetect.evaluation.robustness.Robustness.to_dict` gives.

    Yields
    ------
    row : CardRow

    Raises
    ------
    LookupError, TypeError, ValueError
        If it is something else.
    """
    for perturbed in stress["perturbations"]:
        for measure, key in _STRESSED.items():
            yield _row_of(PERTURBATION, perturbed["name"], measure, perturbed[key])


def reshipping_rows(stress: Mapping[str, Any]) -> Iterator[CardRow]:
    """Yield the share of decisions that flip; parameters and errors are those of `stress_rows`."""
    flips = stress["flips"]
    yield _row_of(RESHIPPING, "any of these forms", FLIPS, flips["any"])
    yield _row_of(RESHIPPING, "real, cleared: flagged in some form", FLIPS, flips["real_flagged"])
    yield _row_of(RESHIPPING, "synthetic, found: lost in some form", FLIPS, flips["synthetic_lost"])
    for name, figure in flips["by_form"].items():
        yield _row_of(RESHIPPING, name, FLIPS, figure)


def left_out_rows(left_out: LeaveOneOut) -> Iterator[CardRow]:
    """Yield what the ensembles of the folds made of what they had not learned from.

    Parameters
    ----------
    left_out : LeaveOneOut

    Yields
    ------
    row : CardRow
        For each fold the AUROC and the error at what was left out; then the mean AUROC over the
        synthetic ones, without an interval, and the false positive rate over the real ones.
    """
    areas, n_synthetic, wrong, n_real = [], 0, 0, 0
    for fold in left_out.folds:
        one = _of_ensemble(fold.figures)
        if fold.n_against:
            yield _row(LEFT_OUT, fold.value, AUROC, one.auroc)
        if fold.class_name == "both":
            yield _row(LEFT_OUT, fold.value, ERROR, one.error)
        elif fold.class_name == "real":
            yield _row(LEFT_OUT, fold.value, FALSE_POSITIVES, one.error)
            wrong += round(one.error.value * one.error.n)
            n_real += one.error.n
        else:
            yield _row(LEFT_OUT, fold.value, FALSE_NEGATIVES, one.error)
            areas.append(one.auroc.value)
            n_synthetic += fold.n_synthetic
    if areas:
        mean = without_interval(float(np.mean(areas)), n_synthetic)
        yield _row(LEFT_OUT, f"mean of the {len(areas)} synthetic ones", AUROC, mean)
    if n_real:
        yield _row(LEFT_OUT, "all real ones", FALSE_POSITIVES, rate(wrong, n_real))


def _of_ensemble(figures: tuple[LeftOutFigures, ...]) -> LeftOutFigures:
    """The ensemble's; a detector of one member has no other."""
    by_name = {one.name: one for one in figures}
    return by_name.get(ENSEMBLE) or figures[0]


def _complement(figure: Estimate) -> Estimate:
    return Estimate(1 - figure.value, 1 - figure.high, 1 - figure.low, figure.n)


def _row(group: str, name: str, measure: str, figure: Estimate) -> CardRow:
    told = asdict(Estimate(figure.value, figure.low, figure.high, figure.n))
    return _row_of(group, name, measure, json_ready(told))


def _row_of(group: str, name: str, measure: str, figure: Mapping[str, Any]) -> CardRow:
    """A row of a figure as JSON has it; names of users become one line of text."""
    return CardRow(
        one_line(group),
        one_line(name)[:200],
        measure,
        figure["value"],
        figure["low"],
        figure["high"],
        figure["n"],
    )
