"""Labelled images: a CSV manifest or arrays in memory, with labels, groups, sources and splits."""

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.errors import DataError
from synthdetect.images.decode import source_name
from synthdetect.images.reading import read_encoded

CLASSES = ("real", "synthetic")
SPLITS = ("train", "val", "test")
_LABELS = {"real": 0, "synthetic": 1, "0": 0, "1": 1}
_OWN_COLUMNS = ("path", "label", "source", "group", "split")

# A manifest's row, with its number in the file; the header is row 1.
_Row = tuple[int, dict[str, str]]


@dataclass(frozen=True)
class Dataset:
    """Images with labels; what may be empty is empty strings.

    Parameters
    ----------
    images : tuple
        Anything that `synthdetect.images.decode.decode` takes, one an image.
    y : ndarray of shape (n,), int64
        0 = real, 1 = synthetic.
    source, group, split : ndarray of shape (n,), str
        Where an image comes from, which images belong together (one person), and `train`, `val`
        or `test`.
    sha256 : str
        Of the manifest's bytes; empty for data that did not come from a file.
    facets : mapping of str to ndarray of shape (n,), str
        What else is known of each image, such as `gender`, `age` or `pose`: further columns of a
        manifest.
    """

    images: tuple[Any, ...]
    y: NDArray[np.int64]
    source: NDArray[np.str_]
    group: NDArray[np.str_]
    split: NDArray[np.str_]
    sha256: str = ""
    facets: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: NDArray[Any]) -> "Dataset":
        """Return the images at `rows` (indices or a boolean mask of shape (n,))."""
        where = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Dataset(
            images=tuple(self.images[i] for i in where),
            y=self.y[where],
            source=self.source[where],
            group=self.group[where],
            split=self.split[where],
            sha256=self.sha256,
            facets={name: values[where] for name, values in self.facets.items()},
        )

    def part(self, split: str) -> "Dataset":
        """Return the images of one split, in order."""
        return self.take(self.split == split)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of images of each class in each split, then by source.

        A source with the name of a split is told as `source train`.
        """
        table: dict[str, dict[str, int]] = {}
        sources = [f"source {name}" if name in SPLITS else name for name in self.source.tolist()]
        for column in (self.split.tolist(), sources):
            for key, label in zip(column, self.y, strict=True):
                if key:
                    row = table.setdefault(key, dict.fromkeys(CLASSES, 0))
                    row[CLASSES[label]] += 1
        return table


def labels_to_y(labels: ArrayLike, *, n: int | None = None) -> NDArray[np.int64]:
    """Turn `real`/`synthetic` or 0/1 labels into integers.

    Parameters
    ----------
    labels : array-like of shape (n,), str, int or bool
        1 and `synthetic` are the positive class.
    n : int, optional
        How many there must be.

    Returns
    -------
    y : ndarray of shape (n,), int64

    Raises
    ------
    DataError
        If a label is something else, or their number is wrong.
    """
    try:
        given = np.asarray(labels)
    except ValueError as error:
        raise DataError(f"labels are no flat list ({error}); give one for each image") from error
    if given.ndim != 1:
        raise DataError(f"labels have shape {given.shape}; give one label for each image, (n,)")
    if n is not None and len(given) != n:
        raise DataError(f"{len(given)} labels for {n} images; give one label for each image")
    y = np.empty(len(given), dtype=np.int64)
    for i, label in enumerate(given.tolist()):
        value = _LABELS.get(label) if isinstance(label, str) else label
        if not isinstance(value, int | float | np.generic) or value not in (0, 1):
            raise DataError(
                f"label {i} is {label!r}; use 'real' or 'synthetic', or 0 and 1 (1 = synthetic)"
            )
        y[i] = value
    return y


def from_arrays(
    images: Iterable[Any],
    labels: ArrayLike,
    *,
    groups: Sequence[Any] | None = None,
    split: str = "",
) -> Dataset:
    """Make a dataset of images in memory or of paths.

    Parameters
    ----------
    images : iterable
        Paths, bytes, PIL images, arrays or binary files (read here, once), one an image.
    labels : array-like of shape (n,)
        `real`/`synthetic` or 0/1.
    groups : sequence of shape (n,), optional
        Images of one group stay on one side of every split; None is of no group.
    split : str, default=""
        The split that all of them belong to.

    Returns
    -------
    dataset : Dataset

    Raises
    ------
    DataError
        If the numbers differ or a label is unknown.
    ImageError
        If a binary file cannot be read.
    """
    # A file can be read once, and training looks at an image many times.
    held = tuple(
        read_encoded(image, name=source_name(image, i)) if hasattr(image, "read") else image
        for i, image in enumerate(images)
    )
    y = labels_to_y(labels, n=len(held))
    if groups is not None and len(groups) != len(held):
        raise DataError(f"{len(groups)} groups for {len(held)} images; give one for each image")
    blank = np.full(len(held), "", dtype=np.str_)
    return Dataset(
        images=held,
        y=y,
        source=blank,
        group=blank if groups is None else _text(groups),
        split=np.full(len(held), split, dtype=np.str_),
    )


def read_manifest(path: str | Path) -> Dataset:
    """Read a CSV manifest.

    Parameters
    ----------
    path : str or Path
        UTF-8 CSV with the columns `path` (relative to the manifest's folder, or absolute) and
        `label`; optional `split` (`train`, `val`, `test`), `source` and `group`. Other columns
        become `facets`, but for those without a name.

    Returns
    -------
    dataset : Dataset
        In the manifest's order.

    Raises
    ------
    DataError
        If the file or a column is missing, or a row has an unknown label or split, a path that is
        not there, an image that another row has, or a group that is in two splits; the message
        names the row (the header is row 1).
    """
    manifest = Path(path)
    try:
        content = manifest.read_bytes()
        table = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except FileNotFoundError as error:
        raise DataError(
            f"{manifest}: there is no such file or directory; check the path"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{manifest}: not a readable CSV manifest ({error}); save it as CSV in UTF-8"
        ) from error
    rows = _rows(manifest, table)
    images = tuple(_image(manifest, number, row) for number, row in rows)
    _check_once(manifest, rows, images)
    _check_groups(manifest, rows)
    others = [name for name in rows[0][1] if name and name not in _OWN_COLUMNS]
    return Dataset(
        images=images,
        y=np.array([_LABELS[row["label"]] for _, row in rows], dtype=np.int64),
        source=_column(rows, "source"),
        group=_column(rows, "group"),
        split=_column(rows, "split"),
        sha256=hashlib.sha256(content).hexdigest(),
        facets={name: _column(rows, name) for name in others},
    )


def group_names(dataset: Dataset) -> NDArray[np.str_]:
    """Return the groups, of shape (n,), where images without one are each their own."""
    return each_its_own(dataset.group)


def each_its_own(names: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return names of shape (n,), where those that are blank become different ones."""
    own = np.array([f"\0{i}" for i in range(len(names))], dtype=np.str_)
    return np.where(names == "", own, names)


def hold_out(dataset: Dataset, *, fraction: float, seed: int) -> Dataset:
    """Label each image `train` or `val`, stratified by class, keeping groups together.

    Parameters
    ----------
    dataset : Dataset
    fraction : float
        Share of the images that goes to `val`, in (0, 0.5]; about the nearest of 1/2, 1/3, 1/4,
        and so on, as one of equal folds is held out.
    seed : int

    Returns
    -------
    dataset : Dataset
        The same images with a new `split`.

    Raises
    ------
    DataError
        If a class has fewer images (or groups) than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if not 0 < fraction <= 0.5:
        raise DataError(f"fraction is {fraction}; use a number above 0, at most 0.5")
    n_folds = max(2, round(1 / fraction))
    groups = group_names(dataset)
    for label, name in enumerate(CLASSES):
        n = len(np.unique(groups[dataset.y == label]))
        if n < n_folds:
            raise DataError(
                f"there are {n} {name} images (a group counts once); a validation part of "
                f"{fraction:.0%} needs at least {n_folds} of each class"
            )
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    train, val = next(folds.split(np.zeros(len(dataset)), dataset.y, groups))
    for rows in (train, val):
        if len(np.unique(dataset.y[rows])) < len(CLASSES):
            raise DataError("no split keeps both classes on both sides; make the groups smaller")
    split = np.full(len(dataset), "train", dtype="<U5")
    split[val] = "val"
    return replace(dataset, split=split)


def require_classes(dataset: Dataset, *, what: str, at_least: int) -> None:
    """Raise `DataError` unless each class has `at_least` images; `what` names the data."""
    for label, name in enumerate(CLASSES):
        n = int(np.sum(dataset.y == label))
        if n < at_least:
            raise DataError(
                f"{what} has {n} {name} images; at least {at_least} are needed: add some (a fifth "
                "of the images is held out where the data names no split 'val')"
            )


def require_sources(dataset: Dataset, names: Iterable[str], *, what: str) -> None:
    """Raise `DataError` unless an image is of each source; `what` says who names them."""
    known = sorted(set(dataset.source.tolist()) - {""})
    for name in names:
        if name not in known:
            raise DataError(
                f"{what}: no measured image is of source {name!r}; "
                f"sources: {', '.join(known) or 'none'}"
            )


def _rows(manifest: Path, table: list[list[str]]) -> list[_Row]:
    """Number the rows, leave blank ones out, and check every field but the path's file."""
    numbered = [(number, fields) for number, fields in enumerate(table, start=1) if fields]
    if len(numbered) < 2:
        raise DataError(f"{manifest}: no rows; expected a header with path,label and one row each")
    header = numbered[0][1]
    for column in ("path", "label"):
        if column not in header:
            raise DataError(
                f"{manifest}: column {column!r} is missing; it has {', '.join(header)} "
                "(columns are parted by commas)"
            )
    if twice := sorted({column for column in header if column and header.count(column) > 1}):
        raise DataError(f"{manifest}: column {twice[0]!r} is there twice; keep one")
    rows = []
    for number, fields in numbered[1:]:
        where = f"{manifest}, row {number}"
        if len(fields) != len(header):
            raise DataError(
                f"{where}: has another number of fields, {len(fields)}, than the header, "
                f"{len(header)}; quote a field that has a comma in it"
            )
        row = dict(zip(header, fields, strict=True))
        if not row["path"]:
            raise DataError(f"{where}: path is empty; give the image's path")
        if row["label"] not in _LABELS:
            raise DataError(f"{where}: label is {row['label']!r}; use 'real' or 'synthetic'")
        if row.get("split", "") not in ("", *SPLITS):
            raise DataError(f"{where}: split is {row['split']!r}; use {', '.join(SPLITS)}")
        rows.append((number, row))
    return rows


def _image(manifest: Path, number: int, row: dict[str, str]) -> Path:
    image = manifest.parent / row["path"]
    try:
        found = image.is_file()
    except OSError:  # a name that is too long
        found = False
    if not found:
        raise DataError(f"{manifest}, row {number}: there is no file {image}; check the path")
    return image


def _check_once(manifest: Path, rows: list[_Row], images: Sequence[Path]) -> None:
    """Refuse an image that is listed twice, also by two spellings of its path."""
    seen: dict[str, int] = {}
    for (number, row), image in zip(rows, images, strict=True):
        first = seen.setdefault(os.path.realpath(image), number)
        if first != number:
            raise DataError(
                f"{manifest}, row {number}: {row['path']} stands in row {first} already; keep one"
            )


def _check_groups(manifest: Path, rows: list[_Row]) -> None:
    """Refuse a group that spans splits."""
    seen: dict[str, tuple[int, str]] = {}
    for number, row in rows:
        group, split = row.get("group", ""), row.get("split", "")
        first, other = seen.setdefault(group, (number, split))
        if group and other != split:
            raise DataError(
                f"{manifest}, row {number}: group {group!r} is in split {split!r} here "
                f"and in {other!r} in row {first}; keep a group in one split"
            )


def _column(rows: list[_Row], name: str) -> NDArray[np.str_]:
    return np.array([row.get(name, "") for _, row in rows], dtype=np.str_)


def _text(groups: Sequence[Any]) -> NDArray[np.str_]:
    return np.array(["" if group is None else str(group) for group in groups], dtype=np.str_)
