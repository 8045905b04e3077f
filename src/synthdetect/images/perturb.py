"""Class-blind perturbations of an image: what re-encoding, scaling and blurring do on the way.

Training draws them at random (`augment`); measurements call the same functions at levels of their
own (`perturbations.py`).
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from synthdetect.images.views import Pixels


def flip(pixels: Pixels) -> Pixels:
    """Mirror (h, w, 3) left to right."""
    return pixels[:, ::-1]


def jpeg(pixels: Pixels, *, quality: int, subsampling: int = 2) -> Pixels:
    """Encode and decode as JPEG.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3), uint8
    quality : int
        1 to 95, libjpeg's scale.
    subsampling : int, default=2
        0 = 4:4:4, 1 = 4:2:2, 2 = 4:2:0.

    Returns
    -------
    pixels : ndarray of shape (h, w, 3), uint8
    """
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(
        buffer, "JPEG", quality=quality, subsampling=subsampling
    )
    return np.asarray(Image.open(buffer, formats=["JPEG"]))


def resize(pixels: Pixels, *, scale: float, filter_name: str = "LANCZOS") -> Pixels:
    """Scale both sides by `scale` with one of Pillow's filters (`BILINEAR`, `BICUBIC`, ...)."""
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((width, height), Image.Resampling[filter_name]))


def resize_and_back(pixels: Pixels, *, scale: float, filter_name: str = "LANCZOS") -> Pixels:
    """Scale as `resize` does, then to the old size again with the same filter."""
    return _sized(resize(pixels, scale=scale, filter_name=filter_name), pixels.shape, filter_name)


def fit(pixels: Pixels, *, side: int, filter_name: str = "LANCZOS") -> Pixels:
    """Scale down until the long side has at most `side` pixels; never enlarge."""
    longest = max(pixels.shape[:2])
    if longest <= side:
        return pixels
    return resize(pixels, scale=side / longest, filter_name=filter_name)


def thumbnail_and_back(pixels: Pixels, *, side: int, filter_name: str = "LANCZOS") -> Pixels:
    """Scale down as `fit` does, then to the old size again with the same filter."""
    return _sized(fit(pixels, side=side, filter_name=filter_name), pixels.shape, filter_name)


def center_crop(pixels: Pixels, *, share: float) -> Pixels:
    """Keep the middle `share` of both sides, at native resolution."""
    height, width = _part_of(pixels, share)
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def crop(pixels: Pixels, *, share: float, rng: np.random.Generator) -> Pixels:
    """Keep `share` of both sides at a random place, at native resolution."""
    height, width = _part_of(pixels, share)
    top = int(rng.integers(pixels.shape[0] - height, endpoint=True))
    left = int(rng.integers(pixels.shape[1] - width, endpoint=True))
    return pixels[top : top + height, left : left + width]


def _part_of(pixels: Pixels, share: float) -> tuple[int, int]:
    height, width = (max(1, round(side * share)) for side in pixels.shape[:2])
    return height, width


def _sized(pixels: Pixels, shape: tuple[int, ...], filter_name: str) -> Pixels:
    """Scale to the height and width of `shape`."""
    if pixels.shape[:2] == shape[:2]:
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling[filter_name]))


