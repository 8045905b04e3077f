"""A bundle from a model repository of the Hugging Face Hub.

The manifest comes first; what it lists follows, from the commit that the manifest was of. Nothing
else of the repository is downloaded, so a README beside the bundle does not matter. Sizes are asked
for before each download.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from synthdetect.bars import Progress, silent
from synthdetect.bundle.address import HfAddress, check_transport
from synthdetect.bundle.download import DownloadLimits
from synthdetect.bundle.format import SIGNATURE_BYTES
from synthdetect.bundle.manifest import Manifest
from synthdetect.bundle.names import SIGNATURE_NAME
from synthdetect.bundle.strict_json import MANIFEST_NAME, MAX_MANIFEST_BYTES
from synthdetect.errors import BundleError
from synthdetect.optional import require

EXTRA = "hf"
FILES_FOLDER = "files"


def download_hf(
    address: HfAddress, folder: Path, limits: DownloadLimits, progress: Progress = silent
) -> tuple[Path, str]:
    """Download the files of a bundle; whoever reads them checks their hashes.

    Parameters
    ----------
    address : HfAddress
    folder : Path
        Gets a folder `FILES_FOLDER` with the files.
    limits : DownloadLimits
    progress : callable, optional
        Counts files.

    Returns
    -------
    path : Path
        Of the bundle's folder or zip.
    commit : str
        What the address's revision means now.

    Raises
    ------
    BundleError
        If the Hub does not have it or refuses it, its manifest is not valid, or it is too large.
    MissingExtraError
        If huggingface_hub is not installed.
    """
    repository = _Repository(address, folder / FILES_FOLDER, limits)
    with repository.errors():
        if address.sub.endswith(".zip"):
            path = repository.get(address.sub, limits.max_bytes)
        else:
            path = _get_folder(repository, address, limits, progress)
    # What the Hub's library remembers of its downloads; in a bundle it would be an extra file.
    shutil.rmtree(folder / FILES_FOLDER / ".cache", ignore_errors=True)
    return path, repository.commit


def _get_folder(
    repository: "_Repository", address: HfAddress, limits: DownloadLimits, progress: Progress
) -> Path:
    prefix = f"{address.sub}/" if address.sub else ""
    path = repository.get(prefix + MANIFEST_NAME, MAX_MANIFEST_BYTES)
    try:
        manifest = Manifest.from_json(path.read_bytes())
    except BundleError as error:
        raise BundleError(f"{address}: {error}") from error
    total = sum(entry.size for entry in manifest.files.values())
    if total > limits.max_bytes:
        raise BundleError(f"{address}: it has {total} bytes, more than {limits.max_bytes}")
    with progress("files", len(manifest.files)) as advance:
        for name, entry in manifest.files.items():
            repository.get(prefix + name, entry.size)
            advance()
    if repository.has(prefix + SIGNATURE_NAME):
        repository.get(prefix + SIGNATURE_NAME, SIGNATURE_BYTES)
    return path.parent


class _Repository:
    """Files of one commit; the first that is asked for decides which."""

    def __init__(self, address: HfAddress, folder: Path, limits: DownloadLimits) -> None:
        self._hf = require("huggingface_hub", extra=EXTRA)
        self._errors = require("huggingface_hub.errors", extra=EXTRA)
        self._address = address
        self._folder = folder
        self._limits = limits
        self.commit = ""
        # As the library has it, which looks at the environment only when it is imported.
        default = require("huggingface_hub.constants", extra=EXTRA).ENDPOINT
        self._endpoint = (os.environ.get("HF_ENDPOINT") or default).rstrip("/")
        parts = urlsplit(self._endpoint)
        check_transport(parts.scheme, parts.hostname or "", f"HF_ENDPOINT {self._endpoint}")

    def get(self, name: str, max_bytes: int) -> Path:
        """Download a file, which must not be larger than said; return where it is."""
        size = self._size(name)
        if size is None or size > max_bytes:
            told = "the Hub tells no size" if size is None else f"it has {size} bytes"
            raise BundleError(f"{self._address}: {name}: {told}, expected at most {max_bytes}")
        path = self._hf.hf_hub_download(
            self._address.repo,
            name,
            revision=self.commit,
            local_dir=self._folder,
            etag_timeout=self._limits.silence_s,
            endpoint=self._endpoint,
        )
        return Path(path)

    def has(self, name: str) -> bool:
        """Return whether the repository has a file."""
        try:
            self._size(name)
        except self._errors.EntryNotFoundError:
            return False
        return True

    def _size(self, name: str) -> int | None:
        url = self._hf.hf_hub_url(
            self._address.repo,
            name,
            revision=self.commit or self._address.revision,
            endpoint=self._endpoint,
        )
        metadata = self._hf.get_hf_file_metadata(url, timeout=self._limits.silence_s)
        if not self.commit:
            if not metadata.commit_hash:
                raise BundleError(f"{self._address}: the Hub tells no commit; check HF_ENDPOINT")
            self.commit = metadata.commit_hash
        size: int | None = metadata.size
        return size

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the Hub's library raises into one line; show no progress bars."""
        bars = require("huggingface_hub.utils", extra=EXTRA)
        # Of requests or of httpx, whichever the library uses: the base of what a connection raises.
        transport = self._errors.HfHubHTTPError.__bases__
        hidden = bars.are_progress_bars_disabled()
        bars.disable_progress_bars()
        try:
            yield
        except BundleError:
            raise
        except self._errors.GatedRepoError as error:
            raise self._failed("it is gated; ask for access on its page, and log in") from error
        except self._errors.RepositoryNotFoundError as error:
            raise self._failed("no such repository, or a private one; log in, if so") from error
        except self._errors.RevisionNotFoundError as error:
            raise self._failed(f"no such revision {self._address.revision}") from error
        except self._errors.EntryNotFoundError as error:
            raise self._failed(
                f"no {MANIFEST_NAME}, or a file that it lists, at this place of the repository"
            ) from error
        except (OSError, ValueError, *transport) as error:
            raise self._failed(f"{_first_line(error)}; try again later") from error
        finally:
            if not hidden:
                bars.enable_progress_bars()

    def _failed(self, reason: str) -> BundleError:
        return BundleError(f"{self._address}: {reason}")


def _first_line(error: BaseException) -> Any:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
