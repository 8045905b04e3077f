"""Hostile images, made in memory: truncated, lying, oversized, deep, slow and strange files.

`HOSTILE_IMAGES` maps the name of a kind to a function that builds it and to what `decode` must make
of it: `IMAGE` for pixels, or a regular expression that the reason of its `ImageError` matches.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
from PIL import Image

IMAGE = "an image"
DAMAGED = "truncated or damaged"

HOSTILE_IMAGES: dict[str, tuple[Callable[[], bytes], str]] = {}


def kind(name: str, expected: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Enter a function that builds a file into `HOSTILE_IMAGES`."""

    def enter(build: Callable[[], bytes]) -> Callable[[], bytes]:
        assert name not in HOSTILE_IMAGES, name
        HOSTILE_IMAGES[name] = (build, expected)
        return build

    return enter


@cache
def photo(width: int = 80, height: int = 60) -> Image.Image:
    """A smooth colourful picture with some noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([x * 3, y * 4, (x + y) * 2], axis=-1) % 256
    return Image.fromarray(np.clip(base + rng.integers(-8, 9, base.shape), 0, 255).astype(np.uint8))


def saved(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


@cache
def a_photo(format_name: str) -> bytes:
    """The picture as a file of a format."""
    return saved(photo(), format_name)


# JPEG


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment of a plain JPEG; scans reach to the next marker."""
    place = 2
    while place < len(jpeg):
        marker = jpeg[place + 1]
        if marker == 0xD9:
            return
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4])
        while marker == 0xDA and (jpeg[end] != 0xFF or jpeg[end + 1] < 0xD8):
            end += 1
        yield marker, place, end
        place = end


def after_soi(*parts: bytes, of: bytes | None = None) -> bytes:
    """A JPEG with more segments in front."""
    jpeg = a_photo("JPEG") if of is None else of
    return jpeg[:2] + b"".join(parts) + jpeg[2:]


def patched(content: bytes, place: int, new: bytes) -> bytes:
    return content[:place] + new + content[place + len(new) :]


def frame_of(jpeg: bytes) -> int:
    """Where the SOF segment starts."""
    return next(start for marker, start, _ in segments(jpeg) if marker in (0xC0, 0xC2))


def jpeg_of_size(width: int, height: int, jpeg: bytes | None = None) -> bytes:
    jpeg = a_photo("JPEG") if jpeg is None else jpeg
    return patched(jpeg, frame_of(jpeg) + 5, struct.pack(">HH", height, width))


MARKERS = {0xE0: "APP0", 0xDB: "DQT", 0xC0: "SOF0", 0xC2: "SOF2", 0xC4: "DHT", 0xDA: "SOS"}


