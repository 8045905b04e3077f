"""What commands say of labelled images, and which part of them they take."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthdetect.errors import DataError

if TYPE_CHECKING:
    from synthdetect.data.dataset import Dataset


class Split(StrEnum):
    """Part of a manifest."""

    train = "train"
    val = "val"
    test = "test"
    all = "all"


class Mode(StrEnum):
    """Which members are asked."""

    full = "full"
    cascade = "cascade"


DATA_HELP = (
    "A CSV file with the columns path and label (real or synthetic), and optionally "
    "split (train, val, test), source and group; or a directory with folders such as real "
    "and synthetic (fake, ai), in or around folders of the splits if there are any."
)
MeasuredSplit = Annotated[
    Split | None,
    typer.Option(
        help="Measure on this part of the data.",
        show_default="test if there is one, else all",
    ),
]

MeasuredMode = Annotated[
    Mode,
    typer.Option(help="cascade takes the answers that the bundle's cascade gives, if it has one."),
]


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
    measured = dataset if wanted is Split.all else part_of(dataset, path, wanted)
    note = f"All images of {path}." if wanted is Split.all else f"Split {wanted.value} of {path}."
    if Split.train in given and wanted in (Split.all, Split.train):
        note += " They include those of split train: a member that learned from them looks better."
    return measured, wanted, note


def part_of(dataset: "Dataset", path: Path, split: StrEnum) -> "Dataset":
    """Return the images of a split.

    Raises
    ------
    DataError
        If there is none of that name; the message has those that there are.
    """
    given = set(dataset.split.tolist())
    if split not in given:
        names = ", ".join(sorted(given - {""})) or "none"
        raise DataError(f"{path}: has no split {split.value!r}; its splits: {names}")
    return dataset.part(split)
