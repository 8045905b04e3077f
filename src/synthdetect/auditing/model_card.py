"""A model card from what is measured: evaluation, stress test and sources that were left out."""

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
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
from synthdetect.errors import BundleError, DataError
from synthdetect.evaluation.evaluate import evaluate
from synthdetect.evaluation.figures import Evaluation
from synthdetect.evaluation.left_out import LeaveOneOut
from synthdetect.evaluation.metrics import figures

# More groups than this are names, not groups to compare.
_MOST_GROUPS = 20
# JSON keeps every digit of a threshold; this is for whoever rewrote the file.
_SAME_THRESHOLD = 1e-9


@dataclass(frozen=True, kw_only=True)
class CardTexts:
    """What a publisher says; figures are measured and have no place in it.

    Parameters
    ----------
    intended_use : str
    not_for, known_failures : tuple of str
    training_cost : str
        Time and energy.
    left_out : str
        How the detectors of `--left-out` differ from this one.
    groups : tuple of str, optional
        Columns of the data by which figures are told; by default all of 2 to 20 words that split
        the images in a way of their own. `source` always is, where it is known.
    """

    intended_use: str
    not_for: tuple[str, ...] = ()
    known_failures: tuple[str, ...] = ()
    training_cost: str = ""
    left_out: str = ""
    groups: tuple[str, ...] | None = None


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


def read_texts(path: str | Path) -> CardTexts:
    """Read the words of a model card.

    Parameters
    ----------
    path : str or Path
        A TOML file with the fields of `CardTexts` as keys. Line breaks within a text are spaces.

    Returns
    -------
    texts : CardTexts

    Raises
    ------
    DataError
        If it is not TOML, `intended_use` is missing, a key or a value is none of these, or a text
        is too long or not printable.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: not a readable TOML file ({error})") from error
    known = [field.name for field in fields(CardTexts)]
    if unknown := sorted(set(table) - set(known)):
        raise DataError(f"{path}: key {unknown[0]!r} is unknown; use {', '.join(known)}")
    if "intended_use" not in table:
        raise DataError(f"{path}: intended_use is missing; say what the detector is for")
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name in ("not_for", "known_failures", "groups"):
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise DataError(f"{path}: {name} is {value!r}; give a list of texts")
            values[name] = tuple(" ".join(one.split()) for one in value)
        elif not isinstance(value, str):
            raise DataError(f"{path}: {name} is {value!r}; give a text")
        else:
            values[name] = " ".join(value.split())
    texts = CardTexts(**values)
    try:  # before hours of measuring
        _card(texts, threshold=0.0, notes={LEFT_OUT: texts.left_out} if texts.left_out else {})
    except BundleError as error:
        raise DataError(f"{path}: {error}") from error
    return texts


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
    return _card(texts, threshold=evaluation.threshold, notes=notes, rows=tuple(rows))


def read_stress(path: str | Path, *, threshold: float) -> dict[str, Any]:
    """Read what `synthdetect stress --format json` wrote of a detector.

    Parameters
    ----------
    path : str or Path
    threshold : float
        The detector's.

    Returns
    -------
    stress : dict
        For `model_card`.

    Raises
    ------
    DataError
        If it is something else, or was taken at another threshold.
    """
    read = _read_json(path)
    try:
        taken = float(read["threshold"])
        rows: list[CardRow] = [*stress_rows(read), *reshipping_rows(read)]
        if not rows or type(read["seed"]) is not int:
            raise KeyError("perturbations")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        what = "is not what synthdetect stress --format json writes"
        raise DataError(f"{path}: {what} ({type(error).__name__}: {error})") from error
    if abs(taken - threshold) > _SAME_THRESHOLD:
        raise DataError(
            f"{path}: was taken at threshold {taken:.6f}, this detector has {threshold:.6f}: it is "
            "of another detector; run synthdetect stress with --bundle and this one"
        )
    return dict(read)


def read_left_out(path: str | Path) -> LeaveOneOut:
    """Read the `leave-out.json` of `synthdetect compare --leave-out`.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    left_out : LeaveOneOut

    Raises
    ------
    DataError
        If it is something else.
    """
    try:
        read = LeaveOneOut.from_dict(_read_json(path))
        list(left_out_rows(read))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        what = "is not the leave-out.json of synthdetect compare --leave-out"
        raise DataError(f"{path}: {what} ({type(error).__name__}: {error})") from error
    return read


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


def _card(
    texts: CardTexts,
    *,
    threshold: float,
    notes: Mapping[str, str],
    rows: tuple[CardRow, ...] = (),
) -> ModelCard:
    return ModelCard(
        intended_use=texts.intended_use,
        not_for=texts.not_for,
        known_failures=texts.known_failures,
        training_cost=texts.training_cost,
        threshold=threshold,
        notes=notes,
        rows=rows,
    )


def _read_json(path: str | Path) -> Any:
    try:
        return json.loads(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable JSON file ({error})") from error