def jpeg_cut(progressive: bool, marker: int, inside: bool) -> bytes:
    jpeg = saved(photo(), "JPEG", progressive=progressive)
    start, end = next((s, e) for m, s, e in segments(jpeg) if m == marker)
    return jpeg[: (start + end) // 2 if inside else end]


for _progressive in (False, True):
    for _marker, _name in MARKERS.items():
        if _marker == (0xC0 if _progressive else 0xC2):
            continue
        for _inside in (False, True):
            _where = "inside" if _inside else "after"
            _kind = f"{'progressive' if _progressive else 'baseline'}-cut-{_where}-{_name}"
            kind(_kind, DAMAGED)(partial(jpeg_cut, _progressive, _marker, _inside))

kind("jpeg-cut-after-soi", DAMAGED)(lambda: a_photo("JPEG")[:2] + b"\xff")
kind("jpeg-without-end", IMAGE + "|" + DAMAGED)(lambda: a_photo("JPEG")[:-2])
kind("jpeg-65535-pixels-a-side", "over 100,000,000 pixels")(lambda: jpeg_of_size(65535, 65535))
kind("jpeg-zero-height", "no width")(lambda: jpeg_of_size(80, 0))
kind("jpeg-zero-width", "no width")(lambda: jpeg_of_size(0, 60))
kind("jpeg-of-4472-in-few-bytes", "too few bytes")(lambda: jpeg_of_size(4472, 4472))
kind("jpeg-of-9000-in-few-bytes", "too few bytes")(lambda: jpeg_of_size(9000, 9000))
kind("jpeg-12-bit", DAMAGED)(
    lambda: patched(a_photo("JPEG"), frame_of(a_photo("JPEG")) + 4, b"\x0c")
)
kind("jpeg-arithmetic", IMAGE + "|" + DAMAGED)(
    lambda: patched(a_photo("JPEG"), frame_of(a_photo("JPEG")) + 1, b"\xc9")
)
kind("jpeg-lossless", DAMAGED)(
    lambda: patched(a_photo("JPEG"), frame_of(a_photo("JPEG")) + 1, b"\xc3")
)
kind("jpeg-five-components", DAMAGED)(
    lambda: patched(a_photo("JPEG"), frame_of(a_photo("JPEG")) + 9, b"\x05")
)
kind("jpeg-cmyk", IMAGE)(lambda: saved(photo().convert("CMYK"), "JPEG"))
kind("jpeg-grey", IMAGE)(lambda: saved(photo().convert("L"), "JPEG"))
kind("jpeg-trailing-zip", IMAGE)(lambda: a_photo("JPEG") + a_zip())
kind("jpeg-in-front-junk", "no image of a kind")(lambda: b"%PDF-1.7\n" + a_photo("JPEG"))
kind("jpeg-icc-garbage", IMAGE)(
    lambda: after_soi(segment(0xE2, b"ICC_PROFILE\0\x01\x01" + b"\xaa" * 5000))
)
kind("jpeg-icc-chunks-that-lie", IMAGE)(
    lambda: after_soi(*(segment(0xE2, b"ICC_PROFILE\0\x07\x03x") for _ in range(9)))
)
kind("jpeg-photoshop-garbage", IMAGE)(
    lambda: after_soi(segment(0xED, b"Photoshop 3.0\x008BIM" + b"\xff" * 300))
)
kind("jpeg-mpo-that-lies", IMAGE + "|" + DAMAGED)(
    lambda: after_soi(segment(0xE2, b"MPF\0" + tiff_tags([(0xB001, 4, 1, 2**32 - 1)])))
)
kind("jpeg-500000-comments", "JPEG segments")(lambda: after_soi(segment(0xFE, b"") * 500_000))
kind("jpeg-10-mb-of-padding", "padding|" + DAMAGED)(lambda: after_soi(b"\xff" * 10_000_000))
kind("jpeg-10-mb-of-junk", "padding|" + DAMAGED)(
    lambda: after_soi(segment(0xFE, b"") + b"\x01" * 10_000_000)
)


@kind("jpeg-ycck", IMAGE)
def ycck() -> bytes:
    jpeg = saved(photo().convert("CMYK"), "JPEG")
    return patched(jpeg, jpeg.index(b"Adobe") + 11, b"\x02")


@kind("jpeg-two-frames-of-two-sizes", DAMAGED)
def two_frames() -> bytes:
    jpeg = a_photo("JPEG")
    start = frame_of(jpeg)
    _, _, end = next(s for s in segments(jpeg) if s[1] == start)
    small = patched(jpeg[start:end], 5, struct.pack(">HH", 8000, 8000))
    return jpeg[:start] + small + jpeg[start:]


def with_scans(side: int, n_scans: int) -> bytes:
    """A flat progressive JPEG whose last scan stands there many times."""
    flat = saved(Image.new("RGB", (side, side), "grey"), "JPEG", progressive=True, subsampling=0)
    scans = [(s, e) for m, s, e in segments(flat) if m == 0xDA]
    start, end = scans[-1]
    return flat[:end] + flat[start:end] * n_scans + flat[end:]


kind("jpeg-5000-scans", "over 100 JPEG scans")(lambda: with_scans(64, 5000))
kind("jpeg-90-scans-of-4400-pixels-a-side", "JPEG scans|too few bytes")(
    lambda: with_scans(4400, 80)
)
kind("jpeg-90-scans-of-2000-pixels-a-side", IMAGE)(lambda: with_scans(2000, 80))


# TIFF structures, of EXIF too


def tiff_tags(
    tags: list[tuple[int, int, int, int]], *, n_tags: int | None = None, next_ifd: int = 0
) -> bytes:
    """A little-endian TIFF of one directory: tag, type, count, value or offset."""
    body = b"".join(struct.pack("<HHLL", *tag) for tag in tags)
    n = len(tags) if n_tags is None else n_tags
    return b"II*\0" + struct.pack("<LH", 8, n) + body + struct.pack("<L", next_ifd)


def jpeg_with_exif(tiff: bytes) -> bytes:
    return after_soi(segment(0xE1, b"Exif\0\0" + tiff))


def overlapping(n_tags: int, n_bytes: int) -> bytes:
    """Tags that all point at the same bytes."""
    tags = [(1000 + i, 1, n_bytes, 0) for i in range(n_tags)]
    content = tiff_tags(tags)
    return content + bytes(max(0, n_bytes - len(content)))


for _value in (0, 9, 77, 65535):
    kind(f"exif-orientation-{_value}", IMAGE)(
        partial(lambda v: jpeg_with_exif(tiff_tags([(0x0112, 3, 1, v)])), _value)
    )
kind("exif-orientation-of-60000-values", IMAGE)(
    lambda: jpeg_with_exif(tiff_tags([(0x0112, 3, 30_000, 8)]) + bytes(60_000))
)
kind("exif-orientation-is-text", IMAGE)(lambda: jpeg_with_exif(tiff_tags([(0x0112, 2, 4, 8)])))
kind("exif-cyclic", IMAGE)(
    lambda: jpeg_with_exif(tiff_tags([(0x8769, 4, 1, 8), (0x8825, 4, 1, 8)], next_ifd=8))
)
kind("exif-count-beyond-the-end", IMAGE)(
    lambda: jpeg_with_exif(tiff_tags([(0x0112, 3, 2**32 - 1, 8)], n_tags=65535))
)
kind("exif-tags-that-overlap", IMAGE)(lambda: jpeg_with_exif(overlapping(2500, 60_000)))
kind("exif-thumbnail-giant", IMAGE)(
    lambda: jpeg_with_exif(
        tiff_tags([(0x0201, 4, 1, 40), (0x0202, 4, 1, 2**31)]) + b"\xff\xd8" * 30_000
    )
)


@kind("exif-of-13-mb-in-200-segments", "EXIF")
def much_exif() -> bytes:
    tiff = overlapping(40_000, 12_000_000)
    parts = [tiff[i : i + 65_000] for i in range(0, len(tiff), 65_000)]
    return after_soi(*(segment(0xE1, b"Exif\0\0" + part) for part in parts))


def tiff(
    width: int,
    height: int,
    *,
    extra: dict[int, tuple[int, int, int]] | None = None,
    content: bytes = bytes(4800),
    **options: int,
) -> bytes:
    """A grey TIFF of one strip; `extra` are tags as (type, count, value), options their values."""
    tags = {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, 1),
        262: (3, 1, 1),
        273: (4, 1, 0),
        277: (3, 1, 1),
        278: (4, 1, height),
        279: (4, 1, len(content)),
    } | (extra or {})
    start = 8 + 2 + 12 * len(tags) + 4
    listed = []
    for tag, (kind_, n, value) in sorted(tags.items()):
        # An offset of 0 stands for the content.
        listed.append((tag, kind_, n, start if tag in (273, 324) and not value else value))
    return tiff_tags(listed, **options) + content


