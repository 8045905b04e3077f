"""A zip from a web server to disk: pooch checks its hash, this module how it travels."""

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import synthdetect
from synthdetect.bars import Progress, silent
from synthdetect.bundle.address import WebAddress, check_transport
from synthdetect.bundle.disk import MAX_ZIP_BYTES
from synthdetect.bundle.store import ZIP_NAME
from synthdetect.errors import BundleError
from synthdetect.optional import require

EXTRA = "hub"
_CHUNK = 2**16
_MAX_REDIRECTS = 5
_MAX_PAUSE_S = 30.0
_REDIRECTS = (301, 302, 303, 307, 308)
# What may be gone a moment later: busy, overloaded, a gateway's trouble.
_PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class DownloadLimits:
    """What a download may cost.

    Parameters
    ----------
    max_bytes : int
        Of the zip. By default what a bundle can have.
    attempts : int, default=4
        Of which all but the last may fail by what may pass: a broken connection, silence, status
        503.
    pause_s : float, default=0.5
        Before the second attempt, in seconds; doubled each time. A server's `Retry-After` is
        obeyed up to 30 s.
    silence_s : float, default=30.0
        After so many seconds without a byte an attempt has failed.
    total_s : float, default=3600.0
        For everything, in seconds; also how long to wait for another process's download.
    """

    max_bytes: int = MAX_ZIP_BYTES
    attempts: int = 4
    pause_s: float = 0.5
    silence_s: float = 30.0
    total_s: float = 3600.0


