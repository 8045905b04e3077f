"""The files of a bundle on disk, folder or zip: names and kinds checked, every read bounded."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from synthdetect.bundle.archive import open_zip, read_exactly
from synthdetect.bundle.entries import MAX_TOTAL_BYTES
from synthdetect.bundle.names import MAX_FILES, UNLISTED, check_file_names
from synthdetect.bundle.strict_json import MAX_MANIFEST_BYTES
from synthdetect.errors import BundleError

MAX_ZIP_BYTES = MAX_TOTAL_BYTES + MAX_MANIFEST_BYTES + 2**20

# Without O_NONBLOCK, opening a FIFO waits for a writer that never comes.
_OPEN_FLAGS = os.O_RDONLY | sum(
    getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC")
)


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[tuple[dict[str, int], Callable[[str, int], bytes]]]:
    """Sizes of the files of a folder or a zip, and a bounded read of each; names are checked."""
    if stat.S_ISDIR(path.lstat().st_mode):
        sizes = _folder_sizes(path)
        _check_names(path, sizes)
        yield sizes, lambda name, size: _read_file(path, name, size)
        return
    with _open_regular(path, str(path)) as stream:
        if os.fstat(stream.fileno()).st_size > MAX_ZIP_BYTES:
            raise BundleError(f"{path}: it is larger than {MAX_ZIP_BYTES} bytes; no bundle is")
        with open_zip(stream, str(path), 2 * MAX_FILES) as (sizes, read):
            _check_names(path, sizes)
            yield sizes, read


def _check_names(path: Path, names: Mapping[str, int]) -> None:
    try:
        check_file_names(name for name in names if name not in UNLISTED)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


def _folder_sizes(folder: Path) -> dict[str, int]:
    """Sizes by relative name; links and special files are refused, empty folders ignored."""
    sizes: dict[str, int] = {}
    n_entries = 0
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                name = prefix + entry.name
                if (n_entries := n_entries + 1) > 2 * MAX_FILES:
                    raise BundleError(f"{folder}: over {2 * MAX_FILES} entries; no bundle has more")
                if name not in UNLISTED:
                    _check_names(folder, {name: 0})
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(f"{name}/")
                elif stat.S_ISREG(status.st_mode):
                    sizes[name] = status.st_size
                else:
                    kind = "a symbolic link" if entry.is_symlink() else "a special file"
                    raise BundleError(f"{folder}: {name} is {kind}; put the file itself there")
    return sizes


def _read_file(folder: Path, name: str, size: int) -> bytes:
    with _open_regular(folder / name, f"{folder}: {name}") as stream:
        return read_exactly(stream, size, f"{folder}: {name}")


def _open_regular(path: Path, where: str) -> IO[bytes]:
    """Open a file for reading, but no link, FIFO or device."""
    try:
        stream = os.fdopen(os.open(path, _OPEN_FLAGS), "rb")
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BundleError(f"{where} is a symbolic link; put the file itself there") from error
        raise
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise BundleError(f"{where} is not a regular file; give a folder or a zip")
    return stream


@contextlib.contextmanager
def disk_errors(path: Path, advice: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        name = f" ({error.filename})" if error.filename not in (None, str(path)) else ""
        raise BundleError(f"{path}: {reason}{name}; {advice}") from error
