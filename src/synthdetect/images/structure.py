"""What the structure of an encoded file would cost, found before and after its header is parsed.

Pillow's parsers are fast on honest files and some are slow or hungry on hostile ones: a loop in
Python over each padding byte, a decoder in Python, a strip that is given thousands of times. So
structures are counted by a cheap walk first. The bounds are far above what cameras and programs
write; each kind of file that they refuse took from 2 to 40 seconds, or over 500 MB.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

_MAX_SEGMENTS = 2_000
_MAX_PADDING = 65_536
_MAX_EXIF_BYTES = 2 << 20
_MAX_CHUNKS = 100_000
_MAX_OTHER_CHUNKS = 2_000
_MAX_PACKED_CHUNKS = 64  # each may unpack to a megabyte
_MAX_EXTENSION_BYTES = 4 << 20
_MAX_EXTENSIONS = 10_000
_MAX_STRIPS = 65_536
_MAX_TAG_VALUES = 3 << 16  # a colour map of 16 bits
_MAX_TILE_PIXELS = 4096 * 4096
_MAX_JPEG_SCANS = 100
# libjpeg-turbo takes about 1.3 ns a pixel of each scan, however little the scan says.
_MAX_SCANNED_PIXELS = 1_200_000_000
_MAX_RUN_LENGTH_PIXELS = 1_000_000
_MAX_RUN_LENGTH_BYTES = 2_000_000
_MAX_TIMES_OVER = 8
# A photograph takes a byte for 2 to 100 pixels; flat pictures of this size are drawings or bombs.
_BOMB_PIXELS = 10_000_000
_MAX_PIXELS_PER_BYTE = 200

_JPEG_ALONE = {0x01, *range(0xD0, 0xDA)}  # markers without a length
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TIFF_SIZES |= {16: 8, 17: 8, 18: 8}
_TIFF_TEXT = {1, 2, 6, 7}  # kept as bytes, where other types become Python numbers
_SIDES = (256, 257, 322, 323)  # width and height of the picture, and of a tile
_STRIPS = {273, 279, 324, 325}
_SUB_DIRECTORIES = {34665, 34853, 40965}  # EXIF, GPS and interoperability, which Pillow reads


def check_structure(file: BinaryIO, format_name: str) -> None:
    """Refuse a file that would take long or much memory to parse.

    Parameters
    ----------
    file : binary file
        Seekable; left at its start.
    format_name : str
        As Pillow names it. Formats that are parsed in C pass.

    Raises
    ------
    ValueError
        With the reason, and what to do.
    """
    check = {"JPEG": _check_jpeg, "PNG": _check_png, "GIF": _check_gif, "TIFF": _check_tiff}
    if format_name in check:
        check[format_name](file)
        file.seek(0)


def check_cost(image: Image.Image, n_bytes: int) -> None:
    """Refuse an opened image whose pixels would take long or much memory for so few bytes.

    Parameters
    ----------
    image : PIL.Image.Image
        Opened and not loaded.
    n_bytes : int
        Size of the encoded image.

    Raises
    ------
    ValueError
        With the reason, and what to do.
    """
    width, height = image.size
    n_pixels = width * height
    if n_pixels > _BOMB_PIXELS and n_pixels > n_bytes * _MAX_PIXELS_PER_BYTE:
        raise ValueError(
            f"is {width} x {height} in {n_bytes:,} bytes, too few bytes for a photograph; scale it "
            "down"
        )
    if len(image.info.get("exif") or b"") > _MAX_EXIF_BYTES:
        raise ValueError(f"has over {_MAX_EXIF_BYTES:,} bytes of EXIF; remove them")
    tiles = getattr(image, "tile", None) or []
    given = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (t.extents for t in tiles if t.extents))
    if given > _MAX_TIMES_OVER * max(n_pixels, 1):
        raise ValueError(f"gives its pixels {given // n_pixels:,} times over; save it again")
    if any(tile.codec_name == "bmp_rle" for tile in tiles) and (
        n_pixels > _MAX_RUN_LENGTH_PIXELS or n_bytes > _MAX_RUN_LENGTH_BYTES
    ):
        raise ValueError(
            f"is a run-length encoded BMP of {width} x {height} and {n_bytes:,} bytes, which would "
            f"take long to decode; convert it to PNG"
        )


def check_scans(encoded: bytes, n_pixels: int) -> None:
    """Refuse a JPEG with more scans than would be decoded in a second or two.

    Parameters
    ----------
    encoded : bytes
    n_pixels : int
        Width times height.

    Raises
    ------
    ValueError
        With the reason, and what to do.
    """
    n_scans = encoded.count(b"\xff\xda")
    if n_scans > _MAX_JPEG_SCANS:
        raise ValueError(f"has over {_MAX_JPEG_SCANS} JPEG scans; save it again")
    # Arithmetic coding, whose progressive frames begin with this marker, takes twice as long.
    cost = 2 if b"\xff\xca" in encoded else 1
    if n_scans > 1 and cost * n_scans * n_pixels > _MAX_SCANNED_PIXELS:
        raise ValueError(f"has {n_scans} JPEG scans of {n_pixels:,} pixels; save it again")


def _check_jpeg(file: BinaryIO) -> None:
    """Count segments, padding and EXIF up to the first scan, as Pillow reads them."""
    file.seek(2)
    n_segments = n_padding = n_exif = 0
    while byte := file.read(1):
        if n_padding > _MAX_PADDING:
            raise ValueError(f"has over {_MAX_PADDING:,} bytes of padding; save it again")
        if byte != b"\xff":
            n_padding += 1
            continue
        marker = file.read(1)
        if marker in (b"\xff", b"\0"):
            n_padding += 1
            file.seek(-1 if marker == b"\xff" else 0, 1)
            continue
        if not marker or marker == b"\xda" or 0x02 <= marker[0] < 0xC0:
            return  # pixels, or what Pillow refuses
        if (n_segments := n_segments + 1) > _MAX_SEGMENTS:
            raise ValueError(f"has over {_MAX_SEGMENTS:,} JPEG segments; save it again")
        if marker[0] in _JPEG_ALONE:
            continue
        length = max(0, int.from_bytes(file.read(2)) - 2)
        if marker == b"\xe1" and (n_exif := n_exif + length) > _MAX_EXIF_BYTES:
            raise ValueError(f"has over {_MAX_EXIF_BYTES:,} bytes of EXIF or XMP; remove them")
        file.seek(length, 1)


def _check_png(file: BinaryIO) -> None:
    """Count chunks; those of pixels and frames may be many."""
    file.seek(8)
    n_chunks = n_others = n_packed = 0
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        n_chunks += 1
        n_others += name not in (b"IDAT", b"fdAT", b"fcTL")
        if n_others > _MAX_OTHER_CHUNKS or n_chunks > _MAX_CHUNKS:
            raise ValueError(f"has {n_chunks:,} PNG chunks or more; save it again")
        n_packed += name in (b"iCCP", b"zTXt", b"iTXt")
        if n_packed > _MAX_PACKED_CHUNKS:
            raise ValueError(
                f"has over {_MAX_PACKED_CHUNKS} compressed PNG texts or profiles; save it again"
            )
        file.seek(length + 4, 1)


def _check_gif(file: BinaryIO) -> None:
    """Count what comes before the first frame: extensions, their bytes, and junk."""
    screen = file.read(13)
    if len(screen) < 13:
        return
    if screen[10] & 128:
        file.seek(3 << ((screen[10] & 7) + 1), 1)
    n_extensions = n_bytes = 0
    while (byte := file.read(1)) not in (b"", b",", b";"):
        n_extensions += 1
        if byte == b"!":
            file.seek(1, 1)
            while (length := file.read(1)) not in (b"", b"\0"):
                n_bytes += length[0] + 1
                file.seek(length[0], 1)
                if n_bytes > _MAX_EXTENSION_BYTES:
                    break
        if n_extensions > _MAX_EXTENSIONS or n_bytes > _MAX_EXTENSION_BYTES:
            raise ValueError("has many or large GIF extensions before a frame; save it again")


def _check_tiff(file: BinaryIO) -> None:
    """Bound the tags of the first directory and of those that Pillow reads with it."""
    head = file.read(16)
    if len(head) < 16:
        return
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    start = struct.unpack_from(f"{order}Q" if big else f"{order}L", head, 8 if big else 4)[0]
    n_file_bytes = file.seek(0, 2)
    waiting, seen = [start], {n_file_bytes}
    while waiting:
        if (offset := waiting.pop()) in seen or offset > n_file_bytes:
            continue
        seen.add(offset)
        n_tag_bytes = 0
        sides: dict[int, int] = {}
        for tag, type_, count, value in _tiff_tags(file, offset, order, big):
            if tag in _SUB_DIRECTORIES and count == 1 and len(seen) < 8:
                waiting.append(value)
            if tag in _SIDES:
                if count != 1 or type_ not in (3, 4, 16):
                    raise ValueError("has a TIFF width or height of an odd type; save it again")
                sides.setdefault(tag, value)  # of two, libtiff takes the first
            n_tag_bytes += count * _TIFF_SIZES.get(type_, 0)
            if n_tag_bytes > n_file_bytes:
                raise ValueError("has TIFF tags of more bytes than the file; save it again")
            if tag in _STRIPS and count > _MAX_STRIPS:
                raise ValueError(f"has {count:,} strips or tiles; save it with larger ones")
            if type_ not in _TIFF_TEXT and count > _MAX_TAG_VALUES:
                raise ValueError(f"has {count:,} values in TIFF tag {tag}; save it without the tag")
        _check_tiles(*(sides.get(tag, 0) for tag in _SIDES))


def _check_tiles(width: int, height: int, tile_width: int, tile_height: int) -> None:
    """Bound the area of a tile, and that of all tiles, which may reach beyond the picture."""
    n_tile_pixels = tile_width * tile_height
    if not n_tile_pixels:
        return
    if n_tile_pixels > _MAX_TILE_PIXELS:
        raise ValueError(
            f"has tiles of {tile_width:,} x {tile_height:,}; save it with smaller ones"
        )
    n_pixels = -(-width // tile_width) * -(-height // tile_height) * n_tile_pixels
    if n_pixels > max(_MAX_TIMES_OVER * width * height, _MAX_TILE_PIXELS):
        raise ValueError(
            f"is {width:,} x {height:,} in tiles of {tile_width:,} x {tile_height:,}; save it with "
            "smaller ones"
        )


def _tiff_tags(
    file: BinaryIO, offset: int, order: str, big: bool
) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and value (or offset) of each entry of a directory."""
    entry = struct.Struct(f"{order}HHQ8s" if big else f"{order}HHL4s")
    file.seek(offset)
    n_tags = struct.unpack(f"{order}Q", file.read(8).ljust(8, b"\0"))[0] if big else 0
    if not big:
        n_tags = struct.unpack(f"{order}H", file.read(2).ljust(2, b"\0"))[0]
    for _ in range(min(n_tags, 65_535)):
        content = file.read(entry.size)
        if len(content) < entry.size:
            return
        tag, type_, count, value = entry.unpack(content)
        as_number = "H" if type_ == 3 else "Q" if big else "L"
        yield tag, type_, count, struct.unpack_from(order + as_number, value)[0]
