"""The words of a model card, which somebody writes; its figures are measured."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from synthdetect.bundle.model_card import LEFT_OUT, CardRow, ModelCard
from synthdetect.errors import BundleError, DataError


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
        card_of(texts, threshold=0.0, notes={LEFT_OUT: texts.left_out} if texts.left_out else {})
    except BundleError as error:
        raise DataError(f"{path}: {error}") from error
    return texts


def card_of(
    texts: CardTexts,
    *,
    threshold: float,
    notes: Mapping[str, str],
    rows: tuple[CardRow, ...] = (),
) -> ModelCard:
    """Return a card of these words and rows; raise BundleError if a bundle cannot hold it."""
    return ModelCard(
        intended_use=texts.intended_use,
        not_for=texts.not_for,
        known_failures=texts.known_failures,
        training_cost=texts.training_cost,
        threshold=threshold,
        notes=notes,
        rows=rows,
    )
