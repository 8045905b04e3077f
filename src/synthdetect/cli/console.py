"""What people read: messages and a progress bar on standard error."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from synthdetect.bars import Advance, bar


def printable(text: str) -> str:
    r"""Escape what is not printable: a file name may hold newlines and terminal commands.

    Examples
    --------
    >>> print(printable("a\nb\x1b[2J.jpg"))
    a\nb\x1b[2J.jpg
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def tell(message: str) -> None:
    """Print one line on standard error."""
    typer.echo(f"synthdetect: {printable(message)}", err=True)


@contextmanager
def progress(what: str, total: int, *, done: int = 0, show: bool = True) -> Iterator[Advance]:
    """Show a bar on standard error, if that is a terminal: count, rate and time left.

    Parameters
    ----------
    what : str
        Stands before the bar.
    total : int
        Number of steps.
    done : int, default=0
        Steps that an earlier run did.
    show : bool, default=True

    Yields
    ------
    advance : callable
        To call after each step, or with how many were done.
    """
    if not show or not sys.stderr.isatty():
        yield lambda steps=1: None
        return
    from rich.console import Console

    with bar(Console(stderr=True)) as shown:
        task = shown.add_task(what, total=total, completed=done)
        yield lambda steps=1: shown.advance(task, steps)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Leave out warnings of what is told as the notes of a threshold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@contextmanager
def telling_warnings() -> Iterator[None]:
    """Tell each warning in a line of its own when the block is done; an error tells enough."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        yield
    for note in notes:
        tell(str(note.message))
