"""Names that are safe and portable as files of a bundle."""

import re
from collections.abc import Iterable

from synthdetect.bundle.strict_json import MANIFEST_NAME
from synthdetect.errors import BundleError

MAX_FILES = 256

SIGNATURE_NAME = "manifest.sig"

# Not listed in a manifest: itself, and what is computed of it.
UNLISTED = (MANIFEST_NAME, SIGNATURE_NAME)

_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")

_RESERVED = {"con", "prn", "aux", "nul"} | {f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10)}


def check_file_name(name: object) -> None:
    """Refuse a name that is unsafe, or not portable, as a file of a bundle.

    Parameters
    ----------
    name : object
        Should be a relative path with `/`, of ASCII letters, digits, `.`, `-` and `_`.

    Raises
    ------
    BundleError
        If it is anything else, absolute, has `..`, a backslash, a drive letter or a control
        character, or means something special on Windows.
    """
    reason = _name_fault(name)
    if reason is not None:
        shown = ascii(name)[:120]
        raise BundleError(f"file name {shown} {reason}; use names such as members/mobilenetv2.bin")


def check_file_names(names: Iterable[str]) -> None:
    """Check each name, and that no two collide where case does not count.

    Parameters
    ----------
    names : iterable of str
        Names of files, without `manifest.json` and `manifest.sig`.

    Raises
    ------
    BundleError
        If a name is unsafe, if there are more than `MAX_FILES`, if two differ in case only, or if
        one is both a file and a folder.
    """
    spellings: dict[str, str] = {name: name for name in UNLISTED}
    files = set(UNLISTED)
    folders: set[str] = set()
    for n_files, name in enumerate(names, start=1):
        if n_files > MAX_FILES:
            raise BundleError(f"more than {MAX_FILES} files; a bundle has fewer")
        check_file_name(name)
        parts = name.split("/")
        prefixes = ["/".join(parts[:i]) for i in range(1, len(parts) + 1)]
        for prefix in prefixes:
            other = spellings.setdefault(prefix.casefold(), prefix)
            if other != prefix:
                raise BundleError(
                    f"file names {other} and {prefix} differ in case only; rename one"
                )
        files.add(name)
        folders.update(prefixes[:-1])
    if both := files & folders:
        raise BundleError(f"file name {min(both)} is also a folder; rename one")


def _name_fault(name: object) -> str | None:
    """What is wrong with the name of a file; None if nothing is."""
    if not isinstance(name, str) or not name:
        return "is not a non-empty string"
    if len(name) > 200 or name.count("/") > 7:
        return "is longer than 200 characters or deeper than 8 levels"
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        return "has a control character"
    if "\\" in name:
        return "has a backslash"
    if ":" in name:
        return "has a colon or a drive letter"
    if name.startswith("/"):
        return "is absolute"
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "has an empty, '.' or '..' part"
    if not all(_PART.fullmatch(part) for part in parts):
        return "has a part that is not 1 to 100 of A-Z, a-z, 0-9, '.', '-', '_' (no leading '.')"
    if any(part.endswith(".") or part.split(".")[0].lower() in _RESERVED for part in parts):
        return "means something special on Windows"
    return f"is reserved for {name.casefold()}" if name.casefold() in UNLISTED else None
