"""Figures of a model card that other commands measured: a stress test, sources left out."""

import json
from pathlib import Path
from typing import Any

from synthdetect.auditing.card_rows import left_out_rows, reshipping_rows, stress_rows
from synthdetect.bundle.model_card import CardRow
from synthdetect.errors import DataError
from synthdetect.evaluation.left_out import LeaveOneOut

# JSON keeps every digit of a threshold; this is for whoever rewrote the file.
_SAME_THRESHOLD = 1e-9


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


def _read_json(path: str | Path) -> Any:
    try:
        return json.loads(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable JSON file ({error})") from error
