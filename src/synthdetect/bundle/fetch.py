"""An address to a zip in the store: what is there is used, the rest is downloaded, once."""

import os
import shutil
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from synthdetect.bars import Progress, silent
from synthdetect.bundle import store
from synthdetect.bundle.address import Address, HfAddress
from synthdetect.bundle.archive import write_zip
from synthdetect.bundle.download import DownloadLimits, download
from synthdetect.bundle.format import Bundle, read_bundle
from synthdetect.bundle.huggingface import FILES_FOLDER, download_hf
from synthdetect.bundle.store import ZIP_NAME, Record, sha256_of
from synthdetect.errors import BundleError


def fetch(
    address: Address, limits: DownloadLimits | None = None, *, progress: Progress = silent
) -> Path:
    """Return the path of a bundle on the net, which is downloaded if it is not in the store.

    Parameters
    ----------
    address : WebAddress or HfAddress
    limits : DownloadLimits, optional
    progress : callable, optional
        From what is counted and how many there are to a context manager, whose value is called
        with how many came: kilobytes of a zip, files of a repository.

    Returns
    -------
    path : Path
        Of a zip in the store, whose SHA-256 is right.

    Raises
    ------
    BundleError
        If it cannot be had, is no bundle, is not what its hash says, or is not in the store while
        `SYNTHDETECT_OFFLINE` is set.
    MissingExtraError
        If it must be downloaded and the package for that is not installed.

    Warns
    -----
    UserWarning
        If an address of a repository names neither a commit nor a hash, when it is downloaded: what
        it means then is what it means from then on.
    """
    limits = limits or DownloadLimits()
    if store.intact(address.key):
        return store.zip_path(address.key)
    if store.offline():
        there = store.zip_path(address.key).exists()
        state = "is in the store but damaged" if there else "is not in the store"
        raise BundleError(
            f"{address}: it {state}, and {store.OFFLINE_VARIABLE} is set; "
            "unset it once to download the bundle, or give the path of a copy"
        )
    with store.locked(address.key, timeout_s=limits.total_s):
        if not store.intact(address.key):  # another process may have been quicker
            store.put(address.key, lambda folder: _fill(folder, address, limits, progress))
    return store.zip_path(address.key)


def _fill(folder: Path, address: Address, limits: DownloadLimits, progress: Progress) -> Record:
    """Download into a folder, and refuse what is no bundle."""
    commit = None
    if isinstance(address, HfAddress):
        files, commit = download_hf(address, folder, limits, progress)
        bundle = _read(files, address)
        if address.sha256 not in (None, bundle.digest):
            raise BundleError(
                f"{address}: its manifest.json has SHA-256 {bundle.digest}; "
                "do not use it before its publisher has told you which is right"
            )
        _pack(files, bundle, folder / ZIP_NAME)
        if not address.is_pinned:
            _warn_of_unpinned(address, commit)
    else:
        bundle = _read(download(address, folder, limits, progress), address)
    path = folder / ZIP_NAME
    shutil.rmtree(folder / FILES_FOLDER, ignore_errors=True)
    fetched = datetime.now(UTC).isoformat(timespec="seconds")
    return Record(str(address), sha256_of(path), path.stat().st_size, fetched, commit)


def _read(path: Path, address: Address) -> Bundle:
    """Read what came; errors name its address, as its path is gone when they are read."""
    try:
        return read_bundle(path)
    except BundleError as error:
        reason = str(error).removeprefix(f"{os.path.realpath(path)}: ")
        raise BundleError(f"{address}: what was downloaded is no sound bundle: {reason}") from error


def _pack(files: Path, bundle: Bundle, target: Path) -> None:
    """Make one zip of a bundle, byte for byte, so that a signature stays right."""
    if files.is_file():
        shutil.move(files, target)
    else:
        with target.open("xb") as stream:
            write_zip(stream, bundle.contents())


def _warn_of_unpinned(address: HfAddress, commit: str) -> None:
    pinned = replace(address, revision=commit)
    warnings.warn(
        f"{address}: {address.revision} may move; this copy, of commit {commit[:12]}, is what the "
        f"address means here until it is removed. Write {pinned} to mean it everywhere",
        stacklevel=2,
    )
