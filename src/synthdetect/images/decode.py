"""One image, of whatever form, to uint8 RGB, or an `ImageError` that says why not.

Formats are sniffed from the content and limited to a short list; every limit is checked on the
header, before pixels are decoded.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from PIL import (  # each registers the formats that it reads
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from synthdetect.errors import ImageError
from synthdetect.images.limits import DEFAULT_LIMITS, Limits
from synthdetect.images.modes import orientation_of, to_rgb, upright, wrong_dtype
from synthdetect.images.reading import check_bytes, damaged, opened, read_encoded
from synthdetect.images.structure import check_cost, check_scans, check_structure
from synthdetect.images.views import Pixels
from synthdetect.locks import Lock

# Peak bytes a pixel while decoding: WebP holds two canvases and two copies; a progressive JPEG
# keeps 16-bit coefficients of all channels (10.7 measured on 100 Mpx).
_BYTES_PER_PIXEL = {"WEBP": 20, "AVIF": 20, "HEIF": 20}
_PROGRESSIVE_BYTES_PER_PIXEL = 12
_OTHER_BYTES_PER_PIXEL = 8
_MAX_BYTES = 1_000_000_000
_LARGE_PIXELS = 25_000_000


# One large image is decoded at a time, so that threads do not add up their memory.
_large_image = Lock()


def source_name(source: Any, index: int) -> str:
    """Return what errors call an image: its path, or `image 3` for the fourth of a stream."""
    if isinstance(source, str | os.PathLike):
        return str(os.fspath(source))
    return f"image {index}"


def decode(source: Any, *, name: str | None = None, limits: Limits = DEFAULT_LIMITS) -> Pixels:
    """Decode one image.

    EXIF orientation is applied, alpha is composited on white, 16-bit greys are scaled to 8 bits,
    CMYK and palettes are converted; colour profiles are left alone. Of an animation the first frame
    is used.

    Parameters
    ----------
    source : str, path-like, bytes, binary file object, PIL image or ndarray
        Encoded: JPEG (also MPO), PNG, WebP, GIF, BMP, TIFF; AVIF and HEIF where Pillow reads them.
        Arrays: uint8 of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4).
    name : str, optional
        What errors call it.
    limits : Limits, optional

    Returns
    -------
    pixels : ndarray of shape (h, w, 3), uint8
        RGB, C-contiguous, upright.

    Raises
    ------
    ImageError
        Whatever is wrong with the image; nothing else is raised for a bad one.
    """
    name = source_name(source, 0) if name is None else name
    try:
        if isinstance(source, np.ndarray):
            return _from_array(source, name, limits)
        if isinstance(source, Image.Image):
            return _from_pil(source, name, limits)
        encoded = read_encoded(source, name=name, limits=limits)
        image = _checked_header(io.BytesIO(encoded), len(encoded), name, limits)
        if image.format in ("JPEG", "MPO"):
            with _refused(name):
                check_scans(encoded, image.width * image.height)
        return _load_in_turn(image, name, limits)
    except ImageError:
        raise
    except Exception as error:  # Pillow raises nearly every class on damaged files
        raise damaged(error, name) from error


@contextmanager
def open_header(
    source: Any, *, name: str, limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[Image.Image, int]]:
    """Open an encoded image without decoding its pixels.

    Of a file only the header is read, where its format has one.

    Parameters
    ----------
    source : str, path-like, bytes, bytearray, memoryview or binary file object
    name : str
        What errors call it.
    limits : Limits, optional
        The same as for `decode`, on what the header says.

    Yields
    ------
    image : PIL.Image.Image
        Not loaded; of use inside the block only.
    n_bytes : int
        Size of the encoded image.

    Raises
    ------
    ImageError
        As `decode` does; also for what the block raises while it reads from `image`.
    """
    try:
        if isinstance(source, str | os.PathLike):
            with opened(source, name) as file:
                n_bytes = os.fstat(file.fileno()).st_size
                check_bytes(n_bytes, name, limits)
                yield _checked_header(file, n_bytes, name, limits), n_bytes
        else:
            encoded = read_encoded(source, name=name, limits=limits)
            n_bytes = len(encoded)
            yield _checked_header(io.BytesIO(encoded), n_bytes, name, limits), n_bytes
    except ImageError:
        raise
    except Exception as error:  # Pillow raises nearly every class on damaged files
        raise damaged(error, name) from error


def _checked_header(file: BinaryIO, n_bytes: int, name: str, limits: Limits) -> Image.Image:
    """Open an image, whose structure, size and cost are within bounds."""
    image = _open(file, name, limits)
    _check_header(image, image.format or "", name, limits)
    with _refused(name):
        check_cost(image, n_bytes)
    return image


@contextmanager
def _refused(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ImageError(name, str(error)) from error


def _open(file: BinaryIO, name: str, limits: Limits) -> Image.Image:
    """Find the format by content and read the header.

    `Image.open` would do the same and then warn, or raise, past `Image.MAX_IMAGE_PIXELS`: a global
    of the application's that our limit must neither change nor depend on. So its readers are
    called directly, as it calls them.
    """
    prefix = file.read(16)
    file.seek(0)
    readable = [format_name for format_name in limits.formats if format_name in Image.OPEN]
    for format_name in readable:
        factory, accepts = Image.OPEN[format_name]
        accepted = accepts(prefix) if accepts is not None else True
        if isinstance(accepted, str) or not accepted:
            continue
        with _refused(name):
            check_structure(file, format_name)
        return factory(file, "")
    raise ImageError(
        name,
        f"is no image of a kind that is read ({', '.join(readable)}); convert it to one of them",
    )


def _from_array(array: np.ndarray[Any, Any], name: str, limits: Limits) -> Pixels:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(
            name, f"has shape {array.shape}; use (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)"
        )
    if array.dtype != np.uint8:
        raise ImageError(name, wrong_dtype(array))
    _check_size(array.shape[1], array.shape[0], _OTHER_BYTES_PER_PIXEL, name, limits)
    grey = array.ndim == 2 or array.shape[2] == 1
    image = Image.fromarray(np.ascontiguousarray(array.reshape(array.shape[:2]) if grey else array))
    return to_rgb(image)


def _from_pil(image: Image.Image, name: str, limits: Limits) -> Pixels:
    check_pil(image, name=name, limits=limits)
    return _load_in_turn(image, name, limits)


def check_pil(image: Image.Image, *, name: str, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse a PIL image that should not be loaded: too large, or read by another program.

    Parameters
    ----------
    image : PIL.Image.Image
    name : str
        What errors call it.
    limits : Limits, optional

    Raises
    ------
    ImageError
        If its size is outside the limits, or it is an EPS that is not loaded yet: Pillow runs
        Ghostscript for those.
    """
    unread = bool(getattr(image, "tile", None))
    if unread and image.format == "EPS":
        raise ImageError(name, "is PostScript, a program and no picture; convert it to PNG")
    _check_header(image, (image.format or "") if unread else "", name, limits)


