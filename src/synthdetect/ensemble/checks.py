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
    except (TypeError, ValueError, OverflowError) as error:
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
    try:
        labels = np.asarray(y)
    except ValueError as error:
        raise DataError(f"y is no flat list ({error}); give one label for each row") from error
    if labels.shape != (n,):
        raise DataError(f"y has shape {labels.shape}; use ({n},), one label for each row")
    if n == 0:
        raise DataError("y is empty; give at least one image")
    if labels.dtype.kind in "biuf":
        known = np.isin(labels, (0, 1))
    else:  # a column of objects may still be numbers
        numbers = int | float | np.number | np.bool_
        known = np.array([isinstance(v, numbers) and v in (0, 1) for v in labels.tolist()])
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise DataError(
            f"y of row {row} is {labels.tolist()[row]!r}; use 0 for real and 1 for synthetic"
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


def check_scores(y: ArrayLike, p: ArrayLike) -> tuple[Labels, Floats]:
    """Return clean labels of both classes and their probabilities, or raise DataError."""
    scores = check_vector("p", p)
    labels = check_both_classes(check_labels(y, len(scores)))
    check_probabilities(scores)
    return labels, scores


def check_probabilities(p: Floats) -> None:
    """Raise DataError, with the first row, if a value is not a number from 0 to 1."""
    check_finite("p", p)
    outside = np.flatnonzero((p < 0) | (p > 1))
    if len(outside):
        row = int(outside[0])
        raise DataError(f"p of row {row} is {p[row]}; use probabilities from 0 to 1")


def check_share(owner: str, field: str, value: float) -> None:
    """Raise ValueError unless `value` lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{owner}: {field} is {value!r}; use a share between 0 and 1")


def check_fields(
    owner: str,
    description: Mapping[str, Any],
    fields: Sequence[str],
    optional: Sequence[str] = (),
) -> None:
    """Raise ValueError unless `description` is a mapping with these fields and no others."""
    if not isinstance(description, Mapping):
        raise ValueError(f"{owner}: {description!r} is not a mapping; use fields {list(fields)}")
    for field in fields:
        if field not in description:
            raise ValueError(f"{owner}: {field} is missing; use fields {list(fields)}")
    for field in description:
        if field not in fields and field not in optional:
            known = [*fields, *optional]
            raise ValueError(f"{owner}: {field} is not known; use fields {known}")


def check_number(owner: str, field: str, value: object) -> float:
    """Return `value` as a finite float, or raise ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        # A whole number of JSON may be too large for a float.
        number = float(value) if abs(value) <= sys.float_info.max else np.inf
        if np.isfinite(number):
            return number
    raise ValueError(f"{owner}: {field} is {value!r}; use a finite number")


def check_numbers(owner: str, field: str, values: object, *, most: int) -> tuple[float, ...]:
    """Return `values`, a list of at most `most` finite numbers, as floats, or raise ValueError."""
    if not isinstance(values, list | tuple):
        raise ValueError(f"{owner}: {field} is {values!r}; use a list of numbers")
    if len(values) > most:
        raise ValueError(f"{owner}: {field} has {len(values)} numbers; at most {most} are read")
    return tuple(check_number(owner, f"{field}[{j}]", value) for j, value in enumerate(values))


def check_count(owner: str, field: str, value: object) -> int:
    """Return `value` as a whole number of at least 0, or raise ValueError."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{owner}: {field} is {value!r}; use a whole number, 0 or more")
    return value


def check_text(owner: str, field: str, value: object) -> str:
    """Return `value` as a non-empty string, or raise ValueError."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{owner}: {field} is {value!r}; use a non-empty string")
    return value
