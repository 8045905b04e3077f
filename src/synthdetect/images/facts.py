"""What a file says of an image without its pixels: format, size, JPEG settings, metadata."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from synthdetect.errors import ImageError
from synthdetect.images.decode import open_header, source_name
from synthdetect.images.limits import DEFAULT_LIMITS, Limits
from synthdetect.images.modes import orientation_of

_SUBSAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
_WORKERS = 8  # They wait for the disk more than they compute.

# The luminance table of the JPEG standard (ITU-T T.81, table K.1), which libjpeg scales.
# fmt: off
_LUMINANCE = np.array((
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
))
# fmt: on


@dataclass(frozen=True)
class FileFacts:
    """What the header of one image's file says.

    Parameters
    ----------
    format : str
        As Pillow names it: `JPEG`, `PNG`, `WEBP`, ...
    mode : str
        Pillow's mode, such as `RGB`, `L` or `RGBA`.
    width, height : int
        In pixels, upright.
    n_bytes : int
        Size of the file.
    jpeg_quality : int or None
        1 to 100, see `jpeg_quality`; None if it is no JPEG.
    jpeg_standard : bool or None
        Whether the luminance table is exactly that of libjpeg at this quality; cameras and some
        programs have tables of their own.
    subsampling : str or None
        Chroma subsampling of a JPEG: `4:4:4`, `4:2:2`, `4:2:0` or `other`; None without chroma.
    progressive : bool
        A progressive JPEG or an interlaced PNG.
    has_exif, has_icc : bool
        Whether there is EXIF metadata, and a colour profile.
    """

    format: str
    mode: str
    width: int
    height: int
    n_bytes: int
    jpeg_quality: int | None
    jpeg_standard: bool | None
    subsampling: str | None
    progressive: bool
    has_exif: bool
    has_icc: bool

    @property
    def bytes_per_pixel(self) -> float:
        """Size of the file over the number of pixels."""
        return self.n_bytes / (self.width * self.height)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return asdict(self)


def file_facts(
    source: Any, *, name: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> FileFacts:
    """Read what the header of an encoded image says; pixels are not decoded.

    Parameters
    ----------
    source : str, path-like, bytes or binary file object
    name : str, optional
        What errors call it.
    limits : Limits, optional

    Returns
    -------
    facts : FileFacts

    Raises
    ------
    ImageError
        If it is no image that `synthdetect.images.decode.decode` would take, as far as the header
        tells, or no encoded one (an array).
    """
    name = source_name(source, 0) if name is None else name
    with open_header(source, name=name, limits=limits) as (image, n_bytes):
        width, height = image.size
        if orientation_of(image) >= 5:
            width, height = height, width
        quality, standard, subsampling = _jpeg_settings(image)
        return FileFacts(
            format=image.format or "",
            mode=image.mode,
            width=width,
            height=height,
            n_bytes=n_bytes,
            jpeg_quality=quality,
            jpeg_standard=standard,
            subsampling=subsampling,
            progressive=any(image.info.get(key) for key in ("progressive", "interlace")),
            has_exif="exif" in image.info,
            has_icc=bool(image.info.get("icc_profile")),
        )


def read_facts(
    sources: Iterable[Any],
    *,
    limits: Limits = DEFAULT_LIMITS,
    advance: Callable[[], None] | None = None,
) -> list[FileFacts | ImageError]:
    """Read the facts of many files, in threads.

    Parameters
    ----------
    sources : iterable
        Of what `file_facts` takes.
    limits : Limits, optional
    advance : callable, optional
        Called once an image, in order, for a progress bar.

    Returns
    -------
    facts : list of FileFacts or ImageError
        In order; the error says why there are none.
    """

    def read(numbered: tuple[int, Any]) -> FileFacts | ImageError:
        index, source = numbered
        try:
            return file_facts(source, name=source_name(source, index), limits=limits)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="synthdetect-facts") as pool:
        found = []
        for facts in pool.map(read, enumerate(sources)):
            found.append(facts)
            if advance is not None:
                advance()
        return found


def jpeg_quality(table: ArrayLike) -> tuple[int, bool]:
    """Estimate the quality that a JPEG was saved at.

    libjpeg scales the tables of the JPEG standard by the quality; the estimate is the quality whose
    luminance table differs least, by the sum of absolute differences.

    Parameters
    ----------
    table : array-like of shape (64,), int
        Luminance quantisation table, row by row.

    Returns
    -------
    quality : int
        1 to 100.
    exact : bool
        Whether the table is that of libjpeg. If not, the quality is the nearest on its scale, and
        says nothing of the number that another program calls quality.

    Examples
    --------
    >>> jpeg_quality([1] * 64)
    (100, True)
    """
    differences = np.abs(_libjpeg_tables() - np.asarray(table, dtype=np.int64)).sum(axis=1)
    nearest = int(np.argmin(differences))
    return nearest + 1, bool(differences[nearest] == 0)


def _libjpeg_tables() -> NDArray[np.int64]:
    """Luminance tables of qualities 1 to 100, of shape (100, 64); as `jpeg_set_quality` has it."""
    quality = np.arange(1, 101)[:, np.newaxis]
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables: NDArray[np.int64] = np.clip((_LUMINANCE * scale + 50) // 100, 1, 255)
    return tables


def _jpeg_settings(image: Image.Image) -> tuple[int | None, bool | None, str | None]:
    """Quality, whether its table is standard, and subsampling; None each if it is no JPEG."""
    if not isinstance(image, JpegImageFile):
        return None, None, None
    luminance = image.quantization.get(image.layer[0][3])
    quality, standard = (None, None) if luminance is None else jpeg_quality(luminance)
    if len(image.layer) == 1:
        return quality, standard, None
    return quality, standard, _SUBSAMPLINGS.get(get_sampling(image), "other")
