"""From the combined logit to a probability that means what it says, by few parameters.

A learner (`TemperatureScaling`, `PlattScaling`, `BetaCalibration`) returns a calibrator
(`Temperature`, `Platt`, `Beta`), which needs numpy alone. `isotonic.py` has one with many
parameters, `choose.py` one that chooses among all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.checks import (
    Floats,
    Labels,
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
LARGEST_LOGIT = 36.0

# A logit beyond it says no more; its products with slopes and differences of two stay finite.
LARGEST_INPUT = 1e100

STEEPEST = 50.0


class Calibrator(Protocol):
    """What makes probabilities of combined logits."""

    def __call__(self, logit: ArrayLike) -> Floats:
        """Return P(synthetic), strictly between 0 and 1, of logits of shape (n,)."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description with a `kind`."""
        ...


class CalibratorLearner(Protocol):
    """What learns a calibrator."""

    def fit(self, logit: ArrayLike, y: ArrayLike) -> Calibrator:
        """Learn from combined logits and labels, both of shape (n,)."""
        ...


def sigmoid(logit: Floats) -> Floats:
    """Return the probability of each logit, clipped to -36..36."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -LARGEST_LOGIT, LARGEST_LOGIT))))


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
        largest = LARGEST_LOGIT * self.temperature
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
        return cls(**_numbers(description, "temperature", ("temperature",)))


@dataclass(frozen=True)
class Platt:
    """Sigmoid of a line through the logit.

    Parameters
    ----------
    slope : float
        Finite, at least 0.
    bias : float
        Finite.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> Platt(slope=0.5, bias=1.0)([-2.0, 0.0]).round(3)
    array([0.5  , 0.731])
    """

    slope: float
    bias: float

    def __post_init__(self) -> None:
        _check_slope("slope", self.slope)
        check_number("calibrator", "bias", self.bias)

    def __call__(self, logit: ArrayLike) -> Floats:
        """Return P(synthetic); shapes, guarantees and errors are those of `Temperature`."""
        values = np.ascontiguousarray(check_vector("logit", logit))
        return sigmoid(np.clip(values, -LARGEST_INPUT, LARGEST_INPUT) * self.slope + self.bias)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {"kind": "platt", "slope": self.slope, "bias": self.bias}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Platt":
        """Build a calibrator from its description; errors are those of `Temperature`."""
        return cls(**_numbers(description, "platt", ("slope", "bias")))


@dataclass(frozen=True)
class Beta:
    """Sigmoid of `a log s - b log(1 - s) + bias`, where s is the sigmoid of the logit.

    Parameters
    ----------
    a, b : float
        Finite, at least 0: the slope where s is near 0, and where it is near 1. Equal ones give
        `Platt`.
    bias : float
        Finite.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> Beta(a=1.0, b=0.5, bias=0.0)([-4.0, 0.0, 4.0]).round(3)
    array([0.018, 0.414, 0.88 ])
    """

    a: float
    b: float
    bias: float

    def __post_init__(self) -> None:
        _check_slope("a", self.a)
        _check_slope("b", self.b)
        check_number("calibrator", "bias", self.bias)

    def __call__(self, logit: ArrayLike) -> Floats:
        """Return P(synthetic); shapes, guarantees and errors are those of `Temperature`.

        But for rounding: two logarithms are added, so where the logit rises `p` may fall by up to
        1e-13.
        """
        values = np.clip(
            np.ascontiguousarray(check_vector("logit", logit)), -LARGEST_INPUT, LARGEST_INPUT
        )
        of_real, of_synthetic = log_shares(values)
        return sigmoid(self.a * of_synthetic - self.b * of_real + self.bias)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {"kind": "beta", "a": self.a, "b": self.b, "bias": self.bias}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Beta":
        """Build a calibrator from its description; errors are those of `Temperature`."""
        return cls(**_numbers(description, "beta", ("a", "b", "bias")))


def check_pairs(logit: ArrayLike, y: ArrayLike) -> tuple[Floats, Labels]:
    """Return finite logits of shape (n,) and labels of both classes, or raise DataError."""
    values = check_vector("logit", logit)
    check_finite("logit", values)
    return values, check_both_classes(check_labels(y, len(values)))


def log_shares(logit: Floats) -> tuple[Floats, Floats]:
    """Return log(1 - s) and log(s) of s = sigmoid(logit)."""
    with np.errstate(invalid="ignore"):  # NaN is an image that could not be read
        return -np.logaddexp(0.0, logit), -np.logaddexp(0.0, -logit)


def _check_slope(field: str, value: float) -> None:
    if not (np.isfinite(value) and 0 <= value <= LARGEST_INPUT):
        raise ValueError(f"calibrator: {field} is {value!r}; use a finite number, 0 or more")


def _numbers(
    description: Mapping[str, Any], kind: str, fields: tuple[str, ...]
) -> dict[str, float]:
    """Return the checked numbers of a description."""
    check_fields("calibrator", description, ("kind", *fields))
    if description["kind"] != kind:
        raise ValueError(f"calibrator: kind is {description['kind']!r}; use {kind!r}")
    return {field: check_number("calibrator", field, description[field]) for field in fields}
