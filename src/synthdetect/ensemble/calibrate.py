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

_STEEPEST = 50.0


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
        of_real, of_synthetic = _log_shares(values)
        return sigmoid(self.a * of_synthetic - self.b * of_real + self.bias)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {"kind": "beta", "a": self.a, "b": self.b, "bias": self.bias}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Beta":
        """Build a calibrator from its description; errors are those of `Temperature`."""
        return cls(**_numbers(description, "beta", ("a", "b", "bias")))


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

        values, labels = check_pairs(logit, y)
        target = _smoothed(labels)

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


@dataclass(frozen=True)
class PlattScaling:
    """Learns a slope of at least 0 and a bias by the log loss of smoothed labels (Platt 1999).

    Unlike one temperature it can undo a shift, such as a combiner's or another share of classes.
    Labels are smoothed as in `TemperatureScaling`. The slope is at most 50.

    References
    ----------
    .. [1] Platt, "Probabilistic outputs for support vector machines and comparisons to
       regularized likelihood methods", Advances in Large Margin Classifiers, 1999.

    Examples
    --------
    >>> learned = PlattScaling().fit([0.0, 1.0, 3.0, 4.0] * 50, [0, 0, 1, 1] * 50)
    >>> bool(learned([2.0]).round(2)[0] == 0.5)
    True
    """

    def fit(self, logit: ArrayLike, y: ArrayLike) -> Platt:
        """Learn slope and bias; parameters and errors are those of `TemperatureScaling.fit`."""
        values, labels = check_pairs(logit, y)
        values = np.clip(values, -LARGEST_INPUT, LARGEST_INPUT)
        slope, bias = _least_log_loss([values], _smoothed(labels))
        return Platt(slope, bias)


@dataclass(frozen=True)
class BetaCalibration:
    """Learns a map that bends differently at its two ends (Kull, Silva Filho and Flach 2017).

    Labels are smoothed as in `TemperatureScaling`. Slopes are 0 to 50, so the map never falls.

    References
    ----------
    .. [1] Kull, Silva Filho and Flach, "Beta calibration: a well-founded and easily implemented
       improvement on logistic calibration for binary classifiers", AISTATS 2017.

    Examples
    --------
    >>> learned = BetaCalibration().fit([-2.0, -1.0, 1.0, 2.0] * 50, [0, 0, 1, 1] * 50)
    >>> bool(abs(learned([0.0])[0] - 0.5) < 1e-3)
    True
    """

    def fit(self, logit: ArrayLike, y: ArrayLike) -> Beta:
        """Learn the map; parameters and errors are those of `TemperatureScaling.fit`."""
        values, labels = check_pairs(logit, y)
        of_real, of_synthetic = _log_shares(np.clip(values, -LARGEST_INPUT, LARGEST_INPUT))
        a, b, bias = _least_log_loss([of_synthetic, -of_real], _smoothed(labels))
        return Beta(a, b, bias)


def check_pairs(logit: ArrayLike, y: ArrayLike) -> tuple[Floats, Labels]:
    """Return finite logits of shape (n,) and labels of both classes, or raise DataError."""
    values = check_vector("logit", logit)
    check_finite("logit", values)
    return values, check_both_classes(check_labels(y, len(values)))


def _smoothed(labels: Labels) -> Floats:
    """Return labels as Platt smooths them."""
    n_synthetic = int(labels.sum())
    n_real = len(labels) - n_synthetic
    return np.where(labels == 1, (n_synthetic + 1) / (n_synthetic + 2), 1 / (n_real + 2))


def _log_shares(logit: Floats) -> tuple[Floats, Floats]:
    """Return log(1 - s) and log(s) of s = sigmoid(logit)."""
    with np.errstate(invalid="ignore"):  # NaN is an image that could not be read
        return -np.logaddexp(0.0, logit), -np.logaddexp(0.0, -logit)


def _least_log_loss(features: list[Floats], target: Floats) -> tuple[float, ...]:
    """Return slopes of 0 to 50, and then the bias, of the least log loss; it is convex.

    A feature that is the same for all rows has a slope of 0.
    """
    from scipy.optimize import minimize

    # In units of their size, so that the search is as good for small logits as for large ones.
    sizes = np.array([max(float(np.sqrt(np.mean(f**2))), 1e-300) for f in features])
    design = np.stack(
        [*(f / size for f, size in zip(features, sizes, strict=True)), np.ones(len(target))]
    )

    def loss_and_gradient(v: Floats) -> tuple[float, Floats]:
        z = np.einsum("ij,i->j", design, v)
        loss = np.mean(np.logaddexp(0.0, z) - target * z)
        residual = np.exp(-np.logaddexp(0.0, -z)) - target
        return float(loss), np.einsum("ij,j->i", design, residual) / len(target)

    result = minimize(
        loss_and_gradient,
        np.append(np.full(len(features), 1.0), 0.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[
            *(
                (0.0, _STEEPEST * size * bool(np.ptp(f)))
                for f, size in zip(features, sizes, strict=True)
            ),
            (None, None),
        ],
        options={"maxiter": 1000, "maxfun": 10000, "ftol": 1e-14, "gtol": 1e-9},
    )
    found = np.asarray(result.x, dtype=np.float64)
    return (*(found[:-1] / sizes).tolist(), float(found[-1]))


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
