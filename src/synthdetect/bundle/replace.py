"""Put a bundle in its place so that at every moment the old or the new one is whole.

The steps are in the text of `synthdetect.bundle.format`.
"""

import contextlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from synthdetect.bundle.archive import write_zip
from synthdetect.bundle.disk import open_source
from synthdetect.bundle.names import UNLISTED
from synthdetect.bundle.strict_json import MANIFEST_NAME, parse_json
from synthdetect.errors import BundleError

_STALE_S = 3600.0


def backup_path(path: str | os.PathLike[str]) -> Path:
    """Return where a folder waits while it is replaced; see the module's text.

    Parameters
    ----------
    path : str or path-like
        Of a bundle.

    Returns
    -------
    backup : Path
        A hidden sibling.
    """
    target = Path(path)
    return target.with_name(f".{target.name}.synthdetect-backup") if target.name else target


def is_zip(target: Path) -> bool:
    """Say whether a bundle of this name is one file."""
    return target.suffix.lower() == ".zip"


def write_zip_bundle(target: Path, contents: Mapping[str, bytes]) -> None:
    check_replaceable(target)
    stage = _temporary(target)
    try:
        with stage.open("xb") as stream:
            write_zip(stream, contents)
            _sync(stream)
        os.replace(stage, target)  # noqa: PTH105
    except BaseException:
        _discard(stage)
        raise
    _sync_folder(target.parent)


def write_folder_bundle(target: Path, contents: Mapping[str, bytes]) -> None:
    backup = backup_path(target)
    # The backup is looked for first: if it exists now and the target does later, the target is new.
    if os.path.lexists(backup) and os.path.lexists(target):
        _retire(backup, target)
    check_replaceable(target)
    stage = _temporary(target)
    try:
        _write_files(stage, contents)
        if os.path.lexists(target):
            target.rename(backup)
            try:
                stage.rename(target)
            except BaseException:
                # This fails if the new bundle is in place already: an interrupt came just after.
                with contextlib.suppress(OSError):
                    backup.rename(target)
                raise
        else:
            stage.rename(target)
    except BaseException:
        _discard(stage)
        raise
    _sync_folder(target.parent)
    with contextlib.suppress(
        OSError, BundleError
    ):  # the new bundle is written; a backup is harmless
        _retire(backup, target)


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    folder.mkdir()
    folders = {folder}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folders.update(parent for parent in path.parents if folder in parent.parents)
        with path.open("xb") as stream:
            stream.write(content)
            _sync(stream)
    for path in folders:
        _sync_folder(path)


def _retire(backup: Path, target: Path) -> None:
    """Delete a backup that is no longer needed; renamed first, as backups are whole."""
    if os.path.lexists(backup):
        check_replaceable(backup)
        trash = _temporary(target)
        backup.rename(trash)
        _discard(trash)


def check_replaceable(target: Path) -> None:
    """Raise BundleError if what lies there is no bundle of the kind that its name asks for.

    Nor is one that holds files which are not the bundle's.
    """
    if not os.path.lexists(target):
        return
    advice = "move it away, or save to another path"
    right_kind, kind = (stat.S_ISREG, "zip") if is_zip(target) else (stat.S_ISDIR, "folder")
    if not right_kind(target.lstat().st_mode):
        raise BundleError(f"{target}: something that is not a bundle's {kind} is there; {advice}")
    try:
        with open_source(target) as (sizes, read):
            manifest = parse_json(read(MANIFEST_NAME, sizes[MANIFEST_NAME]))
            ours = type(manifest["schema_version"]) is int and len(manifest["members"]) > 0
            others = set(sizes) - set(UNLISTED) - set(manifest["files"])
    except (BundleError, KeyError, TypeError) as error:
        raise BundleError(f"{target}: what is there is not a bundle; {advice}") from error
    if others or not ours:
        raise BundleError(
            f"{target}: it has files that are no part of a bundle "
            f"({', '.join(map(ascii, sorted(others)[:5]))}); {advice}"
        )


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.synthdetect-tmp")


def remove_stale(target: Path) -> None:
    """Delete what writers of this bundle left behind when they were killed, over an hour ago."""
    ours = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.synthdetect-tmp")
    with os.scandir(target.parent) as entries:
        found = [entry for entry in entries if ours.fullmatch(entry.name)]
    for entry in found:
        with contextlib.suppress(OSError):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE_S:
                _discard(Path(entry.path))


def _discard(path: Path) -> None:
    """Delete a file or folder that we made; best effort."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _sync(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make renames last through a power cut, where the system can."""
    with contextlib.suppress(OSError):  # Windows and some network disks cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
