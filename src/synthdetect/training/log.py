"""What a training run tells: a JSONL file for machines, a console and a progress bar for people."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from synthdetect.bars import bar


class TrainingLog:
    """Writes events to `log.jsonl` and to a console.

    Parameters
    ----------
    folder : Path
        Holds `log.jsonl`; lines are appended, so a resumed run continues the file.
    console : rich.console.Console, optional
        Where people read; by default standard error.
    quiet : bool, default=False
        Write the file only.
    """

    def __init__(
        self, folder: Path, *, console: Console | None = None, quiet: bool = False
    ) -> None:
        self._path = folder / "log.jsonl"
        self._console = console or Console(stderr=True, quiet=quiet)

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process only the file is written: two processes share no progress bar."""
        return partial(TrainingLog, quiet=True), (self._path.parent,)

    def event(self, kind: str, **values: Any) -> None:
        """Append one line: the time (Unix seconds), the kind and the values.

        Parameters
        ----------
        kind : str
        **values
            Of JSON's types or numpy scalars; JSON has no NaN and no infinity, so these become null.
        """
        values = {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in values.items()
        }
        plain = {key: None if _is_no_number(value) else value for key, value in values.items()}
        line = {"time": round(time.time(), 3), "event": kind, **plain}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
        told = " ".join(
            f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in values.items()
        )
        # Without markup: a path or a name may have square brackets in it.
        self._console.print(f"{kind}: {told}", highlight=False, markup=False)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Any]:
        """Show a progress bar; yields a function to call with the number of steps done."""
        with bar(self._console) as progress:
            task = progress.add_task(what, total=total)
            yield lambda steps=1: progress.advance(task, steps)


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
