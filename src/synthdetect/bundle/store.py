"""Where downloads are kept: each in a folder of its own, put there whole by one rename.

    SYNTHDETECT_HOME/               by default the user's folder for caches
        bundles/<key>/bundle.zip    as downloaded, or packed from what was
        bundles/<key>/record.json   from where, when, which SHA-256
        locks/<key>.lock            held while <key> changes

A folder under `bundles/` whose name begins with a dot is a download under way, or what a killed one
left; the next one of the same key, which holds the lock, removes it.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock
import platformdirs

from synthdetect.bundle.disk import disk_errors
from synthdetect.errors import BundleError

HOME_VARIABLE = "SYNTHDETECT_HOME"
OFFLINE_VARIABLE = "SYNTHDETECT_OFFLINE"

ZIP_NAME = "bundle.zip"
_RECORD_NAME = "record.json"
_KEY = re.compile(r"[0-9a-f]{64}|hf-[0-9a-f]{40}")
_MAX_RECORD_BYTES = 2**16
_ADVICE = f"check its permissions and the free space, or set {HOME_VARIABLE} to another folder"


@dataclass(frozen=True)
class Record:
    """What is known of a download.

    Parameters
    ----------
    address : str
        Where it came from.
    sha256 : str
        Of the zip in the store.
    size : int
        Bytes of the zip.
    fetched : str
        ISO 8601 time.
    commit : str or None
        Of a repository: what the revision meant then.
    """

    address: str
    sha256: str
    size: int
    fetched: str
    commit: str | None = None


def offline() -> bool:
    """Return whether `SYNTHDETECT_OFFLINE` forbids downloads; all but an empty value or 0 does."""
    value = os.environ.get(OFFLINE_VARIABLE, "").strip().lower()
    return value not in ("", "0", "false", "no", "off")


def home() -> Path:
    """Return the folder of downloads: `SYNTHDETECT_HOME`, or the user's folder for caches."""
    chosen = os.environ.get(HOME_VARIABLE, "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("synthdetect", appauthor=False)


def zip_path(key: str) -> Path:
    """Return where the zip of a download is, or would be."""
    return home() / "bundles" / key / ZIP_NAME


def stored_keys() -> list[str]:
    """Return the keys of what was downloaded, sorted."""
    folder = home() / "bundles"
    with disk_errors(folder, _ADVICE):
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if _KEY.fullmatch(path.name))


def read_record(key: str) -> Record | None:
    """Return what is known of a download; None if that is nothing, or damaged."""
    try:
        with (home() / "bundles" / key / _RECORD_NAME).open("rb") as stream:
            tree = json.loads(stream.read(_MAX_RECORD_BYTES))
        record = Record(**tree)
        kinds = (str, str, int, str, str | None)
        fits = all(map(isinstance, asdict(record).values(), kinds))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return record if fits else None


def intact(key: str) -> bool:
    """Return whether a download is there, with the SHA-256 that it came with."""
    record = read_record(key)
    # A web address has its hash as its key, which no change of the record can alter.
    wanted = record.sha256 if key.startswith("hf-") and record is not None else key
    try:
        return sha256_of(zip_path(key)) == wanted
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits; OSError if it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def locked(key: str, *, timeout_s: float) -> Iterator[None]:
    """Hold the lock of a key, which no other process or thread then holds.

    Parameters
    ----------
    key : str
    timeout_s : float
        How long to wait for whoever holds it.

    Raises
    ------
    BundleError
        If it is held for longer, or the folder cannot be written.
    """
    folder = home() / "locks"
    with disk_errors(folder, _ADVICE):
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / f"{key}.lock")
        try:
            lock.acquire(timeout=timeout_s)
        except filelock.Timeout as error:
            raise BundleError(
                f"{folder / f'{key}.lock'}: another process has been downloading this for over "
                f"{timeout_s:.0f} s; wait for it, or end it, and try again"
            ) from error
    try:
        yield
    finally:
        lock.release()


def put(key: str, fetch: Callable[[Path], Record]) -> None:
    """Fill an empty folder and put it in the place of a key; to be called under its lock.

    Parameters
    ----------
    key : str
    fetch : callable
        Gets a folder, writes `bundle.zip` there and returns its record. If it raises, the store is
        as it was.
    """
    folder = home() / "bundles"
    stage = folder / f".{key}.{secrets.token_hex(4)}"
    with disk_errors(folder, _ADVICE):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_stages(folder, key)
        try:
            stage.mkdir()
            record = fetch(stage)
            text = json.dumps(asdict(record), indent=2) + "\n"
            (stage / _RECORD_NAME).write_text(text, encoding="utf-8")
            for path in stage.iterdir():
                _sync(path)
            discard(key)  # what was there is damaged, or the caller would not ask
            stage.rename(folder / key)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def discard(key: str) -> bool:
    """Remove a download; to be called under its lock. Returns whether it was there."""
    folder = home() / "bundles"
    with disk_errors(folder, _ADVICE):
        if not (folder / key).exists():
            return False
        # Renamed first: a process that is killed half-way leaves no half bundle under the key.
        trash = folder / f".{key}.{secrets.token_hex(4)}"
        (folder / key).rename(trash)
        shutil.rmtree(trash)
    return True


def _remove_stages(folder: Path, key: str) -> None:
    for path in folder.glob(f".{key}.*"):
        shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    """Have the disk hold a file before a rename makes it visible."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
