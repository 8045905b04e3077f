"""A data card: what a dataset is made of, by class."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.data.dataset import CLASSES, SPLITS, Dataset
from synthdetect.errors import DataError, ImageError
from synthdetect.images.facts import FileFacts

# What has more values than this is shown by its spread if it is numbers, or by their number.
_MAX_VALUES = 20
_NOT_KNOWN = "(not given)"
_OTHERS = "(others)"
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)

Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Spread:
    """Quantiles of a number among the images that have it; all 0 if none has.

    Parameters
    ----------
    n : int
        Images that have it.
    low, lower_quartile, median, upper_quartile, high : float
    """

    n: int
    low: float
    lower_quartile: float
    median: float
    upper_quartile: float
    high: float


@dataclass(frozen=True)
class DataCard:
    """What a dataset is made of; as text by `str`, `to_markdown` or, for machines, `to_dict`.

    Parameters
    ----------
    n : int
        Images.
    by_class : mapping of str to int
    counts : mapping of str to mapping of str to mapping of str to int
        Of each property (`split`, `source`, `format`, `gender`, ...) and each of its values, the
        number of images of each class.
    spreads : mapping of str to mapping of str to Spread
        Of each property that is a number (`width`, `JPEG quality`, `age`, ...), for each class.
    n_groups : int
        Groups of images that belong together.
    unreadable : mapping of str to str
        Reasons by the name of the image; what is told of files is of the others.
    """

    n: int
    by_class: Mapping[str, int]
    counts: Mapping[str, Counts]
    spreads: Mapping[str, Mapping[str, Spread]]
    n_groups: int
    unreadable: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return asdict(self)

    def __str__(self) -> str:
        tables = (_as_text(*table) for table in self.tables())
        return "\n\n".join([*self._facts(), *tables])

    def to_markdown(self) -> str:
        """Return the card as Markdown, a table for each property."""
        tables = (_as_markdown(*table) for table in self.tables())
        return "\n\n".join(["# Data card", *self._facts(), *tables]) + "\n"

    def _facts(self) -> list[str]:
        classes = ", ".join(f"{n} {name}" for name, n in self.by_class.items())
        groups = f"; {self.n_groups} groups" if self.n_groups else ""
        told = [f"{self.n} images: {classes}{groups}"]
        if self.unreadable:
            reasons = [f"- {name}: {reason}" for name, reason in self.unreadable.items()]
            told.append("\n".join([f"{len(reasons)} could not be read:", *reasons]))
        return told

    def tables(self) -> list[tuple[list[str], list[list[str]]]]:
        """Return header and rows of each property."""
        tables = []
        for name, values in self.counts.items():
            rows = [[value, *map(str, row.values())] for value, row in values.items()]
            tables.append(([name, *CLASSES], rows))
        for name, spreads in self.spreads.items():
            header = [name, "n", "lowest", "25 %", "median", "75 %", "highest"]
            rows = [[label, *_numbers(spread)] for label, spread in spreads.items()]
            tables.append((header, rows))
        return tables


def data_card(dataset: Dataset, facts: Sequence[FileFacts | ImageError]) -> DataCard:
    """Count what a dataset is made of.

    Parameters
    ----------
    dataset : Dataset
        Of n images.
    facts : sequence of n FileFacts or ImageError
        Of `synthdetect.images.facts.read_facts(dataset.images)`.

    Returns
    -------
    card : DataCard

    Raises
    ------
    DataError
        If the facts are of another number of images.
    """
    if len(facts) != len(dataset):
        raise DataError(f"{len(facts)} file facts for {len(dataset)} images; give one for each")
    given = {"split": dataset.split, "source": dataset.source, **dataset.facets}
    counts: dict[str, Counts] = {}
    spreads: dict[str, Mapping[str, Spread]] = {}
    for name, values in given.items():
        if not np.any(values != ""):
            continue
        numbers = None if name in ("split", "source") else _as_numbers(values)
        if numbers is not None and len(np.unique(values)) > _MAX_VALUES:
            spreads[name] = _spreads(numbers, dataset.y)
        else:
            counts[name] = _counts(values, dataset.y, every=name in ("split", "source"))
    if "split" in counts:  # in their usual order, not that of the alphabet
        order = [name for name in (*SPLITS, _NOT_KNOWN) if name in counts["split"]]
        counts["split"] = {name: counts["split"][name] for name in order}
    read = np.array([isinstance(found, FileFacts) for found in facts], dtype=np.bool_)
    y = dataset.y[read]
    known = [found for found in facts if isinstance(found, FileFacts)]
    for name, words in _words(known).items():
        if np.any(words != ""):
            counts[f"file: {name}"] = _counts(words, y, every=True)
    for name, numbers in _measures(known).items():
        if np.any(np.isfinite(numbers)):
            spreads[f"file: {name}"] = _spreads(numbers, y)
    return DataCard(
        n=len(dataset),
        by_class={name: int(np.sum(dataset.y == i)) for i, name in enumerate(CLASSES)},
        counts=counts,
        spreads=spreads,
        n_groups=len(np.unique(dataset.group[dataset.group != ""])),
        unreadable={e.source: e.reason for e in facts if isinstance(e, ImageError)},
    )


def _words(facts: Sequence[FileFacts]) -> dict[str, NDArray[np.str_]]:
    """Properties of files that are words; empty where a file has none."""
    return {
        "format": np.array([f.format for f in facts], dtype=np.str_),
        "colour mode": np.array([f.mode for f in facts], dtype=np.str_),
        "chroma subsampling": np.array([f.subsampling or "" for f in facts], dtype=np.str_),
        "metadata": np.array([_metadata(f) for f in facts], dtype=np.str_),
    }


def _metadata(facts: FileFacts) -> str:
    held = [
        name for name, has in (("EXIF", facts.has_exif), ("colour profile", facts.has_icc)) if has
    ]
    return " and ".join(held) or "none"


def _measures(facts: Sequence[FileFacts]) -> dict[str, NDArray[np.float64]]:
    """Properties of files that are numbers; NaN where a file has none."""
    return {
        "width": np.array([f.width for f in facts], dtype=np.float64),
        "height": np.array([f.height for f in facts], dtype=np.float64),
        "bytes per pixel": np.array([f.bytes_per_pixel for f in facts], dtype=np.float64),
        "JPEG quality": np.array(
            [np.nan if f.jpeg_quality is None else f.jpeg_quality for f in facts], dtype=np.float64
        ),
    }


def _as_numbers(values: NDArray[np.str_]) -> NDArray[np.float64] | None:
    """Return numbers, NaN where empty; None if one is no number."""
    try:
        return np.array([float(value) if value else np.nan for value in values.tolist()])
    except ValueError:
        return None


def _counts(values: NDArray[np.str_], y: NDArray[np.int64], *, every: bool) -> Counts:
    """Count each value by class, the empty one last; of many (unless `every`) the commonest."""
    names, n_each = np.unique(values[values != ""], return_counts=True)
    shown = names.tolist()
    if not every and len(names) > _MAX_VALUES:
        shown = names[np.argsort(-n_each, kind="stable")][:_MAX_VALUES].tolist()
    rows = {name: values == name for name in shown}
    rows[_OTHERS] = ~np.isin(values, [*shown, ""])
    rows[_NOT_KNOWN] = values == ""
    return {
        name: {label: int(np.sum(where & (y == i))) for i, label in enumerate(CLASSES)}
        for name, where in rows.items()
        if where.any()
    }


def _spreads(numbers: NDArray[np.float64], y: NDArray[np.int64]) -> dict[str, Spread]:
    found = {}
    for i, label in enumerate(CLASSES):
        known = numbers[(y == i) & np.isfinite(numbers)]
        quantiles = np.quantile(known, _QUANTILES) if len(known) else np.zeros(len(_QUANTILES))
        found[label] = Spread(len(known), *map(float, quantiles))
    return found


def _numbers(spread: Spread) -> list[str]:
    """Cells of a spread: whole numbers without decimals, else three digits."""
    return [
        f"{value:.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.3g}"
        for value in asdict(spread).values()
    ]


def _as_text(header: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, cells)) for cells in zip(header, *rows, strict=True)]
    lines = []
    for first, *others in (header, *rows):
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]))
    return "\n".join(lines)


def _as_markdown(header: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    # A bar in a value would end its cell, and a line break the table.
    clean = [[" ".join(cell.replace("|", r"\|").split()) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *clean))
