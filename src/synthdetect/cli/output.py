"""Results as rows: CSV and JSON Lines, streamed, or a table; to standard output or to a file."""

import contextlib
import csv
import io
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import typer

from synthdetect.cli.console import printable

# Of a table that goes to no terminal: no name is folded.
_ENDLESS = 100_000


@dataclass(frozen=True)
class Row:
    """The result of one image; its fields, and the keys of `more`, are the columns.

    Parameters
    ----------
    path : str
    p_synthetic : float or None
        None for an image that could not be read.
    decision : str
        `real`, `synthetic`, `uncertain` (where the threshold is a band, or the decision is not the
        same in all forms) or `unreadable`.
    threshold : float
    error : str or None
        Why it could not be read.
    more : mapping of str to JSON values
        Columns that were asked for: those of stability, `evidence`.
    """

    path: str
    p_synthetic: float | None
    decision: str
    threshold: float
    error: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return the columns, by name."""
        own = {name: getattr(self, name) for name in COLUMNS}
        return own | dict(self.more)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Row":
        """Return the row of a record."""
        own = {name: record[name] for name in COLUMNS}
        return cls(**own, more={name: record[name] for name in record if name not in own})


COLUMNS = ("path", "p_synthetic", "decision", "threshold", "error")


def write_csv(rows: Iterable[Row], stream: TextIO, columns: Sequence[str] = COLUMNS) -> None:
    """Write a header and one record a row, each as soon as it is there; None is empty."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        record = row.record()
        writer.writerow([record.get(name) for name in columns])
        stream.flush()


def write_jsonl(rows: Iterable[Row], stream: TextIO, columns: Sequence[str] = COLUMNS) -> None:
    """Write one JSON object a line, in ASCII, each as soon as it is there."""
    for row in rows:
        record = row.record()
        stream.write(json.dumps({name: record.get(name) for name in columns}) + "\n")
        stream.flush()


def write_table(rows: Iterable[Row], stream: TextIO, columns: Sequence[str] = COLUMNS) -> None:
    """Write aligned columns, in colour on a terminal; all rows are read first.

    If that is interrupted, those that are there are written.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    styles = {
        "synthetic": "bold red",
        "real": "green",
        "uncertain": "yellow",
        "unreadable": "yellow",
    }
    table = Table(box=None, pad_edge=False, header_style="")
    table.add_column("p_synthetic", justify="right", no_wrap=True)
    table.add_column("decision", no_wrap=True)
    with_evidence = "evidence" in columns
    if with_evidence:
        table.add_column("evidence", overflow="fold")
    table.add_column("path", overflow="fold")
    on_terminal = stream.isatty()
    console = Console(
        file=stream, width=None if on_terminal else _ENDLESS, no_color=not on_terminal
    )
    try:
        for row in rows:
            p = "" if row.p_synthetic is None else f"{row.p_synthetic:.4f}"
            decision = Text(row.decision, style=styles[row.decision])
            evidence = [Text(row.more.get("evidence") or "")] if with_evidence else []
            table.add_row(p, decision, *evidence, Text(printable(row.path)))
    except KeyboardInterrupt:
        console.print(table)
        raise
    console.print(table)


WRITERS: dict[str, Callable[[Iterable[Row], TextIO, Sequence[str]], None]] = {
    "table": write_table,
    "csv": write_csv,
    "jsonl": write_jsonl,
}


@contextmanager
def opened(out: Path | None) -> Iterator[TextIO]:
    """Open standard output, or a file that appears under its name when the block is done.

    Text is UTF-8 on every machine; the bytes of a file name that is not come out as they are.

    Parameters
    ----------
    out : Path or None
        A file; None is standard output.

    Yields
    ------
    stream : text file

    Raises
    ------
    typer.BadParameter
        If `out` cannot be a file.
    """
    if out is None:
        if sys.__stdout__ is None:
            reason = "standard output is closed; leave it open, or write to a file"
            raise typer.BadParameter(reason, param_hint="standard output")
        sys.stdout.flush()
        stream = io.TextIOWrapper(
            sys.stdout.buffer, encoding="utf-8", errors="surrogateescape", newline=""
        )
        try:
            yield stream
        finally:
            stream.detach()
        return
    target = target_of(out)
    temporary = target.with_name(f".{target.name[:80]}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("x", encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut may leave the new name with nothing under it
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def target_of(out: Path) -> Path:
    """Return where a file goes: a link to it stays one.

    Parameters
    ----------
    out : Path

    Returns
    -------
    target : Path
        Absolute, links followed.

    Raises
    ------
    typer.BadParameter
        If it cannot be a file.
    """
    target = Path(os.path.realpath(out))
    if os.path.lexists(target) and not target.is_file():
        reason = f"{printable(str(out))} is not a file; name one, or leave --out away"
        raise typer.BadParameter(reason, param_hint="--out")
    if not target.parent.is_dir():
        reason = f"folder {printable(str(target.parent))} does not exist; create it first"
        raise typer.BadParameter(reason, param_hint="--out")
    return target