kind("tiff-plain", IMAGE)(lambda: tiff(80, 60))
kind("tiff-cyclic", IMAGE)(lambda: tiff(80, 60, next_ifd=8))
kind("tiff-directory-is-its-own-exif", IMAGE)(
    lambda: tiff(80, 60, extra={0x8769: (4, 1, 8), 0x8825: (4, 1, 8), 330: (4, 1, 8)})
)
kind("tiff-65535-pages-in-a-row", IMAGE)(lambda: pages(65_535))
kind("tiff-zero-width", "no width")(lambda: tiff(0, 60))
kind("tiff-of-4294967295", "over 100,000,000 pixels")(lambda: tiff(2**32 - 1, 2**32 - 1))
kind("tiff-9000-in-few-bytes", "too few bytes")(lambda: tiff(9000, 9000))
kind("tiff-strip-beyond-the-end", DAMAGED)(lambda: tiff(80, 60, extra={273: (4, 1, 2**31)}))
kind("tiff-directory-beyond-the-end", DAMAGED + "|no width")(
    lambda: b"II*\0" + struct.pack("<L", 2**31) + bytes(99)
)
kind("tiff-65535-samples", DAMAGED)(lambda: tiff(80, 60, extra={277: (3, 1, 65535)}))
kind("tiff-unknown-compression", DAMAGED)(lambda: tiff(80, 60, extra={259: (3, 1, 777)}))
kind("tiff-unknown-photometric", DAMAGED)(lambda: tiff(80, 60, extra={262: (3, 1, 777)}))
kind("tiff-cmyk", IMAGE)(lambda: saved(photo().convert("CMYK"), "TIFF", compression="tiff_lzw"))
kind("tiff-fax", IMAGE)(lambda: saved(photo().convert("1"), "TIFF", compression="group4"))
kind("tiff-jpeg", IMAGE)(lambda: saved(photo(), "TIFF", compression="jpeg"))
kind("tiff-16-bit", IMAGE)(
    lambda: saved(Image.fromarray(np.arange(4800, dtype=np.uint16).reshape(60, 80)), "TIFF")
)
kind("tiff-float", "floating-point")(lambda: saved(photo().convert("F"), "TIFF"))
kind("tiff-float-of-nan", "floating-point")(
    lambda: saved(Image.fromarray(np.full((60, 80), np.nan, np.float32)), "TIFF")
)
kind("tiff-truncated-lzw", DAMAGED)(
    lambda: saved(photo(), "TIFF", compression="tiff_lzw")[:3000] + bytes(20)
)
kind("tiff-tags-that-overlap", "tags")(lambda: overlapping(20_000, 4_000_000))
kind("tiff-60000-tags", DAMAGED + "|TIFF tag")(
    lambda: tiff_tags([(i, 3, 1, 1) for i in range(1000, 61_000)])
)


