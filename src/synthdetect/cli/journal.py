"""Results on their way to a file: kept row by row, so that a run that was stopped can go on.

`results.csv` has its rows in `results.csv.partial.jsonl` until all are there: a line of terms, then
one line a row, each whole before the next image is scored. The file itself is then written from
them and renamed into place. Whatever ends the process, the rows before stay.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import typer

from synthdetect.cli.console import printable, tell
from synthdetect.cli.output import Row

Terms = Mapping[str, Any]


class Journal:
    """Rows in a file, each there once `add` returns.

    Parameters
    ----------
    path : Path
    file : binary file
        Open at its end.
    n : int
        Rows that it has.
    """

    def __init__(self, path: Path, file: IO[bytes], n: int) -> None:
        self.path, self.n = path, n
        self._file = file

    def add(self, row: Row) -> None:
        """Append a row."""
        _append(self._file, row.record())
        self.n += 1

    def rows(self) -> Iterator[Row]:
        """Yield the rows from the first on."""
        with self.path.open("rb") as file:
            file.readline()
            for line in file:
                yield Row.of_record(json.loads(line))


@contextmanager
def journal(target: Path, terms: Terms, names: Sequence[str], *, resume: bool) -> Iterator[Journal]:
    """Keep rows beside `target`; what is kept goes when the block is done, and stays if it fails.

    Parameters
    ----------
    target : Path
        Where the results are going.
    terms : mapping
        What rows depend on besides their image, ready for JSON.
    names : sequence of str
        The images, in order.
    resume : bool
        Go on with the rows that an earlier run left, if it did.

    Yields
    ------
    journal : Journal

    Raises
    ------
    typer.BadParameter
        If there are rows and `resume` is False, or they are of other terms or images, or another
        process is writing them.
    """
    path = target.with_name(f"{target.name}.partial.jsonl")
    file = _locked(path, resume=resume)
    try:
        n = _taken_up(file, path, json.loads(json.dumps(terms)), names)
    except BaseException:
        file.close()
        raise
    kept = Journal(path, file, n)
    try:
        yield kept
    except BaseException:
        # Not `kept.n`: an interrupt may come between a row and its count.
        n = _n_rows(path)
        if n > 0:
            _close(file)
            tell(f"{n} of {len(names)} results are kept in {_shown(path)}; --resume goes on")
        else:
            _remove(file, path)
        raise
    _remove(file, path)


def _n_rows(path: Path) -> int:
    """Return how many whole rows are there; none, if somebody took the file away."""
    with contextlib.suppress(OSError), path.open("rb") as written:
        return sum(line.endswith(b"\n") for line in written) - 1
    return 0


def _append(file: IO[bytes], content: Terms) -> None:
    file.write(json.dumps(content).encode("ascii") + b"\n")
    file.flush()


def _taken_up(file: IO[bytes], path: Path, terms: Terms, names: Sequence[str]) -> int:
    """Check what is there and drop a last line that a killed process left half written."""
    if not file.seekable() or file.seek(0, 2) == 0:
        _append(file, terms)
        return 0
    file.seek(0)
    found = _parsed(file.readline())
    if found is None or found.keys() != terms.keys():
        raise _not_ours(path, "is no such file of partial results")
    for key, value in terms.items():
        if found[key] != value:
            raise _not_ours(path, f"was made with another {key}")
    n, end = 0, file.tell()
    for line in file:
        row = _parsed(line)
        if row is None:
            break
        if n >= len(names) or row.get("path") != names[n]:
            name = printable(ascii(row.get("path")))
            raise _not_ours(path, f"has results of other images (its number {n + 1} is {name})")
        n, end = n + 1, end + len(line)
    file.truncate(end)
    file.seek(end)
    return n


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the object of a whole line."""
    with contextlib.suppress(ValueError):
        content = json.loads(line)
        if line.endswith(b"\n") and isinstance(content, dict):
            return content
    return None


def _not_ours(path: Path, fault: str) -> typer.BadParameter:
    reason = f"{_shown(path)} {fault}; delete it, or write to another --out"
    return typer.BadParameter(reason, param_hint="--resume")


def _locked(path: Path, *, resume: bool) -> IO[bytes]:
    """Open the file, which is then there and nobody else's."""
    for _ in range(10):
        try:
            # In append mode, so that no two processes overwrite each other's rows.
            file = path.open("a+b" if resume else "xb")
        except FileExistsError as error:
            reason = f"{_shown(path)} has results of a run that was stopped, or still goes on"
            advice = "--resume goes on with them; or delete them"
            raise typer.BadParameter(f"{reason}; {advice}", param_hint="--out") from error
        try:
            _lock(file, path)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
        except BaseException:
            file.close()
            raise
        file.close()  # another run was done, and deleted it, before it was locked here
    raise _being_written(path)


def _lock(file: IO[bytes], path: Path) -> None:
    """Refuse to write what another process is writing; its death ends its claim."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _being_written(path) from error
    except OSError:  # some network disks have no locks
        return


def _being_written(path: Path) -> typer.BadParameter:
    reason = f"{_shown(path)} is being written by another run; wait for it"
    return typer.BadParameter(reason, param_hint="--out")


def _remove(file: IO[bytes], path: Path) -> None:
    """Delete the file while it is locked: nobody else can have begun to write to it."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows deletes no open file, and has no locks
        _close(file)
        path.unlink(missing_ok=True)
    else:
        _close(file)


def _close(file: IO[bytes]) -> None:
    # On a full disk, closing tries once more to write a row that did not fit, and fails again.
    with contextlib.suppress(OSError):
        file.close()


def _shown(path: Path) -> str:
    return printable(str(path))
