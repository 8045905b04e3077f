"""Forensic features of native-resolution crops: what a generator leaves in the fine structure.

Three families, each averaged over the crops of an image: power spectra (radial, angular, how peaky
each ring is, how coherent luma and chroma are), co-occurrences of truncated high-pass residuals,
and histograms of local binary patterns; the last two at several resolutions. None of them sees
where in the image something is, so they know little of its content.

References
----------
Durall, Keuper, Keuper, "Watch your up-convolution: CNN based generative deep neural networks are
failing to reproduce spectral distributions", CVPR 2020 (radial spectra).
Fridrich, Kodovsky, "Rich models for steganalysis of digital images", IEEE TIFS 2012
(co-occurrences of truncated residuals, and their symmetries).
Ojala, Pietikainen, Maenpaa, "Multiresolution gray-scale and rotation invariant texture
classification with local binary patterns", IEEE TPAMI 2002.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from synthdetect.errors import DataError

Plane = NDArray[np.int16]
Floats = NDArray[np.float32]
Vector = NDArray[np.float64]

SIZE = 128
N_RINGS = 48
N_BANDS, N_SECTORS = 6, 12
N_COHERENCE = 24
MOMENTS = ("log_mean", "log_rms", "flatness", "log_kurtosis", "zero_share")

# Power below that of a hundredth of a grey level squared is rounding, not signal.
_POWER_FLOOR = 0.01 * SIZE * SIZE
# Neighbours of a pixel in the order of a circle, for local binary patterns.
_CIRCLE = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_CHANNELS = ("luma", "blue", "red")
_MOMENT_PLANES = tuple(f"{scale}_{c}" for scale in ("half", "quarter") for c in _CHANNELS)
_PAIRS = ((0, 1), (0, 2), (1, 2))


def feature_names() -> tuple[str, ...]:
    """Return the name of each feature, in the order of `features`."""
    names: list[str] = []
    for channel in _CHANNELS:
        names += [f"ring_power/{channel}/{i}" for i in range(N_RINGS)]
        names += [f"ring_peakiness/{channel}/{i}" for i in range(N_RINGS)]
        names += [f"sector_power/{channel}/{i}" for i in range(N_BANDS * N_SECTORS)]
    for a, b in _PAIRS:
        pair = f"{_CHANNELS[a]}-{_CHANNELS[b]}"
        names += [f"coherence/{pair}/{i}" for i in range(N_COHERENCE)]
    for label, _, _, order in _COOCCURRENCES:
        n = 2 * _symmetry(order)[1]
        names += [f"cooccurrence/{label}/{i}" for i in range(n)]
    for label, _ in _PATTERNS:
        names += [f"pattern/{label}/{i}" for i in range(_pattern_classes()[1])]
    for label, order in product(_MOMENT_PLANES, (1, 2)):
        names += [f"residual/{label}/{order}/{moment}" for moment in MOMENTS]
    return tuple(names)


def features(crops: NDArray[np.uint8]) -> Vector:
    """Describe the fine structure of one image.

    Parameters
    ----------
    crops : ndarray of shape (k, 128, 128, 3), uint8
        RGB crops of one image at native resolution.

    Returns
    -------
    x : ndarray of shape (d,), float64
        Finite, also for constant or saturated crops; named by `feature_names`.

    Raises
    ------
    DataError
        If the crops have another shape or dtype.
    """
    _check_crops(crops)
    planes = _planes(crops)
    parts = [*_spectra(planes.fine)]
    parts += [
        _cooccurrence(planes.named[label.split("/")[0]], residual, shift, order)
        for label, residual, shift, order in _COOCCURRENCES
    ]
    parts += [_patterns(planes.named[label.split("/")[0]], step) for label, step in _PATTERNS]
    parts += [_moments(planes.named[label]) for label in _MOMENT_PLANES]
    return np.concatenate(parts)


def _check_crops(crops: NDArray[np.uint8]) -> None:
    if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (SIZE, SIZE, 3):
        raise DataError(
            f"crops: {crops.dtype} of shape {crops.shape}; "
            f"give uint8 of shape (k, {SIZE}, {SIZE}, 3), the view of SpectralMember"
        )
    if not len(crops):
        raise DataError("crops: none given; give at least one")


class _Planes(NamedTuple):
    """Luma and colour differences: exact as float32, rounded as int16, and at lower resolutions."""

    fine: list[Floats]
    named: dict[str, Plane]


def _planes(crops: NDArray[np.uint8]) -> _Planes:
    red, green, blue = np.ascontiguousarray(crops.transpose(3, 0, 1, 2)).astype(np.uint16)
    luma256 = 77 * red + 150 * green + 29 * blue
    luma = ((luma256 + np.uint16(128)) >> 8).astype(np.int16)
    fine_luma = luma256.astype(np.float32) * np.float32(1 / 256)
    fine = [
        fine_luma,
        (blue.astype(np.float32) - fine_luma) * np.float32(0.564),
        (red.astype(np.float32) - fine_luma) * np.float32(0.713),
    ]
    # Fixed point, so that 255 times the factor still fits into 16 bits.
    blueness = (72 * (blue.astype(np.int16) - luma) + 64) >> 7
    redness = (91 * (red.astype(np.int16) - luma) + 64) >> 7
    named: dict[str, Plane] = {}
    for name, plane in zip(_CHANNELS, (luma, blueness, redness), strict=True):
        named[name] = plane
        named[f"half_{name}"] = _sum_of_four(plane)
        named[f"quarter_{name}"] = _sum_of_four(named[f"half_{name}"])
    return _Planes(fine, named)


def _sum_of_four(plane: Plane) -> Plane:
    """Half the resolution, in quarters of a grey level (a sum, so that nothing is rounded)."""
    rows = plane[:, ::2] + plane[:, 1::2]
    return np.ascontiguousarray(rows[:, :, ::2] + rows[:, :, 1::2])


# ---- spectra


class _Rings(NamedTuple):
    """Which ring, sector or coarse ring each frequency of a half spectrum is in."""

    window: Floats
    ring: NDArray[np.intp]
    band: NDArray[np.intp]
    sector: NDArray[np.intp]
    coarse: NDArray[np.intp]


@lru_cache(maxsize=1)
def _rings() -> _Rings:
    taper = np.hanning(SIZE)
    window = taper[:, None] * taper
    window /= np.sqrt(np.mean(window**2))
    fy = np.fft.fftfreq(SIZE)[:, None] * SIZE
    fx = np.arange(SIZE // 2 + 1)[None] + 0.0 * fy
    fy = fy + 0.0 * fx
    radius = np.hypot(fy, fx)
    share = radius / (SIZE / np.sqrt(2))
    degrees = np.degrees(np.arctan2(fy, fx + 1e-12)) + 90
    band = np.digitize(radius, [20, 32, 44, 56, 68])
    sector = np.minimum(degrees // 15, N_SECTORS - 1).astype(np.intp)
    return _Rings(
        window.astype(np.float32),
        np.minimum(share * N_RINGS, N_RINGS - 1).astype(np.intp).ravel(),
        band.ravel(),
        (band * N_SECTORS + sector).ravel(),
        np.minimum(share * N_COHERENCE, N_COHERENCE - 1).astype(np.intp).ravel(),
    )


def _mean_by(index: NDArray[np.intp], values: NDArray[np.floating], n: int) -> Vector:
    """Mean of `values` with each index 0..n-1 (0 where there are none)."""
    total = np.bincount(index, weights=values, minlength=n)
    return np.asarray(total / np.maximum(np.bincount(index, minlength=n), 1))


def _spectra(planes: list[Floats]) -> list[Vector]:
    """Ring power, ring peakiness and sector power of each plane; coherence of each pair."""
    rings = _rings()
    parts: list[Vector] = []
    transforms, powers = [], []
    for plane in planes:
        spectrum, power, log_power = _spectrum(plane)
        by_ring = _mean_by(rings.ring, log_power, N_RINGS)
        spread = _mean_by(rings.ring, (log_power - by_ring[rings.ring]) ** 2, N_RINGS)
        by_band = _mean_by(rings.band, log_power, N_BANDS)
        by_sector = _mean_by(rings.sector, log_power, N_BANDS * N_SECTORS)
        parts += [by_ring, np.sqrt(spread), by_sector - np.repeat(by_band, N_SECTORS)]
        transforms.append(spectrum)
        powers.append(_mean_by(rings.coarse, power.sum(axis=0).ravel(), N_COHERENCE))
    for a, b in _PAIRS:
        s, t = transforms[a], transforms[b]
        cross = (s.real * t.real + s.imag * t.imag).sum(axis=0).ravel()
        scale = np.sqrt(powers[a] * powers[b]) + _POWER_FLOOR
        parts.append(_mean_by(rings.coarse, cross, N_COHERENCE) / scale)
    return parts


def _spectrum(plane: Floats) -> tuple[NDArray[np.complex64], Floats, Vector]:
    """Transform and power of each crop, and the mean over crops of the logarithm, flattened."""
    centred = plane - plane.mean(axis=(1, 2), keepdims=True)
    spectrum = scipy.fft.rfft2(centred * _rings().window, axes=(1, 2), workers=1)
    power = spectrum.real**2 + spectrum.imag**2
    log_power = np.log(power + np.float32(_POWER_FLOOR)).mean(axis=0).ravel()
    return spectrum, power, log_power.astype(np.float64)


def radial_spectrum(crops: NDArray[np.uint8]) -> Vector:
    """Return the luma features `ring_power` alone, without computing the others.

    Parameters
    ----------
    crops : ndarray of shape (k, 128, 128, 3), uint8
        As for `features`.

    Returns
    -------
    log_power : ndarray of shape (N_RINGS,), float64
        Mean natural logarithm of the power in each ring; the rings are of equal width, from 0 to
        0.707 cycles a pixel (the corner of the spectrum).

    Raises
    ------
    DataError
        As `features`.
    """
    _check_crops(crops)
    log_power = _spectrum(_planes(crops).fine[0])[2]
    return _mean_by(_rings().ring, log_power, N_RINGS)


# ---- co-occurrences


def _first(plane: Plane, axis: int) -> Plane:
    """First difference along an axis."""
    return np.diff(plane, axis=axis)


def _second(plane: Plane, axis: int) -> Plane:
    """Second difference along an axis."""
    return np.diff(plane, n=2, axis=axis)


# Plane, residual, log2 of the quantisation step (half planes are in quarters), values in a row.
_COOCCURRENCES: tuple[tuple[str, Callable[[Plane, int], Plane], int, int], ...] = (
    ("luma/first", _first, 0, 4),
    ("half_luma/first", _first, 3, 4),
    ("half_luma/second", _second, 3, 4),
    ("blue/first", _first, 0, 3),
    ("blue/second", _second, 0, 3),
    ("red/first", _first, 0, 3),
    ("red/second", _second, 0, 3),
    ("half_blue/first", _first, 2, 3),
    ("half_blue/second", _second, 2, 3),
    ("half_red/first", _first, 2, 3),
    ("half_red/second", _second, 2, 3),
)


@lru_cache(maxsize=4)
def _symmetry(order: int) -> tuple[NDArray[np.intp], int]:
    """Class of each code of `order` digits 0..4: same under change of sign and of direction."""
    digits = np.array(list(product(range(5), repeat=order)))
    weights = 5 ** np.arange(order - 1, -1, -1)
    variants = [d @ weights for d in (digits, 4 - digits, digits[:, ::-1], 4 - digits[:, ::-1])]
    classes, index = np.unique(np.min(variants, axis=0), return_inverse=True)
    return index.astype(np.intp), len(classes)


def _counts(digits: NDArray[np.uint8], order: int, axis: int) -> Vector:
    """Counts by symmetry class of each run of `order` digits along axis 1 or 2."""

    def shifted(x: NDArray[np.uint8], start: int, length: int) -> NDArray[np.uint8]:
        return x[:, start : start + length] if axis == 1 else x[:, :, start : start + length]

    n_runs = digits.shape[axis] - order + 1
    pairs = shifted(digits, 0, digits.shape[axis] - 1) * np.uint8(5)
    pairs += shifted(digits, 1, digits.shape[axis] - 1)
    if order == 3:
        codes = shifted(pairs, 0, n_runs) * np.uint8(5) + shifted(digits, 2, n_runs)
    else:
        codes = shifted(pairs, 0, n_runs).astype(np.uint16)  # numpy 1 would multiply as uint8
        codes = codes * np.uint16(25) + shifted(pairs, 2, n_runs)
    classes, n = _symmetry(order)
    counts = np.bincount(codes.ravel(), minlength=5**order)
    return np.bincount(classes, weights=counts, minlength=n).astype(np.float64, copy=False)


def _cooccurrence(
    plane: Plane, residual: Callable[[Plane, int], Plane], shift: int, order: int
) -> Vector:
    """Square roots of the shares of residual runs, along and across the residual's direction.

    The root makes the noise of a count the same for rare and for frequent runs.
    """
    along, across = np.zeros((2, _symmetry(order)[1]))
    for axis in (1, 2):
        r = residual(plane, axis)
        if shift:
            r = (r + np.int16(1 << (shift - 1))) >> np.int16(shift)
        digits = (np.clip(r, -2, 2) + np.int16(2)).astype(np.uint8)
        along += _counts(digits, order, axis)
        across += _counts(digits, order, 3 - axis)
    runs = np.concatenate([along / along.sum(), across / across.sum()])
    return np.asarray(np.sqrt(runs))


# ---- local binary patterns and moments

_PATTERNS: tuple[tuple[str, int], ...] = (
    ("luma/1", 1),
    ("luma/2", 2),
    ("half_luma/1", 1),
    ("half_luma/2", 2),
    ("half_luma/3", 3),
    ("quarter_luma/1", 1),
    ("quarter_luma/2", 2),
    ("blue/1", 1),
    ("red/1", 1),
    ("half_blue/1", 1),
    ("half_red/1", 1),
    ("half_blue/2", 2),
    ("half_red/2", 2),
    ("quarter_blue/1", 1),
    ("quarter_red/1", 1),
)


@lru_cache(maxsize=1)
def _pattern_classes() -> tuple[NDArray[np.intp], int]:
    """Class of each 8-bit pattern: same under quarter turns and mirroring."""
    mirrored = (2, 1, 0, 7, 6, 5, 4, 3)
    lowest = []
    for code in range(256):
        mirror = sum(((code >> i) & 1) << mirrored[i] for i in range(8))
        turned = [((c << k) | (c >> (8 - k))) & 255 for c in (code, mirror) for k in (0, 2, 4, 6)]
        lowest.append(min(turned))
    classes, index = np.unique(lowest, return_inverse=True)
    return index.astype(np.intp), len(classes)


def _patterns(plane: Plane, step: int) -> Vector:
    """Square roots of the shares of patterns: which neighbours at `step` are brighter."""
    height, width = plane.shape[1:]
    brighter_than = plane[:, step : height - step, step : width - step]
    codes = np.zeros(brighter_than.shape, np.uint8)
    for bit, (i, j) in enumerate(_CIRCLE):
        top, left = step * (1 + i), step * (1 + j)
        neighbour = plane[:, top : top + height - 2 * step, left : left + width - 2 * step]
        codes |= (neighbour > brighter_than).view(np.uint8) << np.uint8(bit)
    classes, n = _pattern_classes()
    counts = np.bincount(classes, weights=np.bincount(codes.ravel(), minlength=256), minlength=n)
    return np.asarray(np.sqrt(counts / counts.sum()))


def _moments(plane: Plane) -> Vector:
    """The `MOMENTS` of the first and of the second horizontal residual."""
    out: list[float] = []
    for residual in (_first, _second):
        r = residual(plane, 2)
        magnitude = np.abs(r).astype(np.float32)
        square = magnitude * magnitude
        mean, power = float(magnitude.mean()), float(square.mean())
        fourth = float(np.mean(square * square))
        out += [
            np.log(mean + 0.05),
            0.5 * np.log(power + 0.01),
            mean / np.sqrt(power + 0.01),
            np.log1p(fourth / (power + 0.01) ** 2),
            float(np.mean(r == 0)),
        ]
    return np.array(out)
