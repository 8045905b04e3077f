"""The bytes of an image, from a path, a file object or memory, and never more than allowed.

What goes wrong on the way becomes an `ImageError` with a reason.
"""

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from PIL import Image

from synthdetect.errors import ImageError
from synthdetect.images.limits import DEFAULT_LIMITS, Limits

NO_MEMORY = "does not fit in memory; scale it down"
# One read of most files, and not much to allocate for those that are smaller.
_CHUNK = 1 << 20
# Without O_NONBLOCK, opening a FIFO waits for a writer that never comes.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


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
    check_bytes(len(encoded), name, limits)
    return encoded


def _read_path(path: str | os.PathLike[str], name: str, limits: Limits) -> bytes:
    with opened(path, name) as file:
        return _read_file(file, name, limits)


def _read_file(file: Any, name: str, limits: Limits) -> bytes:
    """Read a file object, whatever it may do."""
    try:
        encoded = _read_until(file, limits.max_file_bytes + 1)
    except OSError as error:
        raise ImageError(name, f"cannot be read ({error}); check the disk") from error
    except MemoryError as error:
        raise damaged(error, name) from error
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


def check_bytes(n_bytes: int, name: str, limits: Limits) -> None:
    if not n_bytes:
        raise ImageError(name, "has 0 bytes; give the whole file (a file object: from its start)")
    if n_bytes > limits.max_file_bytes:
        raise ImageError(
            name,
            f"has more than {limits.max_file_bytes:,} bytes; save it smaller, or raise "
            "Limits(max_file_bytes=...)",
        )


@contextmanager
def opened(path: str | os.PathLike[str], name: str) -> Iterator[BinaryIO]:
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


def damaged(error: Exception, name: str) -> ImageError:
    """What Pillow raised, as a reason; its own words where they say something."""
    if isinstance(error, MemoryError):
        return ImageError(name, NO_MEMORY)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return ImageError(name, f"is too large ({error}); scale it down")
    reason = str(error) or type(error).__name__
    if reason == "not identified by this driver":  # ImageFile, of a mode or a side that is empty
        reason = "its header has no width, no height or no pixel format"
    return ImageError(name, f"is truncated or damaged ({reason}); save it again")
