"""What the decoder accepts."""

from dataclasses import dataclass

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")


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
