"""A bundle as files: hashes, a safe read, a write that cannot tear.

A bundle is a folder, or the same as one `.zip`: `manifest.json` and the files that it lists.
Reading checks names, kinds, sizes and SHA-256 of everything before any other parser sees a byte;
all of it is held in memory (at most 1 GiB).

How a bundle is replaced. Everything is written to a hidden sibling and synced first. A `.zip` then
takes its place in one atomic rename. A folder that is not empty cannot be replaced in one portable
step, so: (1) old -> `.{name}.synthdetect-backup`, (2) new -> `{name}`, (3) backup -> a temporary
name, which is deleted. Between (1) and (2), and only then, the backup exists and the bundle does
not; so if that is what is found, a read reads the backup, and a write keeps it until its own bundle
is in place. As (3) renames before it deletes, a backup is always whole. Nothing is locked: of two
writers at a time one may fail, but neither tears the other's bundle.
"""

import contextlib
import errno
import hashlib
import io
import os
import re
import secrets
import shutil
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from synthdetect.bundle.manifest import (
    MANIFEST_NAME,
    MAX_FILES,
    MAX_MANIFEST_BYTES,
    MAX_TOTAL_BYTES,
    FileEntry,
    Manifest,
    check_file_name,
    check_file_names,
    parse_json,
)
from synthdetect.errors import BundleError

_CHUNK = 2**18
_MAX_ZIP_READ = 2**20  # a central directory of 257 entries is far smaller
_MAX_ZIP_BYTES = MAX_TOTAL_BYTES + MAX_MANIFEST_BYTES + 2**20
_STALE_S = 3600.0
_READ_ATTEMPTS = 5
# Without O_NONBLOCK, opening a FIFO waits for a writer that never comes.
_OPEN_FLAGS = os.O_RDONLY | sum(
    getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC")
)
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


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory.

    Parameters
    ----------
    manifest : Manifest
        Complete, with the hashes of `files`.
    files : mapping of str to bytes
        Every file but `manifest.json`; each has the size and the SHA-256 that the manifest says.
    digest : str
        SHA-256 of the bytes of `manifest.json`, and so of everything: the identity of the bundle.
    """

    manifest: Manifest
    files: Mapping[str, bytes] = field(repr=False)
    digest: str


def write_bundle(
    path: str | os.PathLike[str], manifest: Manifest, files: Mapping[str, bytes]
) -> Bundle:
    """Write a bundle, or replace one, so that `path` never holds half of it.

    Parameters
    ----------
    path : str or path-like
        A name that ends in `.zip` gives a zip (stored, fixed times: equal bundles are equal bytes),
        any other a folder. The folder it lies in must exist.
    manifest : Manifest
        Its `files` are ignored and computed anew.
    files : mapping of str to bytes
        Relative names with `/` to contents.

    Returns
    -------
    bundle : Bundle
        Equal to what `read_bundle(path)` gives.

    Raises
    ------
    BundleError
        If the manifest or a name is not valid, if something that is not a bundle lies at `path`, or
        if the disk refuses. What was at `path` is then as before, and no temporary file is left.
    """
    target = _real(path)
    bundle, content = _seal(manifest, files)
    contents = {MANIFEST_NAME: content, **bundle.files}
    with _disk_errors(target, "check the permissions and the free space, then save again"):
        if not target.parent.is_dir():
            raise BundleError(f"{target}: folder {target.parent} does not exist; create it first")
        _remove_stale(target)
        if target.suffix.lower() == ".zip":
            _write_zip_bundle(target, contents)
        else:
            _write_folder_bundle(target, contents)
    return bundle


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle and verify all of it.

    Parameters
    ----------
    path : str or path-like
        A folder or a zip. The path itself may be a symbolic link; nothing inside a bundle may.

    Returns
    -------
    bundle : Bundle

    Raises
    ------
    BundleError
        If anything is missing, extra, changed, unsafe or too large, or cannot be read. The message
        names the file and says what to do.
    """
    target = _real(path)
    for _ in range(_READ_ATTEMPTS):
        backup = backup_path(target)
        source = backup if not os.path.lexists(target) and os.path.lexists(backup) else target
        before = _identity(source)
        try:
            return _read(source)
        except BundleError:
            # A bundle that was replaced while it was read is not a damaged one.
            if _identity(source) == before:
                raise
    raise BundleError(f"{target}: it is replaced again and again; read it when its writer is done")


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
) -> Iterator[tuple[dict[str, int], Callable[[str, int], bytes]]]:
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
        `read(name, size)` gives the content, or raises if it has not exactly `size` bytes.

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

        def read(name: str, size: int) -> bytes:
            with _zip_errors(f"{where}: {name}"), archive.open(entries[name]) as content:
                return _read_exactly(content, size, f"{where}: {name}")

        yield {name: e.file_size for name, e in entries.items() if not e.is_dir()}, read


def _seal(manifest: Manifest, files: Mapping[str, bytes]) -> tuple[Bundle, bytes]:
    """The bundle of `files` and the bytes of its manifest."""
    check_file_names(files)
    for name, content in files.items():
        if not isinstance(content, bytes):
            raise BundleError(f"{name}: it is {type(content).__name__}; give its content as bytes")
    contents = {name: files[name] for name in sorted(files)}
    entries = {
        name: FileEntry(hashlib.sha256(content).hexdigest(), len(content))
        for name, content in contents.items()
    }
    content = replace(manifest, files=entries).to_json()
    # Parsed back, so that what is returned is what will be read, and what is written is readable.
    manifest = Manifest.from_json(content)
    return Bundle(manifest, contents, hashlib.sha256(content).hexdigest()), content


