"""What the steps of an ensemble check of their arguments, once and in the same words."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.errors import DataError

Floats = NDArray[np.float64]

Labels = NDArray[np.int64]


def check_logits(logits: ArrayLike) -> Floats:
    """Return `logits` as float64 of shape (n, members), members >= 1, or raise DataError."""
    columns = _as_floats("logits", logits)
    if columns.ndim != 2 or columns.shape[1] == 0:
        raise DataError(
            f"logits has shape {columns.shape}; use (n, members), one column for each member"
        )
    return columns


def check_vector(name: str, values: ArrayLike) -> Floats:
    """Return `values` as float64 of shape (n,), or raise DataError."""
    vector = _as_floats(name, values)
    if vector.ndim != 1:
        raise DataError(f"{name} has shape {vector.shape}; use (n,), one number for each image")
    return vector


def _as_floats(name: str, values: ArrayLike) -> Floats:
    """Return `values` as float64, or raise DataError."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is not an array of numbers: {error}") from error


def check_finite(name: str, values: Floats) -> None:
    """Raise DataError, with the first row and the reason, if a value is NaN or infinite."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    bad_rows = np.flatnonzero(bad if values.ndim == 1 else bad.any(axis=1))
    row = int(bad_rows[0])
    value = np.atleast_1d(values[row])[np.atleast_1d(bad[row])][0]
    what = "NaN (an image that could not be read)" if np.isnan(value) else f"{value}"
    raise DataError(
        f"{name} of row {row} is {what}, {len(bad_rows)} such row(s) in all; "
        "drop these rows and their labels first"
    )


def check_labels(y: ArrayLike, n: int) -> Labels:
    """Return `y` as int64 of shape (n,) with values 0 and 1, or raise DataError."""
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise DataError(f"y has shape {labels.shape}; use ({n},), one label for each row")
    if n == 0:
        raise DataError("y is empty; give at least one image")
    known = np.isin(labels, (0, 1)) if labels.dtype.kind in "biuf" else np.zeros(n, dtype=bool)
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise DataError(
            f"y of row {row} is {labels[row].item()!r}; use 0 for real and 1 for synthetic"
        )
    return labels.astype(np.int64)


def check_both_classes(labels: Labels) -> Labels:
    """Return `labels`, or raise DataError if only one class occurs."""
    n_synthetic = int(labels.sum())
    if 0 < n_synthetic < len(labels):
        return labels
    only, missing = ("synthetic (1)", "real (0)") if n_synthetic else ("real (0)", "synthetic (1)")
    raise DataError(
        f"y has one class only: all {len(labels)} labels are {only}; add images that are {missing}"
    )


def check_fields(owner: str, description: Mapping[str, Any], fields: Sequence[str]) -> None:
    """Raise ValueError unless `description` is a mapping with exactly these fields."""
    if not isinstance(description, Mapping):
        raise ValueError(f"{owner}: {description!r} is not a mapping; use fields {list(fields)}")
    for field in fields:
        if field not in description:
            raise ValueError(f"{owner}: {field} is missing; use fields {list(fields)}")
    for field in description:
        if field not in fields:
            raise ValueError(f"{owner}: {field} is not known; use fields {list(fields)}")


def check_number(owner: str, field: str, value: object) -> float:
    """Return `value` as a finite float, or raise ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        # A whole number of JSON may be too large for a float.
        number = float(value) if abs(value) <= sys.float_info.max else np.inf
        if np.isfinite(number):
            return number
    raise ValueError(f"{owner}: {field} is {value!r}; use a finite number")


def check_text(owner: str, field: str, value: object) -> str:
    """Return `value` as a non-empty string, or raise ValueError."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{owner}: {field} is {value!r}; use a non-empty string")
    return value