def pages(n: int) -> bytes:
    """A TIFF whose directories follow each other, all with the same strip."""
    first = tiff(80, 60)
    length = 2 + 12 * 9 + 4
    directory = first[8 : 8 + length - 4]
    content = first[8 + length :]
    start = 8 + length + len(content)
    out = [first[: 8 + length - 4], struct.pack("<L", start), content]
    for i in range(n):
        after = start + (i + 1) * length if i + 1 < n else 0
        out += [directory, struct.pack("<L", after)]
    return b"".join(out)


def strips_again(n: int) -> bytes:
    """A raw 1-bit TIFF of 4 Mpx that gives all but its last row `n` times."""
    side = 2000
    pixels = bytes(side * side // 8)
    start = 8 + 2 + 12 * 9 + 4
    extra = {
        258: (3, 1, 1),
        273: (4, n, start + len(pixels)),
        278: (4, 1, side - 1),
        279: (4, n, start + len(pixels)),
    }
    return tiff(side, side, extra=extra, content=pixels + struct.pack("<L", start) * n)


kind("tiff-strips-20000-times", "times over")(lambda: strips_again(20_000))


def in_tiles(
    side: tuple[int, int], tile: tuple[int, int], n: int, content: bytes, compression: int
) -> bytes:
    """A grey TIFF of n tiles that are all the same bytes."""
    width, height = side
    sizes = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression)]
    sizes += [(262, 3, 1, 1), (277, 3, 1, 1), (322, 4, 1, tile[0]), (323, 4, 1, tile[1])]
    lists = 8 + 2 + 12 * (len(sizes) + 2) + 4
    start = lists + 8 * n
    places = struct.pack(f"<{n}L", *[start] * n) + struct.pack(f"<{n}L", *[len(content)] * n)
    if n == 1:
        return tiff_tags([*sizes, (324, 4, 1, start), (325, 4, 1, len(content))]) + places + content
    tags = [*sizes, (324, 4, n, lists), (325, 4, n, lists + 4 * n)]
    return tiff_tags(tags) + places + content


