"""Which part of labelled images a command measures."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from synthdetect.errors import DataError

if TYPE_CHECKING:
    from synthdetect.data.dataset import Dataset


class Split(StrEnum):
    """Part of a manifest."""

    train = "train"
    val = "val"
    test = "test"
    all = "all"


def measured_part(
    dataset: "Dataset", path: Path, split: Split | None
) -> tuple["Dataset", Split, str]:
    """Return the images to measure on, the split that they are, and what to tell of them.

    Parameters
    ----------
    dataset : Dataset
    path : Path
        Where it was read from.
    split : Split or None
        None is `test` if there is one, else all.

    Raises
    ------
    DataError
        If there is no such split.
    """
    given = set(dataset.split.tolist())
    wanted = split or (Split.test if Split.test in given else Split.all)
    if wanted is not Split.all and wanted not in given:
        names = ", ".join(sorted(given - {""})) or "none"
        raise DataError(f"{path}: has no split {wanted.value!r}; its splits: {names}")
    measured = dataset if wanted is Split.all else dataset.part(wanted)
    note = f"All images of {path}." if wanted is Split.all else f"Split {wanted.value} of {path}."
    if Split.train in given and wanted in (Split.all, Split.train):
        note += " They include those of split train: a member that learned from them looks better."
    return measured, wanted, note