def _write_zip_bundle(target: Path, contents: Mapping[str, bytes]) -> None:
    _check_replaceable(target, stat.S_ISREG)
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


def _write_folder_bundle(target: Path, contents: Mapping[str, bytes]) -> None:
    backup = backup_path(target)
    # The backup is looked for first: if it exists now and the target does later, the target is new.
    if os.path.lexists(backup) and os.path.lexists(target):
        _retire(backup, target)
    _check_replaceable(target, stat.S_ISDIR)
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
        _check_replaceable(backup, stat.S_ISDIR)
        trash = _temporary(target)
        backup.rename(trash)
        _discard(trash)


def _check_replaceable(target: Path, right_kind: Callable[[int], bool]) -> None:
    """Refuse to replace what is not a bundle, or holds files that are not the bundle's."""
    if not os.path.lexists(target):
        return
    advice = "move it away, or save to another path"
    if not right_kind(target.lstat().st_mode):
        kind = "zip" if right_kind is stat.S_ISREG else "folder"
        raise BundleError(f"{target}: something that is not a bundle's {kind} is there; {advice}")
    try:
        with _source(target) as (sizes, read):
            manifest = parse_json(read(MANIFEST_NAME, sizes[MANIFEST_NAME]))
            ours = type(manifest["schema_version"]) is int and len(manifest["members"]) > 0
            others = set(sizes) - {MANIFEST_NAME} - set(manifest["files"])
    except (BundleError, KeyError, TypeError) as error:
        raise BundleError(f"{target}: it is not a bundle ({error}); {advice}") from error
    if others or not ours:
        raise BundleError(
            f"{target}: it has files that are no part of a bundle "
            f"({', '.join(map(ascii, sorted(others)[:5]))}); {advice}"
        )


def _read(path: Path) -> Bundle:
    """Verify the bundle at `path`; nothing is trusted before its hash is right."""
    with (
        _disk_errors(path, "check that it exists and may be read, or get the bundle again"),
        _source(path) as (sizes, read),
    ):
        if MANIFEST_NAME not in sizes:
            raise BundleError(f"{path}: {MANIFEST_NAME} is missing; give the path of a bundle")
        if sizes[MANIFEST_NAME] > MAX_MANIFEST_BYTES:
            raise BundleError(
                f"{path}: {MANIFEST_NAME} has {sizes[MANIFEST_NAME]} bytes, more than "
                f"{MAX_MANIFEST_BYTES}; get the bundle again"
            )
        content = read(MANIFEST_NAME, sizes[MANIFEST_NAME])
        try:
            manifest = Manifest.from_json(content)
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from error
        _compare(path, set(manifest.files), set(sizes) - {MANIFEST_NAME})
        files = {}
        for name, entry in sorted(manifest.files.items()):
            if sizes[name] != entry.size:
                raise _changed(path, name, f"{sizes[name]} bytes", f"{entry.size}")
            files[name] = read(name, entry.size)
            digest = hashlib.sha256(files[name]).hexdigest()
            if digest != entry.sha256:
                raise _changed(path, name, f"SHA-256 {digest[:12]}...", f"{entry.sha256[:12]}...")
        return Bundle(manifest, files, hashlib.sha256(content).hexdigest())


def _compare(path: Path, wanted: set[str], found: set[str]) -> None:
    for fault, names in (("missing", wanted - found), ("extra", found - wanted)):
        if names:
            shown = ", ".join(map(ascii, sorted(names)[:5])) + (", ..." if len(names) > 5 else "")
            raise BundleError(f"{path}: {fault} files: {shown}; get the bundle again")


def _changed(path: Path, name: str, got: str, wanted: str) -> BundleError:
    return BundleError(
        f"{path}: {name} has {got}, the manifest says {wanted}; get the bundle again"
    )


@contextlib.contextmanager
def _source(path: Path) -> Iterator[tuple[dict[str, int], Callable[[str, int], bytes]]]:
    """Sizes of the files of a folder or a zip, and a bounded read of each; names are checked."""
    if stat.S_ISDIR(path.lstat().st_mode):
        sizes = _folder_sizes(path)
        _check_names(path, sizes)
        yield sizes, lambda name, size: _read_file(path, name, size)
        return
    with _open_regular(path, str(path)) as stream:
        if os.fstat(stream.fileno()).st_size > _MAX_ZIP_BYTES:
            raise BundleError(f"{path}: it is larger than {_MAX_ZIP_BYTES} bytes; no bundle is")
        with open_zip(stream, str(path), 2 * MAX_FILES) as (sizes, read):
            _check_names(path, sizes)
            yield sizes, read


def _check_names(path: Path, names: Mapping[str, int]) -> None:
    try:
        check_file_names(name for name in names if name != MANIFEST_NAME)
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
                if name != MANIFEST_NAME:
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
        return _read_exactly(stream, size, f"{folder}: {name}")


def _read_exactly(stream: IO[bytes], size: int, where: str) -> bytes:
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


@contextlib.contextmanager
def _disk_errors(path: Path, advice: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        name = f" ({error.filename})" if error.filename not in (None, str(path)) else ""
        raise BundleError(f"{path}: {reason}{name}; {advice}") from error


def _real(path: str | os.PathLike[str]) -> Path:
    """Absolute, links followed: a link to a bundle stays when the bundle is replaced."""
    try:
        return Path(os.path.realpath(os.fspath(path)))
    except (TypeError, ValueError, OSError) as error:
        raise BundleError(f"{ascii(path)[:120]}: not a path ({error}); give a string") from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.synthdetect-tmp")


def _remove_stale(target: Path) -> None:
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