kind("tiff-tiles-beyond-the-picture", "32 x 40,960 in tiles of 4,096 x 4,096")(
    lambda: in_tiles((32, 40_960), (4096, 4096), 10, zlib.compress(bytes(4096 * 4096), 9), 8)
)
kind("tiff-wide-tiles", "32 x 160,000 in tiles of 130,000 x 16")(
    lambda: in_tiles((32, 160_000), (130_000, 16), 10_000, bytes(130_000 * 16), 1)
)
kind("tiff-tiles-with-a-rim", IMAGE)(
    lambda: in_tiles((80, 60), (256, 256), 1, zlib.compress(bytes(256 * 256)), 8)
)


@kind("tiff-tile-twice", "tiles of 20,000 x 20,000")
def tile_twice() -> bytes:
    """A giant tile whose size stands there again, small."""
    tags = [(256, 4, 1, 80), (257, 4, 1, 60), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
    tags += [(322, 4, 1, 20_000), (322, 4, 1, 16), (323, 4, 1, 20_000), (323, 4, 1, 16)]
    return tiff_tags(tags) + bytes(1000)


kind("tiff-width-as-a-text", "width or height of an odd type")(
    lambda: tiff(80, 60, extra={256: (2, 1, 80)})
)


@kind("tiff-tile-of-20000", "tiles of 20,000 x 20,000")
def giant_tile() -> bytes:
    """A picture of 80 x 60 in one tile of 20,000 x 20,000 zeros, 128 of them in two bytes."""
    content = b"\x81\0" * (20_000 * 20_000 // 128)
    extra = {
        259: (3, 1, 32773),
        322: (4, 1, 20_000),
        323: (4, 1, 20_000),
        324: (4, 1, 0),
        325: (4, 1, len(content)),
    }
    return tiff(80, 60, extra=extra, content=content)


kind("tiff-a-million-tiny-tiles", DAMAGED + "|tiles|times over|tags")(
    lambda: tiff(
        4096,
        4096,
        extra={322: (4, 1, 16), 323: (4, 1, 16), 324: (4, 10**6, 8), 325: (4, 10**6, 8)},
        content=bytes(8 * 10**6),
    )
)


kind("tiff-strip-of-more-rows-than-it-has", IMAGE)(
    lambda: tiff(
        80,
        60,
        extra={259: (3, 1, 32773), 278: (4, 1, 2**32 - 1)},
        content=b"\x81\0" * (80 * 30_000 // 128),
    )
)


# PNG


def chunk(name: bytes, content: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + crc


def header(width: int, height: int, bits: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def rows(n_bytes: int, height: int) -> bytes:
    return zlib.compress((b"\0" + bytes(n_bytes)) * height, 9)


def in_png(*chunks: bytes) -> bytes:
    """The picture with chunks after its header."""
    content = a_photo("PNG")
    return content[:33] + b"".join(chunks) + content[33:]


PLAIN = chunk(b"IDAT", rows(240, 60))

for _n in (8, 20, 33, 41, 60, 2000):
    kind(f"png-cut-at-{_n}", DAMAGED + "|no image of a kind|no width")(
        partial(lambda n: a_photo("PNG")[:n], _n)
    )
kind("png-zero-width", "no width")(lambda: png(header(0, 60), PLAIN))
kind("png-zero-height", "no width")(lambda: png(header(80, 0), PLAIN))
kind("png-of-2147483647", "over 100,000,000 pixels")(
    lambda: png(header(2**31 - 1, 2**31 - 1), PLAIN)
)
kind("png-wrong-checksum", DAMAGED)(lambda: patched(a_photo("PNG"), 30, b"\0\0"))
kind("png-two-headers", "too few bytes")(lambda: png(header(80, 60), header(9000, 9000), PLAIN))
kind("png-without-pixels", DAMAGED)(lambda: png(header(80, 60)))
kind("png-empty-pixels", DAMAGED)(lambda: png(header(80, 60), chunk(b"IDAT", b"")))
kind("png-pixels-that-are-no-zlib", DAMAGED)(
    lambda: png(header(80, 60), chunk(b"IDAT", b"\xff" * 99))
)
kind("png-3-bits", DAMAGED)(lambda: png(header(80, 60, bits=3), PLAIN))
kind("png-palette-without-palette", IMAGE + "|" + DAMAGED)(
    lambda: png(header(80, 60, colour=3), chunk(b"IDAT", rows(80, 60)))
)
kind("png-palette-too-short", IMAGE + "|" + DAMAGED)(
    lambda: png(
        header(80, 60, colour=3),
        chunk(b"PLTE", b"\1\2\3"),
        chunk(b"IDAT", zlib.compress((b"\0" + b"\xff" * 80) * 60)),
    )
)
kind("png-palette-transparent", IMAGE)(
    lambda: png(
        header(80, 60, colour=3),
        chunk(b"PLTE", bytes(768)),
        chunk(b"tRNS", bytes(256)),
        chunk(b"IDAT", rows(80, 60)),
    )
)
kind("png-1-bit", IMAGE)(lambda: saved(photo().convert("1"), "PNG"))
kind("png-16-bit-colours", IMAGE)(
    lambda: png(header(80, 60, bits=16), chunk(b"IDAT", rows(480, 60)))
)
kind("png-interlaced", IMAGE)(
    lambda: png(header(80, 60, interlace=1), chunk(b"IDAT", rows(240, 200)))
)
kind("png-far-too-many-pixels", IMAGE)(
    lambda: png(header(80, 60), chunk(b"IDAT", zlib.compress(bytes(20_000_000))))
)
kind("png-flat-of-9999", "too few bytes")(
    lambda: png(header(9999, 9999, colour=0), chunk(b"IDAT", rows(9999, 9999)))
)
kind("png-text-bomb", DAMAGED)(
    lambda: in_png(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(20_000_000), 9)))
)
kind("png-64-text-bombs", IMAGE)(
    lambda: in_png(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))] * 64)
)
kind("png-1200-text-bombs", "over 64 compressed PNG texts")(
    lambda: in_png(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9)[:-3])] * 1200)
)
kind("png-1200-icc-bombs", "over 64 compressed PNG texts or profiles")(
    lambda: in_png(*[chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1_000_000), 9))] * 1200)
)
kind("png-itext-bomb", IMAGE + "|" + DAMAGED)(
    lambda: in_png(chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(20_000_000), 9)))
)
kind("png-icc-bomb", IMAGE + "|" + DAMAGED)(
    lambda: in_png(chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(20_000_000), 9)))
)
kind("png-icc-garbage", IMAGE)(
    lambda: in_png(chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"garbage" * 99)))
)
kind("png-500000-chunks", "PNG chunks")(lambda: in_png(chunk(b"teXt", b"") * 500_000))
kind("png-chunk-of-2-gb", DAMAGED)(lambda: in_png(struct.pack(">I", 2**31 - 1) + b"tEXt"))
kind("png-exif-giant", "over 2,097,152 bytes of EXIF")(
    lambda: in_png(chunk(b"eXIf", overlapping(40_000, 4_000_000)))
)
kind("png-trailing-script", IMAGE)(lambda: a_photo("PNG") + b"<?php system($_GET[0]); ?>" * 99)
kind("png-10000-frames", IMAGE)(
    lambda: in_png(
        chunk(b"acTL", struct.pack(">II", 10_000, 0)),
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 80, 60, 0, 0, 1, 1, 0, 0)),
    )
)


