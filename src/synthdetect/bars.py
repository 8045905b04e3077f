"""Progress bars for people: count, rate and time left."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.progress
    from rich.console import Console

Advance = Callable[..., None]
"""Called with the number of steps that were done, one if nothing is said."""

Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""From what is counted and how many there are to a context whose value is an `Advance`."""


def silent(what: str, total: int) -> AbstractContextManager[Advance]:
    """Show no progress."""
    return nullcontext(lambda steps=1: None)


def bar(console: "Console") -> "rich.progress.Progress":
    """Make a bar that vanishes when it is done; where the console is no terminal, it never shows.

    Parameters
    ----------
    console : rich.console.Console

    Returns
    -------
    bar : rich.progress.Progress
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second, of the last half minute."""

        def render(self, task: Task) -> Text:
            rate = task.finished_speed or task.speed
            return Text("" if rate is None else f"{rate:.1f}/s")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
