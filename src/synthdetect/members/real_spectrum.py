"""The radial spectrum of real photographs, as plain numbers to hold one image against.

Generators that upsample often leave too much or too little power at high frequencies [1]_. The
numbers come from the bundle, measured on its own real training images, or else from those below.

References
----------
.. [1] Durall, Keuper, Keuper, "Watch your up-convolution: CNN based generative deep neural networks
   are failing to reproduce spectral distributions", CVPR 2020.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.images.views import Crops, Pixels
from synthdetect.members.spectral_features import N_RINGS, SIZE, radial_spectrum

# The view of the spectral member, whether or not a detector has one.
VIEW = Crops(5, SIZE)
# In cycles a pixel: the middle of each ring.
FREQUENCIES = (np.arange(N_RINGS) + 0.5) / N_RINGS / np.sqrt(2)
_SHARES = (0.05, 0.5, 0.95)
_NAMES = ("low", "median", "high")


@dataclass(frozen=True, eq=False)
class RealSpectrum:
    """The spectra of real images: what nine in ten of them keep within, ring by ring.

    Parameters
    ----------
    low, median, high : ndarray of shape (N_RINGS,), float64
        5 %, 50 % and 95 % quantiles of `radial_spectrum` (natural logarithm of power).
    n : int
        Images.
    on : str
        What they are.
    """

    low: NDArray[np.float64]
    median: NDArray[np.float64]
    high: NDArray[np.float64]
    n: int
    on: str

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `real_spectrum_from`."""
        rings = {name: np.round(getattr(self, name), 4).tolist() for name in _NAMES}
        return {**rings, "n": self.n, "on": self.on}


def measure_real_spectrum(images: Iterable[Pixels], *, on: str) -> RealSpectrum:
    """Measure it on real images.

    Parameters
    ----------
    images : iterable of ndarray of shape (h, w, 3), uint8
        At least one.
    on : str
        What they are.

    Returns
    -------
    spectrum : RealSpectrum
    """
    spectra = np.stack([spectrum_of(pixels) for pixels in images])
    low, median, high = np.quantile(spectra, _SHARES, axis=0)
    return RealSpectrum(low, median, high, n=len(spectra), on=on)


def spectrum_of(pixels: Pixels) -> NDArray[np.float64]:
    """Return the radial spectrum of an image, of shape (N_RINGS,), as `radial_spectrum` has it."""
    return radial_spectrum(VIEW.apply(pixels))


def real_spectrum_from(description: Any) -> RealSpectrum | None:
    """Read what a bundle keeps; None if it keeps none, or none that can be read.

    Parameters
    ----------
    description : mapping
        Of `RealSpectrum.to_dict`; anything, as it comes from a file.

    Returns
    -------
    spectrum : RealSpectrum or None
    """
    if not isinstance(description, Mapping):
        return None
    try:
        rings = [np.asarray(description[name], np.float64) for name in _NAMES]
        n, on = int(description["n"]), str(description["on"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if any(ring.shape != (N_RINGS,) or not np.isfinite(ring).all() for ring in rings):
        return None
    low, median, high = rings
    return RealSpectrum(low, median, high, n=n, on=on)


@lru_cache(maxsize=1)
def packaged_real_spectrum() -> RealSpectrum:
    """Return the one that comes with the package, for bundles that keep none of their own."""
    text = files("synthdetect.members").joinpath("real_spectrum.json").read_text("utf-8")
    found = real_spectrum_from(json.loads(text))
    assert found is not None
    return found
