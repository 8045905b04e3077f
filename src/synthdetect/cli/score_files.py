"""CSV files that `synthdetect predict`, or a spreadsheet, wrote."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthdetect.errors import DataError


def scores_or_images(path: Path) -> list[Any]:
    """Return the scores of a CSV file as floats, or images."""
    if path.suffix.lower() != ".csv":
        from synthdetect.images.batches import iter_sources

        if not path.exists():
            raise DataError(f"{path}: there is no such file or directory; check the path")
        return list(iter_sources(path))
    texts = [row["p_synthetic"] for row in rows_of_csv(path, ("p_synthetic",))]
    try:
        return [float(text) if text else float("nan") for text in texts]
    except ValueError as error:
        raise DataError(f"{path.name}: a value of p_synthetic is no number ({error})") from error


def rows_of_csv(path: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the rows, by the names of the columns; DataError says what is wrong with a file."""
    # Names of files need not be UTF-8, and `predict` writes them as they are.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file)
        try:
            missing = [name for name in needed if name not in (rows.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path.name}: has no column {missing[0]!r} but {rows.fieldnames or []}; "
                    "save it as CSV in UTF-8, with commas, and name the columns "
                    f"{' and '.join(needed)}"
                )
            for row in rows:
                if any(row[name] is None for name in needed):
                    raise DataError(f"{path.name}: line {rows.line_num} is too short; complete it")
                yield row
        except csv.Error as error:
            raise DataError(f"{path.name}: is no CSV ({error}); save it as CSV again") from error
