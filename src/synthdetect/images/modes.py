"""From Pillow's pixel modes to upright uint8 RGB, in strips so that memory stays bounded."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synthdetect.images.views import Pixels

_STRIP_PIXELS = 4_000_000
_ORIENTATION_TAG = 0x0112


def to_rgb(image: Image.Image) -> Pixels:
    """Convert a loaded image.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any mode; not changed.

    Returns
    -------
    pixels : ndarray of shape (h, w, 3), uint8
        C-contiguous; alpha composited on white.

    Raises
    ------
    ValueError
        If the mode has no defined range (32-bit integers past 16 bits, floats) or no conversion.
    """
    _check_range(image)
    width, height = image.size
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = image if rows >= height else image.crop((0, top, width, bottom))
        pixels[top:bottom] = _strip_to_rgb(strip)
    return pixels


def _strip_to_rgb(strip: Image.Image) -> NDArray[np.uint8]:
    if strip.mode.startswith("I"):
        grey = (np.asarray(strip).astype(np.uint32) * 255 + 32767) // 65535
        return np.repeat(grey.astype(np.uint8)[:, :, np.newaxis], 3, axis=2)
    if strip.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in strip.info:
        return _on_white(np.asarray(strip.convert("RGBA")))
    return np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))


def _on_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = rgba[:, :, 3:].astype(np.uint16)
    blended = rgba[:, :, :3] * alpha + 255 * (255 - alpha) + 127
    return (blended // 255).astype(np.uint8)


def _check_range(image: Image.Image) -> None:
    if image.mode == "F":
        raise ValueError("has floating-point pixels, whose range is not defined")
    if image.mode == "I":
        low, high = image.getextrema()
        if low < 0 or high > 65535:  # type: ignore[operator]
            raise ValueError("has 32-bit pixels beyond 0 to 65535, whose range is not defined")


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - broken EXIF is no reason to refuse the pixels
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn pixels as EXIF orientation says.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3), uint8
    orientation : int
        1 to 8.

    Returns
    -------
    pixels : ndarray of shape (h, w, 3) or (w, h, 3), uint8
        C-contiguous.
    """
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def wrong_dtype(array: NDArray[Any]) -> str:
    """Return how an array of another dtype becomes uint8, as the reason of an error."""
    if array.dtype.kind == "f" and array.size:
        if not np.isfinite(array).all():
            return "has NaN or infinite values; replace them, then convert to uint8 of 0 to 255"
        if array.min() < 0:
            return "has negative values; undo the normalisation, then convert to uint8 of 0 to 255"
        if array.max() <= 1:
            return f"is {array.dtype} in 0 to 1; uint8 is needed: (x * 255).round().astype('uint8')"
        return f"is {array.dtype}; uint8 is needed: x.round().clip(0, 255).astype('uint8')"
    if array.dtype == np.uint16:
        return "is uint16; uint8 is needed: (x // 257).astype('uint8') if it spans 0 to 65535"
    if array.dtype == np.bool_:
        return "is bool; uint8 is needed: x.astype('uint8') * 255"
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        return "has negative values; convert to uint8 of 0 to 255"
    return (
        f"is {array.dtype}; uint8 of 0 to 255 is needed: x.astype('uint8') if it is in that range"
    )
