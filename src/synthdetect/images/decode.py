"""One image, of whatever form, to uint8 RGB, or an `ImageError` that says why not.

Formats are sniffed from the content and limited to a short list; every limit is checked on the
header, before pixels are decoded.
"""

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from synthdetect.images.modes import orientation_of, to_rgb, upright, wrong_dtype
from synthdetect.images.structure import check_cost, check_scans, check_structure
from synthdetect.images.views import Pixels
from synthdetect.locks import Lock

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")

# Peak bytes a pixel while decoding: WebP holds two canvases and two copies; a progressive JPEG
# keeps 16-bit coefficients of all channels (10.7 measured on 100 Mpx).
_BYTES_PER_PIXEL = {"WEBP": 20, "AVIF": 20, "HEIF": 20}
_PROGRESSIVE_BYTES_PER_PIXEL = 12
_OTHER_BYTES_PER_PIXEL = 8
_MAX_BYTES = 1_000_000_000
_LARGE_PIXELS = 25_000_000
# One read of most files, and not much to allocate for those that are smaller.
_CHUNK = 1 << 20
# Without O_NONBLOCK, opening a FIFO waits for a writer that never comes.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Limits:
    """What the decoder accepts.

    Parameters
    ----------
    max_pixels : int
        Width times height.
    min_side : int
        Smaller images say too little; in pixels.
    max_file_bytes : int
        Size of the encoded image.
    formats : tuple of str
        Which of `FORMATS` are read; a service that gets JPEG alone exposes one parser. Does not
        count for PIL images.

    Raises
    ------
    ValueError
        If a format is not one of `FORMATS`.
    """

    max_pixels: int = 100_000_000
    min_side: int = 32
    max_file_bytes: int = 256 << 20
    formats: tuple[str, ...] = FORMATS

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.formats) - set(FORMATS)):
            raise ValueError(f"Limits(formats=...) has {unknown}; use some of {list(FORMATS)}")


DEFAULT_LIMITS = Limits()
NO_MEMORY = "does not fit in memory; scale it down"


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
        raise _damaged(error, name) from error


def read_encoded(source: Any, *, name: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Read an encoded image once.

    Parameters
    ----------
    source : str, path-like, bytes, bytearray, memoryview or binary file object
        A file object is read from where it stands and left open.
    name : str
        What errors call it.
    limits : Limits, optional

    Returns
    -------
    encoded : bytes

    Raises
    ------
    ImageError
        If there is no such file, it is none, may not be read, is empty or too large.
    """
    if isinstance(source, str | os.PathLike):
        encoded = _read_path(source, name, limits)
    elif isinstance(source, bytes | bytearray | memoryview):
        encoded = bytes(source)
    elif hasattr(source, "read"):
        encoded = _read_file(source, name, limits)
    else:
        raise ImageError(
            name,
            f"is a {type(source).__name__}; give a path, bytes, a binary file, a PIL image or a "
            "uint8 array",
        )
    _check_bytes(len(encoded), name, limits)
    return encoded


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
            with _opened(source, name) as file:
                n_bytes = os.fstat(file.fileno()).st_size
                _check_bytes(n_bytes, name, limits)
                yield _checked_header(file, n_bytes, name, limits), n_bytes
        else:
            encoded = read_encoded(source, name=name, limits=limits)
            n_bytes = len(encoded)
            yield _checked_header(io.BytesIO(encoded), n_bytes, name, limits), n_bytes
    except ImageError:
        raise
    except Exception as error:  # Pillow raises nearly every class on damaged files
        raise _damaged(error, name) from error


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


def _damaged(error: Exception, name: str) -> ImageError:
    """What Pillow raised, as a reason; its own words where they say something."""
    if isinstance(error, MemoryError):
        return ImageError(name, NO_MEMORY)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return ImageError(name, f"is too large ({error}); scale it down")
    reason = str(error) or type(error).__name__
    if reason == "not identified by this driver":  # ImageFile, of a mode or a side that is empty
        reason = "its header has no width, no height or no pixel format"
    return ImageError(name, f"is truncated or damaged ({reason}); save it again")


def _read_path(path: str | os.PathLike[str], name: str, limits: Limits) -> bytes:
    with _opened(path, name) as file:
        return _read_file(file, name, limits)


def _read_file(file: Any, name: str, limits: Limits) -> bytes:
    """Read a file object, whatever it may do."""
    try:
        encoded = _read_until(file, limits.max_file_bytes + 1)
    except OSError as error:
        raise ImageError(name, f"cannot be read ({error}); check the disk") from error
    except MemoryError as error:
        raise _damaged(error, name) from error
    except Exception as error:  # a closed file raises ValueError, a caller's class anything
        raise ImageError(name, f"cannot be read ({error}); give an open binary file") from error
    if isinstance(encoded, str):
        raise ImageError(name, "is a file opened as text; open it with mode 'rb'")
    if not isinstance(encoded, bytes):  # None of a file that does not block, such as a pipe
        raise ImageError(name, "gives no bytes when it is read; give a binary file, or its bytes")
    return encoded


def _read_until(file: Any, most: int) -> Any:
    """Read to the end, or to `most` bytes; what a read gives that is no bytes is given as it is.

    `read` allocates all that it is asked for, and may give less: of a socket, what has come. The
    size that the system tells says nothing: of a `GzipFile` it is that of the packed file.
    """
    buffer = io.BytesIO()
    while (left := most - buffer.tell()) > 0:
        chunk = file.read(min(_CHUNK, left))
        if not isinstance(chunk, bytes):
            return chunk
        if not chunk:
            break
        buffer.write(chunk)
    return buffer.getvalue()


def _check_bytes(n_bytes: int, name: str, limits: Limits) -> None:
    if not n_bytes:
        raise ImageError(name, "has 0 bytes; give the whole file (a file object: from its start)")
    if n_bytes > limits.max_file_bytes:
        raise ImageError(
            name,
            f"has more than {limits.max_file_bytes:,} bytes; save it smaller, or raise "
            "Limits(max_file_bytes=...)",
        )


@contextmanager
def _opened(path: str | os.PathLike[str], name: str) -> Iterator[BinaryIO]:
    if str(path).startswith(("http://", "https://")):
        raise ImageError(name, "is a URL; download it and give the bytes")
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except FileNotFoundError as error:
        raise ImageError(name, "there is no such file; check the path") from error
    except PermissionError as error:
        raise ImageError(name, "may not be read; check its permissions") from error
    except (OSError, ValueError, TypeError) as error:
        advice = "check the path"
        if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
            advice = "close files, or raise the limit (ulimit -n)"
        raise ImageError(name, f"cannot be opened ({error}); {advice}") from error
    try:
        # Before fdopen, which raises on a directory and leaves the descriptor open.
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(name, "is a directory; give the images in it")
        if not stat.S_ISREG(mode):
            raise ImageError(name, "is no regular file (a pipe, socket or device); give its bytes")
    except ImageError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        yield file


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
