"""A table in words, as text, Markdown and pages show it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table in words.

    Parameters
    ----------
    title, note : str
        What it is, and how to read it.
    header : tuple of str
    rows : tuple of tuple of str
    """

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
