"""From the combined logit to a probability that means what it says.

A learner (`TemperatureScaling`) returns a calibrator (`Temperature`), which needs numpy alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.checks import (
    Floats,
    check_both_classes,
    check_fields,
    check_finite,
    check_labels,
    check_number,
    check_vector,
)

LOWEST_TEMPERATURE = 1 / 50
HIGHEST_TEMPERATURE = 50.0

# The largest whole logit whose sigmoid is below 1 in float64.
_LARGEST_LOGIT = 36.0


@dataclass(frozen=True)
class Temperature:
    """Sigmoid of the logit over a temperature.

    Parameters
    ----------
    temperature : float
        Finite and above 0; above 1 makes the probabilities less certain.

    Raises
    ------
    ValueError
        If the temperature is not finite or not above 0.

    Examples
    --------
    >>> Temperature(2.0)([-2.0, 0.0, 2.0]).round(3)
    array([0.269, 0.5  , 0.731])
    """

    temperature: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(
                f"calibrator: temperature is {self.temperature!r}; use a finite number above 0"
            )

    def __call__(self, logit: ArrayLike) -> Floats:
        """Return P(synthetic).

        Parameters
        ----------
        logit : array-like of shape (n,), float
            The combined logit; NaN gives NaN.

        Returns
        -------
        p : ndarray of shape (n,), float64
            Strictly between 0 and 1: the logit over the temperature is clipped to -36..36, so
            that `p` and `1 - p` are at least 2.2e-16. Bit-equal for a row whatever else is in the
            batch; it never falls when the logit rises.

        Raises
        ------
        DataError
            If `logit` is not one number for each image.
        """
        # Contiguous, because numpy may take another code path for exp of a strided array.
        values = np.ascontiguousarray(check_vector("logit", logit))
        # Clipped before it is divided, which could overflow.
        largest = _LARGEST_LOGIT * self.temperature
        scaled = np.clip(values, -largest, largest) / self.temperature
        # Rounded once an operation and free of branches, so monotone up to the last bit.
        return 1.0 / (1.0 + np.exp(-scaled))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {"kind": "temperature", "temperature": self.temperature}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Temperature":
        """Build a calibrator from its description.

        Raises
        ------
        ValueError
            If a field is missing, unknown or not of its kind; the message names it.
        """
        check_fields("calibrator", description, ("kind", "temperature"))
        if description["kind"] != "temperature":
            raise ValueError(f"calibrator: kind is {description['kind']!r}; use 'temperature'")
        return cls(check_number("calibrator", "temperature", description["temperature"]))


class CalibratorLearner(Protocol):
    """What learns a calibrator."""

    def fit(self, logit: ArrayLike, y: ArrayLike) -> Temperature:
        """Learn from combined logits and labels, both of shape (n,)."""
        ...


@dataclass(frozen=True)
class TemperatureScaling:
    """Learns one temperature by the log loss (Guo et al. 2017).

    The labels are smoothed as Platt (1999) does: a synthetic image counts as
    (n_synthetic + 1) / (n_synthetic + 2), a real one as 1 / (n_real + 2). For many images that
    changes next to nothing; for few that happen to be separable it gives the certainty that so
    few can support, instead of the lowest temperature.

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
    .. [2] Platt, "Probabilistic outputs for support vector machines and comparisons to
       regularized likelihood methods", Advances in Large Margin Classifiers, 1999.

    Examples
    --------
    >>> TemperatureScaling().fit([-8.0, -8.0, 8.0, 8.0], [0, 1, 1, 1]).temperature > 4
    True
    """

    def fit(self, logit: ArrayLike, y: ArrayLike) -> Temperature:
        """Learn the temperature.

        Parameters
        ----------
        logit : array-like of shape (n,), float
            Combined logits, finite, of images that the combiner did not learn from.
        y : array-like of shape (n,), int
            1 = synthetic, 0 = real; both must occur.

        Returns
        -------
        calibrator : Temperature
            With a temperature of 1/50 to 50. Logits that are worse than chance give 50.

        Raises
        ------
        DataError
            If a logit is not finite, or the labels are not 0 and 1 for these rows.
        """
        from scipy.optimize import brentq

        values = check_vector("logit", logit)
        check_finite("logit", values)
        labels = check_both_classes(check_labels(y, len(values)))
        n_synthetic = int(labels.sum())
        n_real = len(labels) - n_synthetic
        target = np.where(labels == 1, (n_synthetic + 1) / (n_synthetic + 2), 1 / (n_real + 2))

        def slope(inverse_temperature: float) -> float:
            p = np.exp(-np.logaddexp(0.0, -inverse_temperature * values))
            return float(np.mean((p - target) * values))

        # The loss is convex in 1 / temperature, so its slope changes sign at most once.
        lowest, highest = 1 / HIGHEST_TEMPERATURE, 1 / LOWEST_TEMPERATURE
        if slope(lowest) >= 0:
            return Temperature(HIGHEST_TEMPERATURE)
        if slope(highest) <= 0:
            return Temperature(LOWEST_TEMPERATURE)
        return Temperature(1 / float(brentq(slope, lowest, highest, xtol=1e-12, rtol=1e-12)))