class _PassingError(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


def download(
    address: WebAddress, folder: Path, limits: DownloadLimits, progress: Progress = silent
) -> Path:
    """Download a zip and check its SHA-256.

    Parameters
    ----------
    address : WebAddress
    folder : Path
        Where `bundle.zip` appears once its hash is right.
    limits : DownloadLimits
    progress : callable, optional
        Counts kilobytes.

    Returns
    -------
    path : Path

    Raises
    ------
    BundleError
        If it cannot be had, is too large, or has another hash; nothing is left in `folder`.
    MissingExtraError
        If pooch is not installed.
    """
    pooch = require("pooch", extra=EXTRA)
    transfer = _Transfer(address, limits, progress)
    with _quiet(pooch):
        try:
            path = pooch.retrieve(
                address.url,
                known_hash=f"sha256:{address.sha256}",
                fname=ZIP_NAME,
                path=folder,
                downloader=transfer,
            )
        except BundleError:  # which is a ValueError, as what pooch raises of a wrong hash
            raise
        except ValueError as error:
            raise BundleError(
                f"{address}: what came ({transfer.n_bytes} bytes) has SHA-256 {transfer.sha256}; "
                "do not use it before its publisher has told you which is right"
            ) from error
    return Path(path)


class _Transfer:
    """A downloader for pooch: https only, bounded in size and time, patient with what passes."""

    def __init__(self, address: WebAddress, limits: DownloadLimits, progress: Progress) -> None:
        self._progress = progress
        self._address = address
        self._limits = limits
        self._deadline = time.monotonic() + limits.total_s
        self._requests = require("requests", extra=EXTRA)
        self._urllib3_errors = require("urllib3.exceptions", extra=EXTRA)
        # Of the last attempt, for the error; the check is pooch's.
        self.sha256 = ""
        self.n_bytes = 0

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        pause_s = self._limits.pause_s
        for attempt in range(1, self._limits.attempts + 1):
            try:
                self._attempt(url, Path(output_file))
                return
            except _PassingError as error:
                if attempt == self._limits.attempts:
                    raise self._failed(
                        f"{error}, after {attempt} attempts; try again later, or download it "
                        "yourself and give its path"
                    ) from error
                time.sleep(min(max(pause_s, error.pause_s), _MAX_PAUSE_S))
                pause_s *= 2

    def _attempt(self, url: str, target: Path) -> None:
        self.n_bytes = 0
        digest = hashlib.sha256()
        transport = (self._requests.RequestException, self._urllib3_errors.HTTPError)
        with (
            self._requests.Session() as session,
            target.open("wb") as file,
            _ends_at(self._deadline, session, self._requests),
        ):
            try:
                with self._answer(session, url) as response:
                    told = response.headers.get("Content-Length", "")
                    length = int(told) if told.isdecimal() else 0
                    self._check_size(length)
                    with self._progress("kB", -(-length // 1000)) as advance:
                        # read1 returns what has come; read would wait for a whole chunk.
                        while content := response.raw.read1(_CHUNK, decode_content=False):
                            self._check_size(self.n_bytes + len(content))
                            self._check_time()
                            self.n_bytes += len(content)
                            digest.update(content)
                            file.write(content)
                            advance(len(content) / 1000)
            except BundleError:
                raise
            except self._requests.exceptions.SSLError as error:
                self._check_time()
                raise self._failed(
                    f"its certificate is not trusted ({_reason(error)}); if it is your own, name "
                    "its authority by REQUESTS_CA_BUNDLE"
                ) from error
            except transport as error:
                self._check_time()
                raise _PassingError(f"the connection failed ({_reason(error)})") from error
            except (
                ValueError
            ) as error:  # requests looks at where a redirect leads, whatever it is told
                raise self._failed(f"the server's answer makes no sense ({error})") from error
        self.sha256 = digest.hexdigest()

    @contextlib.contextmanager
    def _answer(self, session: Any, url: str) -> Iterator[Any]:
        """The response that is the file, after at most `_MAX_REDIRECTS` redirects."""
        for _ in range(_MAX_REDIRECTS + 1):
            response = session.get(
                url,
                stream=True,
                allow_redirects=False,
                timeout=self._limits.silence_s,
                headers={
                    "Accept-Encoding": "identity",
                    "User-Agent": f"synthdetect/{synthdetect.__version__}",
                },
            )
            with response:
                self._check_time()
                if response.status_code in _REDIRECTS and response.headers.get("Location"):
                    url = self._next(url, response.headers["Location"])
                    continue
                self._check_status(response)
                yield response
                return
        raise self._failed(f"over {_MAX_REDIRECTS} redirects; get the address of the file itself")

    def _next(self, url: str, location: str) -> str:
        """The target of a redirect: https, or from this machine to this machine."""
        shown = f"{self._address}: it redirects to {ascii(location.split('?')[0])[1:-1][:200]}"
        target = urljoin(url, location)
        parts = urlsplit(target)
        if urlsplit(url).scheme == "https" and parts.scheme != "https":
            raise BundleError(f"{shown}, which is not https; get an address that stays encrypted")
        check_transport(parts.scheme, parts.hostname or "", shown)
        return target

    def _check_status(self, response: Any) -> None:
        # The reason is the server's own text.
        reason = ascii(response.reason or "")[1:-1][:80]
        status = f"status {response.status_code} {reason}".rstrip()
        if response.status_code in _PASSING:
            after = response.headers.get("Retry-After", "")
            raise _PassingError(f"the server says {status}", float(after if after.isdigit() else 0))
        if response.status_code != 200:
            hint = {
                401: "put a name and a password for it into ~/.netrc",
                403: "ask its publisher for access",
                404: "check the address",
                410: "ask its publisher where it is now",
            }.get(response.status_code, "check the address")
            raise self._failed(f"the server says {status}; {hint}")

    def _check_size(self, n_bytes: int) -> None:
        if n_bytes > self._limits.max_bytes:
            raise self._failed(f"it is larger than {self._limits.max_bytes} bytes; no bundle is")

    def _check_time(self) -> None:
        if time.monotonic() >= self._deadline:
            raise self._failed(
                f"not done after {self._limits.total_s:.0f} s; download it yourself and give its "
                "path"
            )

    def _failed(self, reason: str) -> BundleError:
        return BundleError(f"{self._address}: {reason}")


@contextlib.contextmanager
def _ends_at(deadline: float, session: Any, requests: Any) -> Iterator[None]:
    """Break the session's connections at a moment of `time.monotonic`, whatever they wait for.

    A timeout of `requests` is for each byte, and headers, handshakes and sizes of chunks may come
    byte after byte.
    """
    connections: list[socket.socket] = []

    def end() -> None:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    class Adapter(requests.adapters.HTTPAdapter):  # type: ignore[misc]
        def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
            pool = super().get_connection_with_tls_context(*args, **options)

            class Connection(pool.ConnectionCls):  # type: ignore[misc, name-defined]
                def _new_conn(self) -> Any:
                    made = super()._new_conn()
                    connections.append(made.dup())  # as TLS takes the socket itself over
                    if time.monotonic() >= deadline:
                        end()
                    return made

            pool.ConnectionCls = Connection
            return pool

    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter())
    timer = threading.Timer(max(0.0, deadline - time.monotonic()) + 0.01, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for connection in connections:
            connection.close()


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words: requests and urllib3 wrap it several times."""
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", None) or inner
    return str(inner).rsplit(">: ", 1)[-1].rsplit("): ", 1)[-1][:200]


@contextlib.contextmanager
def _quiet(pooch: Any) -> Iterator[None]:
    """Keep pooch from telling of each download on standard error."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)