# GIF, WebP, BMP, AVIF


def gif(width: int = 80, height: int = 60, *, extensions: bytes = b"", frames: int = 1) -> bytes:
    whole = saved(photo().convert("P"), "GIF")
    palette = 13 + (3 << ((whole[10] & 7) + 1))
    assert whole[palette : palette + 1] == b","
    screen = patched(whole[:palette], 6, struct.pack("<HH", width, height))
    return screen + extensions + whole[palette:-1] * frames + b";"


def blocks(content: bytes) -> bytes:
    parts = (content[i : i + 255] for i in range(0, len(content), 255))
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


kind("gif-10000-frames", IMAGE)(lambda: gif(frames=10_000))
kind("gif-zero-width", IMAGE + "|no width")(lambda: gif(0, 60))
kind("gif-canvas-of-65535", "over 100,000,000 pixels")(lambda: gif(65535, 65535))
kind("gif-canvas-of-9999", "too few bytes")(lambda: gif(9999, 9999))
kind("gif-frame-beyond-its-canvas", IMAGE)(lambda: gif(33, 33))
kind("gif-without-frames", DAMAGED)(lambda: gif(frames=0))
kind("gif-cut-in-its-palette", DAMAGED)(lambda: gif()[:300])
kind("gif-comment-of-20-mb", "GIF extensions")(
    lambda: gif(extensions=b"!\xfe" + blocks(bytes(20_000_000)))
)
kind("gif-a-million-extensions", "GIF extensions")(lambda: gif(extensions=b"!\xf9\0" * 1_000_000))
kind("gif-script", "damaged|no width|too few bytes|no image of a kind|over")(
    lambda: b"GIF89a/*" + bytes(40) + b"*/=1;alert(1)"
)


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff_chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def animated_webp(canvas: int, n_frames: int, *, n_bytes: int = 0) -> bytes:
    image = a_photo("WEBP")[12:]
    places = struct.pack("<I", 0)[:3] * 2 + (79).to_bytes(3, "little") + (59).to_bytes(3, "little")
    frame = riff_chunk(b"ANMF", places + (40).to_bytes(3, "little") + b"\0" + image)
    side = (canvas - 1).to_bytes(3, "little")
    return riff(
        riff_chunk(b"VP8X", b"\x02\0\0\0" + side * 2),
        riff_chunk(b"ANIM", bytes(6)),
        frame * n_frames,
        riff_chunk(b"XMP ", bytes(n_bytes)),
    )


