"""What a download is called: `https://...#sha256=...` and `hf://owner/repo[@revision][/sub]`."""

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from synthdetect.bundle.names import check_file_name
from synthdetect.errors import BundleError

# Two letters at least, as C:/ is a drive; one slash, as Path("https://x") keeps only one.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_SHA256 = re.compile(r"sha256=([0-9a-fA-F]{64})")
_SHAPES = "https://host/bundle.zip#sha256=<64 digits> or hf://owner/repo[@revision][/folder]"

# What https://huggingface.co accepts as the name of an owner, a repository, a revision.
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class WebAddress:
    """A zip on a web server, and its SHA-256.

    Parameters
    ----------
    url : str
        `https`, or `http` to this very machine; without a fragment.
    sha256 : str
        Of the zip, 64 lower-case hexadecimal digits.
    """

    url: str
    sha256: str

    @property
    def key(self) -> str:
        """Name in the store: the content's hash, so mirrors share one download."""
        return self.sha256

    def __str__(self) -> str:
        """Return the address without a query, which may hold a secret."""
        query = "?..." if urlsplit(self.url).query else ""
        return f"{self.url.split('?')[0]}{query}#sha256={self.sha256}"


@dataclass(frozen=True)
class HfAddress:
    """A folder or a zip in a model repository of the Hugging Face Hub.

    Parameters
    ----------
    repo : str
        `owner/repo`.
    revision : str
        Branch, tag or commit.
    sub : str, default=""
        Folder of the bundle in the repository, or a zip, if it does not lie at the top.
    sha256 : str or None
        Digest of the bundle: the SHA-256 of its `manifest.json`.
    """

    repo: str
    revision: str = "main"
    sub: str = ""
    sha256: str | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether the address can mean one content only."""
        return self.sha256 is not None or _COMMIT.fullmatch(self.revision) is not None

    @property
    def key(self) -> str:
        """Name in the store."""
        return f"hf-{hashlib.sha256(str(self).encode()).hexdigest()[:40]}"

    def __str__(self) -> str:
        sub = f"/{self.sub}" if self.sub else ""
        sha256 = f"#sha256={self.sha256}" if self.sha256 else ""
        return f"hf://{self.repo}@{self.revision.replace('/', '%2F')}{sub}{sha256}"


Address = WebAddress | HfAddress


def is_url(text: str) -> bool:
    """Return whether a name looks like a URL, of any scheme."""
    return _URL.match(text) is not None


def parse_address(text: str) -> Address:
    """Read the address of a download.

    Parameters
    ----------
    text : str
        `https://host/bundle.zip#sha256=<64 digits>`, or `hf://owner/repo[@revision][/sub]`, which
        may also end in `#sha256=<64 digits>`.

    Returns
    -------
    address : WebAddress or HfAddress

    Raises
    ------
    BundleError
        If it is none: another scheme, no hash, a name or password in it, plain http to another
        machine.

    Examples
    --------
    >>> parse_address("hf://owner/repo@v1/small").revision
    'v1'
    """
    shown = ascii(text.split("?")[0])[1:-1][:200]
    if not text.isascii() or any(ord(char) <= 32 or ord(char) == 127 for char in text):
        raise BundleError(f"{shown}: it has spaces or what is not ASCII; percent-encode them")
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port  # ValueError if it is no number
    except ValueError as error:
        raise BundleError(f"{shown}: it is no URL ({error}); write {_SHAPES}") from error
    if parts.scheme not in ("https", "http", "hf"):
        raise BundleError(f"{shown}: {parts.scheme} is not supported; write {_SHAPES}")
    if not text[len(parts.scheme) :].startswith("://") or not host:
        raise BundleError(f"{shown}: it is no URL; write {_SHAPES}, as a string and not as a Path")
    if parts.scheme == "hf":
        return _hf(text, shown)
    if "@" in parts.netloc:
        # The text is not shown: it has a password.
        raise BundleError(
            f"{parts.scheme}://{host}: leave the user's name and password out of the address; "
            "put them into ~/.netrc"
        )
    check_transport(parts.scheme, host, shown)
    return WebAddress(text.split("#")[0], _sha256(parts.fragment, shown))


def check_transport(scheme: str, host: str, shown: str) -> None:
    """Refuse what is neither https nor http to this very machine.

    Parameters
    ----------
    scheme, host : str
    shown : str
        The address, for the error.

    Raises
    ------
    BundleError
    """
    if scheme != "https" and not (scheme == "http" and is_loopback(host)):
        raise BundleError(f"{shown}: {scheme or 'it'} is not encrypted; use https")


def is_loopback(host: str) -> bool:
    """Return whether a host is this very machine, without asking a name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hf(text: str, shown: str) -> HfAddress:
    rest, _, fragment = text.removeprefix("hf://").partition("#")
    owner, _, rest = rest.partition("/")
    # The revision is part of the second step, so a branch with a slash is written with %2F.
    name, _, sub = rest.partition("/")
    name, at, revision = name.partition("@")
    revision = unquote(revision)
    repo, sub = f"{owner}/{name}", sub.strip("/")
    if not _REPO.fullmatch(repo) or "?" in text:
        raise BundleError(f"{shown}: it names no repository; write hf://owner/repo")
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise BundleError(f"{shown}: it names no revision; write hf://owner/repo@v1.0")
    if sub:
        try:
            check_file_name(sub)
        except BundleError as error:
            raise BundleError(f"{shown}: {error}") from error
    sha256 = _sha256(fragment, shown) if fragment else None
    return HfAddress(repo, revision or "main", sub, sha256)


def _sha256(fragment: str, shown: str) -> str:
    match = _SHA256.fullmatch(fragment)
    if match is None:
        raise BundleError(
            f"{shown}: the SHA-256 of the download is missing or is not 64 hexadecimal digits; add "
            "#sha256=... as its publisher tells it, or as sha256sum does of a file you trust"
        )
    return match[1].lower()
