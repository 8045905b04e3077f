"""Images as they stand in a page: small JPEG copies as data URIs."""

import base64
import io

from PIL import Image

from synthdetect.images.views import Pixels


def resized(pixels: Pixels, side: int) -> tuple[Image.Image, float]:
    """Return an image scaled so that its longer side has `side` pixels, and the scale.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3), uint8
    side : int

    Returns
    -------
    image : PIL.Image.Image
    scale : float
        Pixels of the copy for each of the image.
    """
    image = Image.fromarray(pixels)
    scale = side / max(image.size)
    size = tuple(max(1, round(length * scale)) for length in image.size)
    return image.resize((size[0], size[1]), Image.Resampling.BILINEAR), scale


def data_uri(image: Image.Image) -> str:
    """Return an image as a JPEG that a page can hold."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