kind("webp-10000-frames", IMAGE)(lambda: animated_webp(80, 10_000))
kind("webp-canvas-of-16384", "is too large")(lambda: animated_webp(16384, 1))
kind("webp-canvas-of-7000", "too few bytes")(lambda: animated_webp(7000, 1))
kind("webp-cut", DAMAGED)(lambda: a_photo("WEBP")[:200])
kind("webp-size-that-lies", IMAGE + "|" + DAMAGED)(
    lambda: patched(a_photo("WEBP"), 4, b"\xff\xff\xff\x7f")
)
kind("webp-cut-in-its-header", DAMAGED + "|no image of a kind")(lambda: a_photo("WEBP")[:16])


def bmp(width: int, height: int, bits: int, compression: int, content: bytes) -> bytes:
    palette = bytes(1024) if bits <= 8 else b""
    start = 54 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", start + len(content), 0, 0, start)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(content), 1, 1, 0, 0
    )
    return head + info + palette + content


kind("bmp-upside-down", IMAGE)(lambda: bmp(80, -60, 24, 0, bytes(14_400)))
kind("bmp-zero-width", "no width")(lambda: bmp(0, 60, 24, 0, bytes(99)))
kind("bmp-of-2147483647", "over 100,000,000 pixels")(lambda: bmp(2**31 - 1, 2**31 - 1, 24, 0, b""))
kind("bmp-cut", DAMAGED)(lambda: bmp(80, 60, 24, 0, bytes(500)))
kind("bmp-1-bit", IMAGE)(lambda: bmp(80, 60, 1, 0, bytes(12 * 60)))
kind("bmp-16-bit", IMAGE)(lambda: bmp(80, 60, 16, 0, bytes(160 * 60)))
kind("bmp-5-bits", DAMAGED)(lambda: bmp(80, 60, 5, 0, bytes(9999)))
kind("bmp-rle", IMAGE)(lambda: bmp(80, 60, 8, 1, b"\x50\x07\0\0" * 60 + b"\0\x01"))
kind("bmp-rle-of-4400-by-single-pixels", "run-length")(
    lambda: bmp(4400, 4400, 8, 1, b"\x01\x07" * (4400 * 4400))
)
kind("bmp-rle-ends-of-lines", "run-length|too few bytes|" + DAMAGED)(
    lambda: bmp(4400, 4400, 8, 1, (b"\x01\x07\0\0" * 4400))
)
kind("bmp-rle-that-stands-still", DAMAGED + "|run-length")(
    lambda: bmp(1000, 1000, 8, 1, b"\0\0" * 5_000_000)
)
kind("bmp-rle-deltas", IMAGE + "|" + DAMAGED)(
    lambda: bmp(1000, 1000, 8, 1, b"\0\x02\xff\xff" * 2000)
)
kind("avif-cut", DAMAGED)(lambda: a_photo("AVIF")[:300])
kind("avif-cut-in-its-pixels", DAMAGED)(lambda: a_photo("AVIF")[:-100])
kind("avif-box-that-lies", DAMAGED + "|no image of a kind")(
    lambda: patched(a_photo("AVIF"), 0, b"\xff\xff\xff\xff")
)
kind("avif-of-65535", DAMAGED + "|over 100,000,000 pixels")(lambda: avif_of_size(65535, 65535))
kind("avif-of-9000-in-few-bytes", DAMAGED + "|would take over 1 GB")(
    lambda: avif_of_size(9000, 9000)
)


