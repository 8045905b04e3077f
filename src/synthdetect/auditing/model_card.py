"""A model card from what is measured: evaluation, stress test and sources that were left out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.auditing.card_rows import (
    evaluation_rows,
    left_out_rows,
    pair_rows,
    reshipping_rows,
    stress_rows,
)
from synthdetect.auditing.card_texts import CardTexts, card_of
from synthdetect.bundle.model_card import (
    LEFT_OUT,
    OVERALL,
    OWN_GROUPS,
    PAIR,
    PERTURBATION,
    RESHIPPING,
    CardRow,
    ModelCard,
)
from synthdetect.data.dataset import Dataset, group_names
from synthdetect.detector import Detector
from synthdetect.errors import DataError
from synthdetect.evaluation.evaluate import evaluate
from synthdetect.evaluation.figures import Evaluation
from synthdetect.evaluation.left_out import LeaveOneOut
from synthdetect.evaluation.metrics import figures

# More groups than this are names, not groups to compare.
_MOST_GROUPS = 20


@dataclass(frozen=True)
class Measured:
    """A detector on labelled images: what `measured` gives.

    Parameters
    ----------
    evaluation : Evaluation
    images : Dataset
        Those that could be read.
    """

    evaluation: Evaluation
    images: Dataset


def measured(
    detector: Detector,
    dataset: Dataset,
    *,
    groups: Sequence[str] | None = None,
    note: str = "",
    advance: Callable[[], None] | None = None,
    seed: int = 0,
) -> Measured:
    """Measure a detector at its threshold, on images that it has not learned from.

    Parameters
    ----------
    detector : Detector
    dataset : Dataset
    groups : sequence of str, optional
        As in `CardTexts`.
    note : str
        What the images are.
    advance : callable, optional
        Called after each image.
    seed : int
        Of intervals.

    Returns
    -------
    measured : Measured

    Raises
    ------
    DataError
        If no image can be read, or a column is unknown or has a name that cards use themselves.
    """
    columns = _columns(dataset, groups)

    def counted() -> Iterator[Any]:
        for image in dataset.images:
            yield image
            if advance is not None:
                advance()

    p = detector.predict_proba(counted(), on_error="nan")[:, 1]
    read = ~np.isnan(p)
    if not read.any():
        raise DataError(f"none of {len(dataset)} images can be read")
    images = dataset.take(read)
    n_unread, together = int(np.sum(~read)), bool(np.any(images.group != ""))
    told = (
        note,
        f"{n_unread} could not be read." if n_unread else "",
        "Intervals allow for images of one group, such as a person, going together."
        if together
        else "",
    )
    evaluation = evaluate(
        images.y,
        p[read],
        detector.threshold_,
        groups={name: values[read] for name, values in columns.items()},
        cluster=group_names(images) if together else None,
        note=" ".join(filter(None, told)),
        seed=seed,
    )
    return Measured(evaluation, images)


def model_card(
    texts: CardTexts,
    found: Measured,
    *,
    pairs: Iterable[tuple[str, str]] = (),
    stress: Mapping[str, Any] | None = None,
    left_out: LeaveOneOut | None = None,
) -> ModelCard:
    """Put words and figures together.

    Parameters
    ----------
    texts : CardTexts
    found : Measured
    pairs : iterable of (str, str)
        A real and a synthetic source that share crop, size and history. Those that were not
        measured are left out.
    stress : mapping, optional
        Of `read_stress`.
    left_out : LeaveOneOut, optional
        Of `read_left_out`.

    Returns
    -------
    card : ModelCard

    Raises
    ------
    BundleError
        If a text or a name is too long or not printable, or there are too many rows.
    """
    evaluation = found.evaluation
    rows = list(evaluation_rows(evaluation))
    notes = {OVERALL: evaluation.note}
    rows += _pair_rows(found, pairs)
    notes[PAIR] = (
        "A detector can otherwise tell sources apart instead of classes: take these as the honest "
        "measure of detection."
    )
    if stress is not None:
        rows += [*stress_rows(stress), *reshipping_rows(stress)]
        drawn = f"{stress['perturbations'][0]['n']} images, seed {stress['seed']}."
        notes[PERTURBATION] = drawn
        notes[RESHIPPING] = f"{drawn} Each compressed, scaled and cropped as services do."
    if left_out is not None:
        rows += left_out_rows(left_out)
        notes[LEFT_OUT] = " ".join(filter(None, (_told(left_out), texts.left_out)))
    told = {row.group for row in rows}
    notes = {group: note for group, note in notes.items() if note and group in told}
    return card_of(texts, threshold=evaluation.threshold, notes=notes, rows=tuple(rows))


def pairs_of(recipe: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a manifest's recipe, which is free JSON; none if it has no such thing."""
    pairs = recipe.get("pairs")
    return tuple(
        (pair[0], pair[1])
        for pair in (pairs if isinstance(pairs, list) else ())
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(s, str) for s in pair)
    )


def _columns(dataset: Dataset, wanted: Sequence[str] | None) -> dict[str, NDArray[np.str_]]:
    known = {"source": dataset.source, **dataset.facets}
    if wanted is not None:
        if unknown := [name for name in wanted if name not in known]:
            raise DataError(
                f"groups: the data has no column {unknown[0]!r}; it has {', '.join(known)}"
            )
        chosen = {name: known[name] for name in dict.fromkeys(["source", *wanted])}
    else:
        chosen = _telling(known)
    if taken := sorted(set(chosen) & set(OWN_GROUPS)):
        raise DataError(f"a column is called {taken[0]!r}, as are rows of every card; rename it")
    return {name: values for name, values in chosen.items() if np.any(values != "")}


def _telling(known: Mapping[str, NDArray[np.str_]]) -> dict[str, NDArray[np.str_]]:
    """Columns of a few words, but for those that only name the groups of another anew."""
    chosen: dict[str, NDArray[np.str_]] = {}
    splits: set[bytes] = set()
    for name, values in known.items():
        words = set(values.tolist()) - {""}
        if not 2 <= len(words) <= _MOST_GROUPS or all(map(_is_number, words)):
            continue
        _, first, place = np.unique(values, return_index=True, return_inverse=True)
        split = first[place].tobytes()
        if split not in splits:
            splits.add(split)
            chosen[name] = values
    return chosen


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _pair_rows(found: Measured, pairs: Iterable[tuple[str, str]]) -> Iterator[CardRow]:
    evaluation, source = found.evaluation, found.images.source
    there = [pair for pair in pairs if all(np.any(source == name) for name in pair)]
    named = {" / ".join(pair): np.isin(source, pair) for pair in there}
    if len(there) > 1:
        named["all pairs"] = np.isin(source, [name for pair in there for name in pair])
    for name, on in named.items():
        yield from pair_rows(
            name, figures(evaluation.y[on], evaluation.p[on], evaluation.threshold)
        )


def _told(left_out: LeaveOneOut) -> str:
    names = dict.fromkeys(row.name for fold in left_out.folds for row in fold.figures)
    members = ", ".join(name for name in names if name != "ensemble")
    return (
        f"Trained anew without each {left_out.by} in turn (members: {members}), then measured on "
        "all of its images against held-out images of the other class."
    )
