"""Class-blind perturbations of an image: what re-encoding, scaling and blurring do on the way.

Training draws them at random (`augment`); measurements call the functions one by one.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from synthdetect.images.views import Pixels, pad_to


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


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How often and how far `augment` perturbs; the same for both classes.

    Parameters
    ----------
    flip, jpeg, resize, blur, webp, noise, tone : float
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

    def __post_init__(self) -> None:
        for name in ("flip", "jpeg", "resize", "blur", "webp", "noise", "tone"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"augmentation {name} is {getattr(self, name)}; use 0 to 1")
        for name, floor, ceiling in (
            ("jpeg_quality", 1, 95),
            ("resize_scale", 0.05, 20),
            ("blur_sigma", 0, 20),
            ("webp_quality", 0, 100),
            ("noise_sigma", 0, 128),
            ("tone_scale", 0.1, 10),
        ):
            values = tuple(getattr(self, name))
            if len(values) != 2 or not floor <= values[0] <= values[1] <= ceiling:
                raise ValueError(
                    f"augmentation {name} is {values}; use two rising values "
                    f"from {floor} to {ceiling}"
                )


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
    for step in rng.permutation(len(steps)):
        pixels = steps[step](pixels)
    return pixels


def random_crop(pixels: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    """Cut a random (size, size, 3) square at native resolution; small images are reflect-padded."""
    padded = pad_to(pixels, size)
    top = int(rng.integers(padded.shape[0] - size, endpoint=True))
    left = int(rng.integers(padded.shape[1] - size, endpoint=True))
    return padded[top : top + size, left : left + size]
