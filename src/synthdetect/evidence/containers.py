"""Walk the parts of an image file, without decoding a pixel: PNG, JPEG, WebP, AVIF and HEIF.

Pillow gives EXIF, XMP and comments. What it does not give is looked for here: texts of a PNG that
come after its pixels, and where content credentials (C2PA) are kept. Every walk is bounded in
steps and bytes, and ends where the file stops making sense.

References
----------
C2PA Technical Specification 2.2, "Embedding manifests into various file formats".
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MOST_PARTS = 4096
MOST_TEXTS = 64
MOST_TEXT_BYTES = 1 << 20

_PNG = b"\x89PNG\r\n\x1a\n"
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
# JPEG markers without a length: padding, restarts, start of image.
_BARE_MARKERS = frozenset((0x01, 0xD8, *range(0xD0, 0xD8)))
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


class Part(NamedTuple):
    """A part of a file: its kind as the format names it, and its bytes."""

    kind: bytes
    content: memoryview


def parts(encoded: bytes) -> Iterator[Part]:
    """Yield the parts of a file of a known format, at most `MOST_PARTS`.

    Parameters
    ----------
    encoded : bytes
        The whole file.

    Yields
    ------
    part : Part
        Nothing for formats that have no parts that matter here, such as GIF.
    """
    view = memoryview(encoded)
    if encoded.startswith(_PNG):
        walk = _png(view)
    elif encoded.startswith(b"\xff\xd8"):
        walk = _jpeg(view)
    elif encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
        walk = _riff(view)
    elif encoded[4:8] == b"ftyp":
        walk = _boxes(view)
    else:
        return
    for _, part in zip(range(MOST_PARTS), walk, strict=False):
        yield part


def credentials_at(found: list[Part]) -> str | None:
    """Return where a file keeps content credentials (C2PA), or None.

    Parameters
    ----------
    found : list of Part
        Of `parts`.

    Returns
    -------
    where : str or None
    """
    for kind, content in found:
        if kind in (b"caBX", b"C2PA"):
            return f"chunk {kind.decode()}, {len(content):,} bytes"
        if kind == b"APP11" and bytes(content[:2]) == b"JP" and b"jumb" in bytes(content[:32]):
            return "APP11 segment (JUMBF)"
        if kind == b"uuid" and bytes(content[:16]) == _C2PA_UUID:
            return f"uuid box, {len(content):,} bytes"
    return None


def png_texts(found: list[Part]) -> list[tuple[str, str]]:
    """Return keyword and text of the text chunks of a PNG, wherever they stand.

    Parameters
    ----------
    found : list of Part
        Of `parts`.

    Returns
    -------
    texts : list of (str, str)
        At most `MOST_TEXTS`, each of at most `MOST_TEXT_BYTES` bytes.
    """
    chunks = [part for part in found if part.kind in _TEXT_CHUNKS][:MOST_TEXTS]
    texts = []
    for kind, content in chunks:
        keyword, zero, rest = bytes(content[: 2 * MOST_TEXT_BYTES]).partition(b"\0")
        text = _text(kind, rest) if zero else None
        if text is not None and len(keyword) <= 79:
            codec = "latin-1" if kind != b"iTXt" else "utf-8"
            texts.append((keyword.decode("latin-1"), text.decode(codec, "replace")))
    return texts


def _text(kind: bytes, rest: bytes) -> bytes | None:
    """The text of a chunk behind its keyword; None if it is damaged."""
    if kind == b"tEXt":
        return rest[:MOST_TEXT_BYTES]
    if kind == b"zTXt":
        return _inflated(rest[1:]) if rest[:1] == b"\0" else None
    if len(rest) < 2:
        return None
    packed, tail = rest[0], rest[2:]
    language, first, tail = tail.partition(b"\0")
    translated, second, text = tail.partition(b"\0")
    if not (first and second) or len(language) + len(translated) > MOST_TEXT_BYTES:
        return None
    return _inflated(text) if packed else text[:MOST_TEXT_BYTES]


def _inflated(packed: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(packed, MOST_TEXT_BYTES)
    except zlib.error:
        return None


def _png(view: memoryview) -> Iterator[Part]:
    at = len(_PNG)
    while at + 8 <= len(view):
        length, kind = struct.unpack_from(">I4s", view, at)
        yield Part(kind, view[at + 8 : at + 8 + length])
        at += 12 + length


def _jpeg(view: memoryview) -> Iterator[Part]:
    at = 0
    while at + 4 <= len(view) and view[at] == 0xFF:
        marker = view[at + 1]
        if marker in _BARE_MARKERS:
            at += 2
        elif marker == 0xFF:
            at += 1
        elif marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        else:
            (length,) = struct.unpack_from(">H", view, at + 2)
            kind = f"APP{marker - 0xE0}".encode() if 0xE0 <= marker <= 0xEF else bytes([marker])
            yield Part(kind, view[at + 4 : at + 2 + length])
            at += 2 + max(length, 2)


def _riff(view: memoryview) -> Iterator[Part]:
    at = 12
    while at + 8 <= len(view):
        kind, length = struct.unpack_from("<4sI", view, at)
        yield Part(kind, view[at + 8 : at + 8 + length])
        at += 8 + length + length % 2


def _boxes(view: memoryview) -> Iterator[Part]:
    """Boxes of the top level of an ISO base media file."""
    at = 0
    while at + 8 <= len(view):
        length, kind = struct.unpack_from(">I4s", view, at)
        head = 8
        if length == 1 and at + 16 <= len(view):
            (length,) = struct.unpack_from(">Q", view, at + 8)
            head = 16
        length = len(view) - at if length == 0 else length
        if length < head:
            return
        yield Part(kind, view[at + head : at + length])
        at += length