def blur(pixels: Pixels, *, sigma: float) -> Pixels:
    """Blur by a Gaussian of standard deviation `sigma` pixels (Pillow's box approximation)."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(sigma)))


def webp(pixels: Pixels, *, quality: int) -> Pixels:
    """Encode and decode as lossy WebP of `quality` 0 to 100 (libwebp's fastest method)."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "WEBP", quality=quality, method=0)
    return np.asarray(Image.open(buffer, formats=["WEBP"]).convert("RGB"))


def noise(pixels: Pixels, *, sigma: float, rng: np.random.Generator) -> Pixels:
    """Add Gaussian noise of standard deviation `sigma` (in grey levels) to each channel."""
    noisy = pixels + rng.standard_normal(pixels.shape, np.float32) * np.float32(sigma)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def tone(pixels: Pixels, *, brightness: float, contrast: float, gamma: float) -> Pixels:
    """Change brightness, contrast (about middle grey) and gamma, in this order; 1 leaves each."""
    levels = np.arange(256) / 255 * brightness
    levels = np.clip((levels - 0.5) * contrast + 0.5, 0, 1) ** gamma
    table: Pixels = np.rint(255 * levels).astype(np.uint8)
    return table[pixels]


_PROBABILITIES = ("flip", "jpeg", "resize", "blur", "webp", "noise", "tone", "crop", "chain")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How often and how far `augment` perturbs; the same for both classes.

    Parameters
    ----------
    flip, jpeg, resize, blur, webp, noise, tone, crop, chain : float
        Probability of each, in [0, 1].
    jpeg_quality, webp_quality : tuple of int
        Lowest and highest quality.
    resize_scale : tuple of float
        Smallest and largest scale, drawn uniformly in log scale.
    blur_sigma : tuple of float
        Smallest and largest standard deviation in pixels.
    noise_sigma : tuple of float
        Smallest and largest standard deviation in grey levels.
    tone_scale : tuple of float
        Smallest and largest factor of brightness, of contrast and of gamma, each drawn uniformly in
        log scale.
    crop_share : tuple of float
        Smallest and largest share of both sides that a crop at a random place keeps.
    chain_scale : tuple of float
        A chain is what two services do one after the other: each scales by a factor between these
        (uniform in log scale) and saves as JPEG of a quality in `chain_quality`.
    chain_quality : tuple of int
        Lowest and highest quality in a chain.
    """

    flip: float = 0.5
    jpeg: float = 0.3
    jpeg_quality: tuple[int, int] = (60, 95)
    resize: float = 0.3
    resize_scale: tuple[float, float] = (0.6, 1.5)
    blur: float = 0.1
    blur_sigma: tuple[float, float] = (0.3, 1.2)
    webp: float = 0.0
    webp_quality: tuple[int, int] = (50, 95)
    noise: float = 0.0
    noise_sigma: tuple[float, float] = (1.0, 6.0)
    tone: float = 0.0
    tone_scale: tuple[float, float] = (0.8, 1.25)
    crop: float = 0.0
    crop_share: tuple[float, float] = (0.6, 0.95)
    chain: float = 0.0
    chain_scale: tuple[float, float] = (0.6, 1.0)
    chain_quality: tuple[int, int] = (60, 95)

    def __post_init__(self) -> None:
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"augmentation {name} is {getattr(self, name)}; use 0 to 1")
        for name, floor, ceiling in (
            ("jpeg_quality", 1, 95),
            ("resize_scale", 0.05, 20),
            ("blur_sigma", 0, 20),
            ("webp_quality", 0, 100),
            ("noise_sigma", 0, 128),
            ("tone_scale", 0.1, 10),
            ("crop_share", 0.05, 1),
            ("chain_scale", 0.05, 20),
            ("chain_quality", 1, 95),
        ):
            values = tuple(getattr(self, name))
            if len(values) != 2 or not floor <= values[0] <= values[1] <= ceiling:
                raise ValueError(
                    f"augmentation {name} is {values}; use two rising values "
                    f"from {floor} to {ceiling}"
                )

    def facts(self) -> dict[str, Any]:
        """Return the fields for a fingerprint.

        Crop and chain are in it where they are drawn alone, so that a training from before they
        were there, which never draws them, keeps the fingerprint that it has on disk.
        """
        left_out = tuple(name for name in ("crop", "chain") if not getattr(self, name))
        return {
            name: value
            for name, value in asdict(self).items()
            if not (left_out and name.startswith(left_out))
        }


def augment(pixels: Pixels, augmentation: Augmentation, rng: np.random.Generator) -> Pixels:
    """Perturb one image at random, each perturbation with its probability, in random order.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3), uint8
    augmentation : Augmentation
    rng : numpy.random.Generator

    Returns
    -------
    pixels : ndarray of shape (h', w', 3), uint8
        Another size where it was scaled.
    """
    steps: list[Callable[[Pixels], Pixels]] = []
    if rng.random() < augmentation.flip:
        steps.append(flip)
    if rng.random() < augmentation.jpeg:
        quality = int(rng.integers(*augmentation.jpeg_quality, endpoint=True))
        subsampling = int(rng.choice([0, 2]))
        steps.append(lambda image: jpeg(image, quality=quality, subsampling=subsampling))
    if rng.random() < augmentation.resize:
        scale = float(np.exp(rng.uniform(*np.log(augmentation.resize_scale))))
        filter_name = str(rng.choice(["BILINEAR", "BICUBIC", "LANCZOS"]))
        steps.append(lambda image: resize(image, scale=scale, filter_name=filter_name))
    if rng.random() < augmentation.blur:
        sigma = float(rng.uniform(*augmentation.blur_sigma))
        steps.append(lambda image: blur(image, sigma=sigma))
    if rng.random() < augmentation.webp:
        webp_quality = int(rng.integers(*augmentation.webp_quality, endpoint=True))
        steps.append(lambda image: webp(image, quality=webp_quality))
    if rng.random() < augmentation.noise:
        noise_sigma = float(rng.uniform(*augmentation.noise_sigma))
        steps.append(lambda image: noise(image, sigma=noise_sigma, rng=rng))
    if rng.random() < augmentation.tone:
        low, high = np.log(augmentation.tone_scale)
        brightness, contrast, gamma = np.exp(rng.uniform(low, high, size=3))
        steps.append(
            lambda image: tone(image, brightness=brightness, contrast=contrast, gamma=gamma)
        )
    # Without a draw where the probability is 0: what a seed gave before these two were there stays.
    if augmentation.crop and rng.random() < augmentation.crop:
        share = float(rng.uniform(*augmentation.crop_share))
        steps.append(lambda image: crop(image, share=share, rng=rng))
    if augmentation.chain and rng.random() < augmentation.chain:
        low, high = np.log(augmentation.chain_scale)
        scales = np.exp(rng.uniform(low, high, size=2))
        qualities = rng.integers(*augmentation.chain_quality, size=2, endpoint=True)
        services = [(float(s), int(q)) for s, q in zip(scales, qualities, strict=True)]
        steps.append(lambda image: _through(image, services))
    for step in rng.permutation(len(steps)):
        pixels = steps[step](pixels)
    return pixels


def _through(pixels: Pixels, services: Sequence[tuple[float, int]]) -> Pixels:
    """Scale and save as JPEG, by one service after the other."""
    for scale, quality in services:
        pixels = jpeg(resize(pixels, scale=scale), quality=quality)
    return pixels