def avif_of_size(width: int, height: int, content: bytes | None = None) -> bytes:
    """An AVIF whose box `ispe` says another size."""
    content = a_photo("AVIF") if content is None else content
    return patched(content, content.index(b"ispe") + 8, struct.pack(">II", width, height))


# libavif decodes whatever size the pixels have, up to 268 megapixels, and scales it to what the
# file says; see "Limits of what is checked" in docs/reliability.md.
@kind("avif-pixels-larger-than-it-says", IMAGE)
def avif_larger_inside() -> bytes:
    large = saved(Image.new("RGB", (2048, 2048), "grey"), "AVIF", speed=10)
    return avif_of_size(64, 64, large)


# What is no image that is read


def a_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "text")
    return buffer.getvalue()


OTHERS = {
    "jpeg-2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99),
    "jpeg-2000-codestream": b"\xff\x4f\xff\x51" + bytes(99),
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(x) run\n",
    "pdf": b"%PDF-1.7\n" + bytes(99),
    "svg": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "html": b"<html><script>alert(1)</script></html>",
    "icon": b"\0\0\1\0\1\0" + bytes(99),
    "photoshop": b"8BPS\0\1" + bytes(99),
    "zip": b"PK\3\4" + bytes(99),
    "elf": b"\x7fELF" + bytes(99),
    "zeros": bytes(10_000),
    "text": b"P6 80 60 255\n" + bytes(14_400),
    "keras": b"\x89HDF\r\n\x1a\n" + bytes(99),
    "pickle": b"\x80\x04cposix\nsystem\n(S'true'\ntR.",
}
for _name, _content in OTHERS.items():
    kind(f"no-image-{_name}", "no image of a kind that is read")(partial(bytes, _content))
kind("empty", "has 0 bytes")(bytes)
