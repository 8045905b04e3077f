"""A bundle as files: hashes, a safe read, a write that cannot tear.

A bundle is a folder, or the same as one `.zip`: `manifest.json`, the files that it lists and, if it
is signed, `manifest.sig`, whose meaning is `synthdetect.bundle.signature`'s.
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

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from synthdetect.bundle.disk import disk_errors, open_source
from synthdetect.bundle.entries import FileEntry
from synthdetect.bundle.manifest import Manifest
from synthdetect.bundle.names import SIGNATURE_NAME, UNLISTED, check_file_names
from synthdetect.bundle.replace import (
    backup_path,
    check_replaceable,
    is_zip,
    remove_stale,
    write_folder_bundle,
    write_zip_bundle,
)
from synthdetect.bundle.strict_json import MANIFEST_NAME, MAX_MANIFEST_BYTES
from synthdetect.errors import BundleError

_READ_ATTEMPTS = 5

# Public key and signature, both of Ed25519.
SIGNATURE_BYTES = 32 + 64


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory.

    Parameters
    ----------
    manifest : Manifest
        Complete, with the hashes of `files`.
    files : mapping of str to bytes
        Every file but `manifest.json` and `manifest.sig`; each has the size and the SHA-256 that
        the manifest says.
    digest : str
        SHA-256 of the bytes of `manifest.json`, and so of everything: the identity of the bundle.
    manifest_bytes : bytes
        Those of `manifest.json`, which a signature covers.
    signature : bytes or None
        Those of `manifest.sig`, if there is one. Reading checks their number and nothing else.
    """

    manifest: Manifest
    files: Mapping[str, bytes] = field(repr=False)
    digest: str
    manifest_bytes: bytes = field(repr=False)
    signature: bytes | None = field(default=None, repr=False)

    def contents(self) -> dict[str, bytes]:
        """Return every file by its name, `manifest.json` first."""
        contents = {MANIFEST_NAME: self.manifest_bytes, **self.files}
        return contents if self.signature is None else contents | {SIGNATURE_NAME: self.signature}


def write_bundle(
    path: str | os.PathLike[str],
    manifest: Manifest,
    files: Mapping[str, bytes],
    *,
    sign: Callable[[bytes], bytes | None] | None = None,
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
    sign : callable, optional
        Gets the bytes of `manifest.json` and returns those of `manifest.sig`, or None for no
        signature.

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
    bundle = _seal(manifest, files)
    if sign is not None:
        bundle = replace(bundle, signature=sign(bundle.manifest_bytes))
    contents = bundle.contents()
    with disk_errors(target, "check the permissions and the free space, then save again"):
        if not target.parent.is_dir():
            raise BundleError(f"{target}: folder {target.parent} does not exist; create it first")
        remove_stale(target)
        if is_zip(target):
            write_zip_bundle(target, contents)
        else:
            write_folder_bundle(target, contents)
    return bundle


def check_target(path: str | os.PathLike[str]) -> None:
    """Refuse, before the work, what `write_bundle` would refuse to replace after it.

    Parameters
    ----------
    path : str or path-like
        Where a bundle is going.

    Raises
    ------
    BundleError
        If something that is not a bundle lies there.
    """
    check_replaceable(_real(path))


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


def _seal(manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """The unsigned bundle of `files`."""
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
    return Bundle(manifest, contents, hashlib.sha256(content).hexdigest(), content)


def _read(path: Path) -> Bundle:
    """Verify the bundle at `path`; nothing is trusted before its hash is right."""
    with (
        disk_errors(path, "check that it exists and may be read, or get the bundle again"),
        open_source(path) as (sizes, read),
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
        _compare(path, set(manifest.files), set(sizes) - set(UNLISTED))
        signature = None
        if SIGNATURE_NAME in sizes:
            signature = read(SIGNATURE_NAME, SIGNATURE_BYTES)
        files = {}
        for name, entry in sorted(manifest.files.items()):
            if sizes[name] != entry.size:
                raise _changed(path, name, f"{sizes[name]} bytes", f"{entry.size}")
            files[name] = read(name, entry.size)
            digest = hashlib.sha256(files[name]).hexdigest()
            if digest != entry.sha256:
                raise _changed(path, name, f"SHA-256 {digest[:12]}...", f"{entry.sha256[:12]}...")
        digest = hashlib.sha256(content).hexdigest()
        return Bundle(manifest, files, digest, content, signature)


def _compare(path: Path, wanted: set[str], found: set[str]) -> None:
    for fault, names in (("missing", wanted - found), ("extra", found - wanted)):
        if names:
            shown = ", ".join(map(ascii, sorted(names)[:5])) + (", ..." if len(names) > 5 else "")
            raise BundleError(f"{path}: {fault} files: {shown}; get the bundle again")


def _changed(path: Path, name: str, got: str, wanted: str) -> BundleError:
    return BundleError(
        f"{path}: {name} has {got}, the manifest says {wanted}; get the bundle again"
    )


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
