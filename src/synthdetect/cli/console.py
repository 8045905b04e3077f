"""What people read: messages and a progress bar on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer


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
def progress(what: str, total: int, *, show: bool = True) -> Iterator[Callable[[], None]]:
    """Show a bar on standard error, if that is a terminal.

    Parameters
    ----------
    what : str
        Stands before the bar.
    total : int
        Number of steps.
    show : bool, default=True

    Yields
    ------
    advance : callable
        To call after each step.
    """
    if not show or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
