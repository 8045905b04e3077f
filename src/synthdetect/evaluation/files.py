"""Write a report whole, or not at all, with names as a file and a line can hold them."""

import contextlib
import os
import secrets
from pathlib import Path


def writable(text: str) -> str:
    r"""Return text as UTF-8 can hold it: half a surrogate pair becomes its escape.

    Names of files have such halves for bytes that are no UTF-8.

    Examples
    --------
    >>> print(writable("a\udcff"))
    a\udcff
    """
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def one_line(text: str) -> str:
    """Return a name of a user as it fits a line, and cannot steer a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def write_whole(path: str | os.PathLike[str] | None, text: str) -> str:
    """Write UTF-8 text to a file, replacing what is there at once; return the text.

    Parameters
    ----------
    path : path-like or None
        None writes nothing.
    text : str

    Returns
    -------
    text : str

    Raises
    ------
    OSError
        If the file cannot be written; an earlier one is then as it was.
    """
    if path is None:
        return text
    target = Path(path)
    stage = target.with_name(f".{target.name}.{secrets.token_hex(4)}.synthdetect-tmp")
    try:
        stage.write_text(text, encoding="utf-8", newline="\n")
        stage.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            stage.unlink()
        raise
    return text
