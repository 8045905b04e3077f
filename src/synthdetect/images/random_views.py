"""What a network sees of a training image: its own view, at a place drawn anew in each epoch."""

import numpy as np
from PIL import Image

from synthdetect.images.views import Pixels, Resize, View, pad_to

# A frame that wanders by up to a seventh of each side is what cropping by hand does to a portrait.
_LEAST_SHARE = 0.85


def random_view(pixels: Pixels, view: View, size: int, rng: np.random.Generator) -> Pixels:
    """Draw one training example of `size` from an image, as `view` will look at it later.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3), uint8
    view : View
        Of the member. `Resize` gives nearly the whole image, scaled; the others a crop at native
        resolution.
    size : int
        Side in pixels; a cycle of the training may take another than the view has.
    rng : numpy.random.Generator

    Returns
    -------
    example : ndarray of shape (size, size, 3), uint8
    """
    if isinstance(view, Resize):
        return random_frame(pixels, size, rng)
    return random_crop(pixels, size, rng)


def random_crop(pixels: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    """Cut a random (size, size, 3) square at native resolution; small images are reflect-padded."""
    padded = pad_to(pixels, size)
    top = int(rng.integers(padded.shape[0] - size, endpoint=True))
    left = int(rng.integers(padded.shape[1] - size, endpoint=True))
    return padded[top : top + size, left : left + size]


def random_frame(pixels: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    """Scale a random part with 85 % to 100 % of each side of an image to (size, size, 3)."""
    shares = rng.uniform(_LEAST_SHARE, 1.0, size=2)
    height, width = (max(1, round(s * n)) for s, n in zip(shares, pixels.shape[:2], strict=True))
    top = int(rng.integers(pixels.shape[0] - height, endpoint=True))
    left = int(rng.integers(pixels.shape[1] - width, endpoint=True))
    frame = Image.fromarray(np.ascontiguousarray(pixels))
    box = (left, top, left + width, top + height)
    return np.asarray(frame.resize((size, size), Image.Resampling.BILINEAR, box=box))
