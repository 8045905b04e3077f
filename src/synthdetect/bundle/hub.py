"""A name to a verified bundle: those in the wheel by name, others by path or by address."""

import difflib
import importlib.resources
import os
from pathlib import Path
from typing import Any

from synthdetect.bars import Progress, silent
from synthdetect.bundle.address import Address, is_url, parse_address
from synthdetect.bundle.disk import disk_errors
from synthdetect.bundle.format import Bundle, read_bundle
from synthdetect.bundle.replace import backup_path
from synthdetect.bundle.signature import check_signature
from synthdetect.bundle.strict_json import MANIFEST_NAME
from synthdetect.errors import BundleError


def bundled_names() -> tuple[str, ...]:
    """Return the names of the bundles that are installed with the package, sorted.

    Returns
    -------
    names : tuple of str
        Each can be given to `open_bundle`.
    """
    return tuple(sorted(_bundled()))


def resolve(name_or_path: str | os.PathLike[str], *, progress: Progress = silent) -> Path:
    """Return where a bundle lies, after a download if it is on the net.

    Parameters
    ----------
    name_or_path : str or path-like
        A string that is a bundled name means that bundle, even where a file of this name lies in
        the working directory (`"./name"` means the file). A string with a scheme is the address of
        a download: `https://host/bundle.zip#sha256=...` or `hf://owner/repo[@revision][/sub]`; see
        `synthdetect.bundle.fetch`. Any other string, and every path object, is a path.
    progress : callable, optional
        Of a download, as for `synthdetect.bundle.fetch.fetch`.

    Returns
    -------
    path : Path
        Of a folder or a zip.

    Raises
    ------
    BundleError
        If there is no such bundle; the message lists the bundled names. Or if a download fails.
    MissingExtraError
        If it must be downloaded and the package for that is not installed.
    """
    text = os.fspath(name_or_path)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise BundleError(f"{ascii(text)[:120]}: not a name or path of a bundle; {_known()}")
    if address := _address(text):
        # Imported here, as it brings what only downloads need.
        from synthdetect.bundle.fetch import fetch

        return fetch(address, progress=progress)
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


def open_bundle(name_or_path: str | os.PathLike[str], *, require_signature: Any = None) -> Bundle:
    """Find a bundle, read it and verify all of it.

    Parameters
    ----------
    name_or_path : str or path-like
        As for `resolve`.
    require_signature : public key or list of public keys, optional
        One of them must have signed the bundle; see `synthdetect.bundle.signature`.

    Returns
    -------
    bundle : Bundle

    Raises
    ------
    BundleError
        If there is no such bundle, or it is damaged, unsafe or of an unknown version, or is not
        signed as required.
    MissingExtraError
        If what a download or a signature needs is not installed.
    """
    bundle = read_bundle(resolve(name_or_path))
    if require_signature is not None:
        check_signature(bundle, require_signature, where=display(name_or_path))
    return bundle


def display(name_or_path: str | os.PathLike[str]) -> str:
    """Return a name as errors show it: of an address, without what may be secret.

    Parameters
    ----------
    name_or_path : str or path-like

    Returns
    -------
    text : str
    """
    text = os.fspath(name_or_path)
    return str(_address(text) or text)


def _address(text: str) -> Address | None:
    return parse_address(text) if is_url(text) else None


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
