"""Who made a bundle: an Ed25519 signature of its manifest, and so of every file's hash.

`manifest.sig` is 96 bytes: the signer's public key (32), then the signature of the bytes of
`manifest.json` (64; Josefsson and Liusvaara 2017, RFC 8032). There is nothing to parse. The key in
it is a claim, which `signer_of` shows; what is trusted is the key that the caller brings.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from synthdetect.bundle.format import Bundle
from synthdetect.bundle.names import SIGNATURE_NAME
from synthdetect.errors import BundleError, MissingExtraError
from synthdetect.optional import require

# An Ed25519 key: cryptography's object, 32 raw bytes, PEM, or the path of a file with either.
_Key = Any

_RAW_BYTES = 32
_MAX_KEY_FILE = 2**16
_EXTRA = "sign"
_HOW = (
    "make one with: openssl genpkey -algorithm ed25519 -out private.pem; "
    "openssl pkey -in private.pem -pubout -out public.pem"
)


def signer(key: _Key) -> Callable[[bytes], bytes]:
    """Return what makes `manifest.sig` from the bytes of `manifest.json`.

    Parameters
    ----------
    key : Ed25519PrivateKey, bytes, str or path-like
        Private key: an object of the package cryptography, 32 raw bytes, an unencrypted PEM, or the
        path of a file with either.

    Returns
    -------
    sign : callable
        For `write_bundle`.

    Raises
    ------
    BundleError
        If it is no such key.
    MissingExtraError
        If cryptography is not installed.
    """
    private = _loaded(key, private=True)
    public = private.public_key().public_bytes_raw()

    def sign(content: bytes) -> bytes:
        return bytes(public + private.sign(content))

    return sign


def kept(bundle: Bundle) -> Callable[[bytes], bytes | None]:
    """Return what gives a manifest the signature of `bundle`, if it is that bundle's manifest.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    sign : callable
        For `write_bundle`.
    """
    return lambda content: bundle.signature if content == bundle.manifest_bytes else None


def check_signature(bundle: Bundle, keys: _Key | Sequence[_Key], *, where: str) -> str:
    """Refuse a bundle that none of some keys has signed.

    Parameters
    ----------
    bundle : Bundle
    keys : Ed25519PublicKey, bytes, str, path-like, or a list or tuple of those
        Public keys that are trusted, each given as an object of the package cryptography, 32 raw
        bytes, a PEM, or the path of a file with either.
    where : str
        Name of the bundle, for the errors.

    Returns
    -------
    fingerprint : str
        Of the key that signed it.

    Raises
    ------
    BundleError
        If there is no signature, it is by another key, or the bundle was changed after it was
        signed; or if a key is none.
    MissingExtraError
        If cryptography is not installed.
    """
    trusted = [_loaded(key, private=False) for key in _listed(keys)]
    if bundle.signature is None:
        raise BundleError(
            f"{where}: it is not signed ({SIGNATURE_NAME} is missing), and a signature is "
            "required; get a signed copy from its publisher"
        )
    claimed, signature = bundle.signature[:_RAW_BYTES], bundle.signature[_RAW_BYTES:]
    for key in trusted:
        raw = key.public_bytes_raw()
        if raw != claimed:
            continue
        if not _valid(key, signature, bundle.manifest_bytes):
            raise BundleError(
                f"{where}: its signature does not fit manifest.json: it was changed after key "
                f"{fingerprint(raw)} signed it; do not use it, and get it again from its publisher"
            )
        return fingerprint(raw)
    wanted = ", ".join(fingerprint(key.public_bytes_raw()) for key in trusted)
    raise BundleError(
        f"{where}: it is signed with key {fingerprint(claimed)}, not with the required {wanted}; "
        "get it from the owner of that key, or ask them whether their key has changed"
    )


def signer_of(bundle: Bundle) -> str | None:
    """Return which key a bundle says that signed it, in words; None if it is not signed.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    text : str or None
        The fingerprint, and whether the signature fits that key, where cryptography is installed to
        tell. Anybody can sign with a key of their own: only `check_signature` tells who it was.
    """
    if bundle.signature is None:
        return None
    raw = bundle.signature[:_RAW_BYTES]
    name = f"key {fingerprint(raw)}"
    try:
        key = _loaded(raw, private=False)
    except MissingExtraError:
        return f"{name}, not checked: that needs the extra {_EXTRA}"
    except BundleError:
        return f"{name}, which is no Ed25519 key"
    fits = _valid(key, bundle.signature[_RAW_BYTES:], bundle.manifest_bytes)
    return f"{name}: valid; make sure whose key that is" if fits else f"{name}: NOT valid"


def fingerprint(public_key: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a raw public key.

    Examples
    --------
    >>> fingerprint(bytes(32))
    '66687aadf862bd77'
    """
    return hashlib.sha256(public_key).hexdigest()[:16]


def _valid(key: Any, signature: bytes, content: bytes) -> bool:
    invalid = require("cryptography.exceptions", extra=_EXTRA).InvalidSignature
    try:
        key.verify(signature, content)
    except invalid:
        return False
    return True


def _listed(keys: _Key | Sequence[_Key]) -> list[_Key]:
    listed = list(keys) if isinstance(keys, list | tuple) else [keys]
    if not listed:
        raise BundleError("require_signature is an empty list; give at least one public key")
    return listed


def _loaded(key: _Key, *, private: bool) -> Any:
    """The key as an object of cryptography; errors never show what is in it."""
    ed25519 = require("cryptography.hazmat.primitives.asymmetric.ed25519", extra=_EXTRA)
    kind = ed25519.Ed25519PrivateKey if private else ed25519.Ed25519PublicKey
    noun = "private key" if private else "public key"
    if isinstance(key, kind):
        return key
    content, where = _content(key, noun)
    if len(content) == _RAW_BYTES:
        with contextlib.suppress(ValueError):  # of 32 bytes that are no point on the curve
            return getattr(kind, f"from_{noun.split()[0]}_bytes")(content)
        raise BundleError(f"{where}: its 32 bytes are no Ed25519 {noun}; {_HOW}")
    serialization = require("cryptography.hazmat.primitives.serialization", extra=_EXTRA)
    try:
        if private:
            loaded = serialization.load_pem_private_key(content, password=None)
        else:
            loaded = serialization.load_pem_public_key(content)
    except TypeError as error:  # what an encrypted key without a password raises
        raise BundleError(
            f"{where}: the key is encrypted; load it with cryptography and give the object"
        ) from error
    except Exception as error:  # parsers of keys raise many kinds
        raise BundleError(f"{where}: it is neither 32 bytes nor PEM of a {noun}; {_HOW}") from error
    if not isinstance(loaded, kind):
        raise BundleError(f"{where}: it is not of kind Ed25519; {_HOW}")
    return loaded


def _content(key: _Key, noun: str) -> tuple[bytes, str]:
    """The bytes of a key, and what to call it."""
    if isinstance(key, bytes | bytearray):
        return bytes(key), f"the {noun}"
    if isinstance(key, str) and key.lstrip().startswith("-----BEGIN"):
        return key.encode(), f"the {noun}"
    if not isinstance(key, str | os.PathLike):
        kind = type(key).__name__
        raise BundleError(f"the {noun} is {kind}; give an Ed25519 key, its bytes, PEM or path")
    path = Path(key)
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_KEY_FILE), str(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BundleError(f"{path}: the {noun} cannot be read: {reason}") from error