def _load_in_turn(image: Image.Image, name: str, limits: Limits) -> Pixels:
    width, height = image.size
    if width * height <= _LARGE_PIXELS:
        return _load(image, name, limits)
    with _large_image:
        return _load(image, name, limits)


def _check_header(image: Image.Image, format_name: str, name: str, limits: Limits) -> None:
    cost = _BYTES_PER_PIXEL.get(format_name, _OTHER_BYTES_PER_PIXEL)
    if "progressive" in image.info:
        cost = _PROGRESSIVE_BYTES_PER_PIXEL
    _check_size(*image.size, cost, name, limits)


def _load(image: Image.Image, name: str, limits: Limits) -> Pixels:
    image.load()
    # A file can say another size in its frame than in its header.
    _check_size(*image.size, _OTHER_BYTES_PER_PIXEL, name, limits)
    try:
        return upright(to_rgb(image), orientation_of(image))
    except ValueError as error:
        raise ImageError(name, f"{error}; convert it to 8-bit RGB") from error


def _check_size(width: int, height: int, cost: int, name: str, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise ImageError(
            name,
            f"is {width} x {height}, over {limits.max_pixels:,} pixels; scale it down, or raise "
            "Limits(max_pixels=...)",
        )
    if width * height * cost > _MAX_BYTES:
        raise ImageError(
            name, f"is {width} x {height} and would take over 1 GB to decode; scale it down"
        )
    if min(width, height) < limits.min_side:
        raise ImageError(
            name,
            f"is {width} x {height}; at least {limits.min_side} pixels a side are needed",
        )
