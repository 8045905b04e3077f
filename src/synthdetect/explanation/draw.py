"""Pictures of an explanation: a map over the image, and spectra as lines; Pillow and SVG alone."""

from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from synthdetect.explanation.patches import Box, OcclusionMap, PatchMap
from synthdetect.explanation.spectrum import DECIBELS, SpectrumComparison
from synthdetect.images.pictures import data_uri, resized
from synthdetect.images.views import Pixels, pad_to
from synthdetect.members.real_spectrum import FREQUENCIES

_SIDE = 640
_REAL, _SYNTHETIC = np.array((33, 102, 172)), np.array((178, 24, 43))  # ColorBrewer RdBu
_WIDTH, _HEIGHT, _MARGIN = 640, 300, 48


def photograph(pixels: Pixels, seen: Box) -> str:
    """Return the image as a data URI, with a frame around what the verdict rests on."""
    image, scale = resized(pixels, _SIDE)
    _frame(image, seen, scale)
    return data_uri(image)


def patch_overlay(pixels: Pixels, patches: PatchMap) -> str:
    """Return the image under the map of patches: blue like real ones, red like synthetic ones.

    Where patches overlap, their mean is shown. The number of each is at its middle.
    """
    padded = pad_to(pixels, patches.size)
    total, n = np.zeros((2, *padded.shape[:2]))
    for i, top in enumerate(patches.tops):
        for j, left in enumerate(patches.lefts):
            place = np.s_[top : top + patches.size, left : left + patches.size]
            total[place] += patches.p[i, j]
            n[place] += 1
    share = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    image, scale = _blended(padded, share)
    draw = ImageDraw.Draw(image)
    middle = patches.size / 2
    for i, top in enumerate(patches.tops):
        for j, left in enumerate(patches.lefts):
            at = ((left + middle) * scale, (top + middle) * scale)
            _number(draw, at, f"{patches.p[i, j]:.2f}")
    _frame(image, patches.highest, scale)
    return data_uri(image)


def occlusion_overlay(pixels: Pixels, occlusion: OcclusionMap) -> str:
    """Return the image under the occlusion map: red cells speak for synthetic, blue for real."""
    top, left, bottom, right = occlusion.box
    largest = float(np.abs(occlusion.drop).max()) or 1.0
    cells = Image.fromarray((0.5 + occlusion.drop / largest / 2).astype(np.float32))
    share = np.full(pixels.shape[:2], np.nan)
    size = (right - left, bottom - top)
    share[top:bottom, left:right] = np.asarray(cells.resize(size, Image.Resampling.NEAREST))
    image, scale = _blended(pixels, share)
    draw = ImageDraw.Draw(image)
    n = len(occlusion.drop)
    for i, row in enumerate(occlusion.drop):
        for j, drop in enumerate(row):
            x = left + (j + 0.5) * (right - left) / n
            y = top + (i + 0.5) * (bottom - top) / n
            _number(draw, (x * scale, y * scale), f"{drop:+.1f}")
    return data_uri(image)


def spectrum_lines(comparison: SpectrumComparison) -> str:
    """Return the radial spectrum of the image over the band of real ones, as inline SVG."""
    real = comparison.real
    low, median, high, image = (
        v * DECIBELS for v in (real.low, real.median, real.high, comparison.image)
    )
    floor = 10 * np.floor(min(low.min(), image.min()) / 10)
    ceiling = 10 * np.ceil(max(high.max(), image.max()) / 10)

    def points(frequencies: NDArray[np.float64], values: NDArray[np.float64]) -> str:
        x = _MARGIN + frequencies / np.sqrt(0.5) * (_WIDTH - _MARGIN - 8)
        y = 14 + (ceiling - values) / (ceiling - floor) * (_HEIGHT - _MARGIN - 14)
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))

    band = points(
        np.concatenate([FREQUENCIES, FREQUENCIES[::-1]]), np.concatenate([low, high[::-1]])
    )
    ticks = [
        f'<text x="{points(np.array([f]), np.array([floor])).split(",")[0]}" '
        f'y="{_HEIGHT - _MARGIN + 18}" text-anchor="middle">{f:g}</text>'
        for f in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    ]
    ticks += [
        f'<text x="{_MARGIN - 6}" y="{points(np.array([0.0]), np.array([v])).split(",")[1]}" '
        f'text-anchor="end">{v:g}</text>'
        for v in (floor, (floor + ceiling) / 2, ceiling)
    ]
    told = escape(f"Radial power spectrum. {comparison.verdict}.")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{told}" '
        'font-size="12" fill="currentColor" font-family="inherit">'
        f'<polygon points="{band}" fill="#8a94a3" fill-opacity="0.35"/>'
        f'<polyline points="{points(FREQUENCIES, median)}" fill="none" '
        'stroke="currentColor" stroke-dasharray="5 4" stroke-width="1.5"/>'
        f'<polyline points="{points(FREQUENCIES, image)}" fill="none" '
        'style="stroke: var(--mark)" stroke-width="2.5"/>'
        f"{''.join(ticks)}"
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 8}" text-anchor="middle">cycles a pixel</text>'
        f'<text x="14" y="{_HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {_HEIGHT / 2})">power, dB</text></svg>'
    )


def _blended(pixels: Pixels, share: NDArray[np.float64]) -> tuple[Image.Image, float]:
    """Lay colours for shares of 0 to 1 over a grey copy; NaN stays grey."""
    image, scale = resized(pixels, _SIDE)
    grey = np.asarray(image.convert("L"), np.float64)[..., np.newaxis] * np.ones(3)
    small = Image.fromarray(share.astype(np.float32)).resize(image.size, Image.Resampling.NEAREST)
    at = np.asarray(small, np.float64)[..., np.newaxis]
    colour = 255 - (255 - np.where(at < 0.5, _REAL, _SYNTHETIC)) * np.abs(2 * at - 1)
    mixed = np.where(np.isnan(at), grey, 0.45 * grey + 0.55 * colour)
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8)), scale


def _frame(image: Image.Image, box: Box, scale: float) -> None:
    top, left, bottom, right = (round(value * scale) for value in box)
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, right - 1, bottom - 1), outline="black", width=4)
    draw.rectangle((left + 1, top + 1, right - 2, bottom - 2), outline="white", width=2)


def _number(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str) -> None:
    draw.text(
        at, text, fill="white", anchor="mm", stroke_width=2, stroke_fill="black", font_size=22
    )
