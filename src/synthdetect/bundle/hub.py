"""A name to a verified bundle: those in the wheel by name, others by path."""

import difflib
import importlib.resources
import os
import re
from pathlib import Path

from synthdetect.bundle.disk import disk_errors
from synthdetect.bundle.format import Bundle, read_bundle
from synthdetect.bundle.replace import backup_path
from synthdetect.bundle.strict_json import MANIFEST_NAME
from synthdetect.errors import BundleError

# Two letters at least, as C:/ is a drive; one slash, as Path("https://x") keeps only one.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def bundled_names() -> tuple[str, ...]:
    """Return the names of the bundles that are installed with the package, sorted.

    Returns
    -------
    names : tuple of str
        Each can be given to `open_bundle`.
    """
    return tuple(sorted(_bundled()))


def resolve(name_or_path: str | os.PathLike[str]) -> Path:
    """Return where a bundle lies; nothing of it is read.

    Parameters
    ----------
    name_or_path : str or path-like
        A string that is a bundled name means that bundle, even where a file of this name lies in
        the working directory (`"./name"` means the file). Any other string, and every path object,
        is a path.

    Returns
    -------
    path : Path
        Of a folder or a zip.

    Raises
    ------
    BundleError
        If there is no such bundle; the message lists the bundled names. Also for URLs: this version
        does not download.
    """
    text = os.fspath(name_or_path)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise BundleError(f"{ascii(text)[:120]}: not a name or path of a bundle; {_known()}")
    if _URL.match(text):
        raise BundleError(
            f"{text}: downloads are not supported in this version of synthdetect; download the "
            f"bundle yourself and give its path, or use a bundled one: {_known()}"
        )
    bundled = _bundled()
    if isinstance(name_or_path, str) and text in bundled:
        return bundled[text]
    path = Path(text)
    # A folder whose writer was killed may wait beside its place; read_bundle finds it.
    if path.exists() or backup_path(os.path.realpath(path)).exists():
        return path
    near = difflib.get_close_matches(path.name.removesuffix(".zip"), bundled, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise BundleError(f"{text}: no bundle of this name and no such path; {_known()}.{hint}")


def open_bundle(name_or_path: str | os.PathLike[str]) -> Bundle:
    """Find a bundle, read it and verify all of it.

    Parameters
    ----------
    name_or_path : str or path-like
        As for `resolve`.

    Returns
    -------
    bundle : Bundle

    Raises
    ------
    BundleError
        If there is no such bundle, or it is damaged, unsafe or of an unknown version.
    """
    return read_bundle(resolve(name_or_path))


def _bundled() -> dict[str, Path]:
    """Bundles in the package's data; a folder goes before a zip of the same name."""
    root = importlib.resources.files("synthdetect.bundles")
    if not isinstance(root, Path):  # the package itself is imported from a zip
        return {}
    with disk_errors(root, "check that the package's folder may be read"):
        zips = {path.stem: path for path in root.glob("*.zip")}
        folders = {path.parent.name: path.parent for path in root.glob(f"*/{MANIFEST_NAME}")}
    return zips | folders


def _known() -> str:
    names = bundled_names()
    return f"bundled: {', '.join(names)}" if names else "no bundle comes with this installation"
