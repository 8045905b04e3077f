"""Zips: written so that equal contents are equal bytes, read without trust in what they declare."""

import contextlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from synthdetect.bundle.names import check_file_name
from synthdetect.errors import BundleError

_CHUNK = 2**18

_MAX_ZIP_READ = 2**20  # a central directory of 257 entries is far smaller

# What zipfile and zlib raise on damaged archives, found by fuzzing; RuntimeError is encryption.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    EOFError,
    ValueError,
    OverflowError,
    IndexError,
)


def write_zip(stream: IO[bytes], contents: Mapping[str, bytes]) -> None:
    """Write a zip whose bytes depend on `contents` only (order included).

    Parameters
    ----------
    stream : binary file
        Open for writing, seekable.
    contents : mapping of str to bytes
        Names to contents; stored, as compressors differ between machines and weights hardly shrink.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name)  # its default time is 1980-01-01
            entry.create_system = 3  # Unix, wherever it is written
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)


@contextlib.contextmanager
def open_zip(
    stream: IO[bytes], where: str, max_entries: int
) -> Iterator[tuple[dict[str, int], Callable[..., bytes]]]:
    """Open an untrusted zip with bounded memory.

    Parameters
    ----------
    stream : binary file
        Open for reading, seekable.
    where : str
        Name for the errors.
    max_entries : int
        More are refused; folders count.

    Yields
    ------
    sizes : dict of str to int
        Declared size of each file; its safety as a path is the caller's to check.
    read : callable
        `read(name, size)` gives the content, or raises if it has not exactly `size` bytes;
        `read(name, size, n)` gives at most its first `n` bytes.

    Raises
    ------
    BundleError
        If the zip is damaged, encrypted, holds a link, a name twice or a method other than stored
        and deflated (LZMA may ask for gigabytes).
    """
    with _zip_errors(where), zipfile.ZipFile(_BoundedReads(stream)) as archive:
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in archive.infolist():
            _check_zip_entry(entry, where)
            if entry.orig_filename in entries or len(entries) >= max_entries:
                twice = entry.orig_filename in entries
                fault = f"{entry.filename!a} twice" if twice else f"over {max_entries} entries"
                raise BundleError(f"{where}: the zip has {fault}; get it again")
            entries[entry.orig_filename] = entry

        def read(name: str, size: int, n: int | None = None) -> bytes:
            with _zip_errors(f"{where}: {name}"), archive.open(entries[name]) as content:
                if n is not None:
                    return content.read(min(size, n))
                return read_exactly(content, size, f"{where}: {name}")

        yield {name: e.file_size for name, e in entries.items() if not e.is_dir()}, read


def read_exactly(stream: IO[bytes], size: int, where: str) -> bytes:
    """All of `stream`, which must have `size` bytes; never holds more than one byte beyond."""
    chunks = []
    left = size + 1
    while left and (chunk := stream.read(min(left, _CHUNK))):
        chunks.append(chunk)
        left -= len(chunk)
    if left != 1:
        got = f"more than {size}" if left == 0 else f"{size + 1 - left}"
        raise BundleError(f"{where} has {got} bytes, not {size}; get the bundle again")
    return b"".join(chunks)


class _BoundedReads(io.BufferedIOBase):
    """A file for zipfile, which would read a central directory of any declared size at once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int | None = -1, /) -> bytes:
        limit = _MAX_ZIP_READ + 1
        content = self._stream.read(limit if size is None or size < 0 else min(size, limit))
        if len(content) > _MAX_ZIP_READ:
            raise zipfile.BadZipFile("its directory is too large")
        return content

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _check_zip_entry(entry: zipfile.ZipInfo, where: str) -> None:
    # orig_filename, as zipfile cuts filename at a NUL.
    name = entry.orig_filename
    unix_kind = stat.S_IFMT(entry.external_attr >> 16)
    fault = None
    if entry.flag_bits & 0x41:
        fault = "is encrypted; give an archive without a password"
    elif unix_kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
        fault = "is a symbolic link or a special file; put the file itself there"
    elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        fault = f"has compression method {entry.compress_type}; store or deflate it"
    elif entry.is_dir() and entry.file_size:
        fault = "is a folder with content; get the archive again"
    if fault is not None:
        raise BundleError(f"{where}: {ascii(name)[:120]} {fault}")
    if entry.is_dir():
        try:
            check_file_name(name.removesuffix("/"))
        except BundleError as error:
            raise BundleError(f"{where}: {error}") from error


@contextlib.contextmanager
def _zip_errors(where: str) -> Iterator[None]:
    try:
        yield
    except BundleError:
        raise
    except _ZIP_ERRORS as error:
        raise BundleError(f"{where}: it is not a whole zip ({error}); get it again") from error
