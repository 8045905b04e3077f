"""An image's radial spectrum against that of real images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.images.views import Pixels
from synthdetect.members.real_spectrum import (
    FREQUENCIES,
    RealSpectrum,
    packaged_real_spectrum,
    real_spectrum_from,
    spectrum_of,
)

# From the natural logarithm of a power to decibels.
DECIBELS = 10 / np.log(10)


@dataclass(frozen=True, eq=False)
class SpectrumComparison:
    """A radial spectrum beside those of real images.

    Parameters
    ----------
    image : ndarray of shape (rings,), float64
        Natural logarithm of power, of the image's middle at native resolution.
    real : RealSpectrum
    """

    image: NDArray[np.float64]
    real: RealSpectrum

    @property
    def difference_db(self) -> NDArray[np.float64]:
        """Decibels above the median real image, of shape (rings,)."""
        return np.asarray((self.image - self.real.median) * DECIBELS)

    @property
    def outside(self) -> NDArray[np.bool_]:
        """Rings where nine in ten real images are not, of shape (rings,)."""
        return (self.image < self.real.low) | (self.image > self.real.high)

    @property
    def verdict(self) -> str:
        """What stands out, in one sentence."""
        n_outside, n = int(self.outside.sum()), len(self.image)
        high = FREQUENCIES > 0.25
        mean = float(self.difference_db[high].mean())
        told = "more" if mean > 0 else "less"
        usual = "as many as chance leaves" if n_outside <= n / 10 else "a real one has a tenth"
        return (
            f"{n_outside} of {n} frequency rings lie where nine in ten real images do not "
            f"({usual}); above 0.25 cycles a pixel it has {abs(mean):.1f} dB {told} power than "
            "the median real image"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return {
            "cycles_per_pixel": np.round(FREQUENCIES, 4).tolist(),
            "log_power": np.round(self.image, 4).tolist(),
            "real": self.real.to_dict(),
            "rings_outside": int(self.outside.sum()),
        }


def compare_spectrum(pixels: Pixels, training_data: Mapping[str, Any]) -> SpectrumComparison:
    """Hold an image against the real images of a bundle, or of the package.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3), uint8
    training_data : mapping
        Of the bundle, with `real_spectrum` or without.

    Returns
    -------
    comparison : SpectrumComparison
    """
    own = real_spectrum_from(training_data.get("real_spectrum"))
    return SpectrumComparison(spectrum_of(pixels), own or packaged_real_spectrum())
