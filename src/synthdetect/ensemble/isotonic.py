"""Calibration by a rising step-like line (isotonic regression)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.calibrate import LARGEST_INPUT, check_pairs
from synthdetect.ensemble.checks import Floats, check_fields, check_numbers, check_vector

# Far more than isotonic regression leaves of a million images.
MOST_KNOTS = 20_000


@dataclass(frozen=True)
class Isotonic:
    """A line through knots; flat beyond the first and the last.

    Parameters
    ----------
    logit : tuple of float
        Of the knots, strictly rising, -1e100 to 1e100.
    p : tuple of float
        Of the knots, never falling, strictly between 0 and 1.

    Raises
    ------
    ValueError
        If the knots are not such.

    Examples
    --------
    >>> Isotonic(logit=(-1.0, 1.0), p=(0.2, 0.8))([-5.0, 0.0, 5.0])
    array([0.2, 0.5, 0.8])
    """

    logit: tuple[float, ...]
    p: tuple[float, ...]

    def __post_init__(self) -> None:
        x, p = np.array(self.logit), np.array(self.p)
        if len(x) != len(p) or not len(x):
            raise ValueError(f"calibrator: {len(x)} knots with {len(p)} values; give one for each")
        if not (np.abs(x) <= LARGEST_INPUT).all() or not (np.diff(x) > 0).all():
            raise ValueError("calibrator: logit does not rise from knot to knot, or is too large")
        if not ((p > 0) & (p < 1)).all() or not (np.diff(p) >= 0).all():
            raise ValueError("calibrator: p falls from knot to knot, or is not between 0 and 1")

    def __call__(self, logit: ArrayLike) -> Floats:
        """Return P(synthetic).

        Parameters
        ----------
        logit : array-like of shape (n,), float
            The combined logit; NaN gives NaN.

        Returns
        -------
        p : ndarray of shape (n,), float64
            Bit-equal for a row whatever else is in the batch; it never falls when the logit rises.

        Raises
        ------
        DataError
            If `logit` is not one number for each image.
        """
        values = check_vector("logit", logit)
        x, p = np.array(self.logit), np.array(self.p)
        if len(x) == 1:
            return np.where(np.isnan(values), np.nan, p[0])
        inside = np.clip(values, x[0], x[-1])
        k = np.clip(np.searchsorted(x, inside, side="right") - 1, 0, len(x) - 2)
        share = (inside - x[k]) / (x[k + 1] - x[k])
        # Rounding must not lift the end of a line above the next one's start.
        return np.asarray(np.minimum(p[k] + share * (p[k + 1] - p[k]), p[k + 1]))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {"kind": "isotonic", "logit": list(self.logit), "p": list(self.p)}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Isotonic":
        """Build a calibrator from its description.

        Raises
        ------
        ValueError
            If a field is missing, unknown or not of its kind; the message names it.
        """
        check_fields("calibrator", description, ("kind", "logit", "p"))
        if description["kind"] != "isotonic":
            raise ValueError(f"calibrator: kind is {description['kind']!r}; use 'isotonic'")
        return cls(
            *(
                check_numbers("calibrator", name, description[name], most=MOST_KNOTS)
                for name in ("logit", "p")
            )
        )


@dataclass(frozen=True)
class IsotonicCalibration:
    """Learns the rising map of the least squared error (Zadrozny and Elkan 2002).

    It fits any rising map, so it needs about a thousand images or more; flat pieces make ties of
    scores that were apart. Probabilities stay within what smoothed labels (Platt 1999) can support:
    1 / (n_real + 2) to (n_synthetic + 1) / (n_synthetic + 2).

    References
    ----------
    .. [1] Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
       estimates", KDD 2002.

    Examples
    --------
    >>> IsotonicCalibration().fit([-1.0, -1.0, 1.0, 1.0], [0, 1, 1, 1])([-1.0, 1.0])
    array([0.5, 0.8])
    """

    def fit(self, logit: ArrayLike, y: ArrayLike) -> Isotonic:
        """Learn the knots; parameters and errors are those of `TemperatureScaling.fit`."""
        from sklearn.isotonic import IsotonicRegression

        values, labels = check_pairs(logit, y)
        n_synthetic = int(labels.sum())
        n_real = len(labels) - n_synthetic
        bounded = IsotonicRegression(
            y_min=1 / (n_real + 2), y_max=(n_synthetic + 1) / (n_synthetic + 2)
        ).fit(np.clip(values, -LARGEST_INPUT, LARGEST_INPUT), labels)
        x, p = bounded.X_thresholds_, bounded.y_thresholds_
        return Isotonic(tuple(x.tolist()), tuple(np.maximum.accumulate(p).tolist()))
