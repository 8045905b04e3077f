"""Calibrators of one or a few numbers, learned by maximum likelihood."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.calibrate import (
    HIGHEST_TEMPERATURE,
    LARGEST_INPUT,
    LOWEST_TEMPERATURE,
    STEEPEST,
    Beta,
    Platt,
    Temperature,
    check_pairs,
    log_shares,
)
from synthdetect.ensemble.checks import (
    Floats,
    Labels,
)


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
        of_real, of_synthetic = log_shares(np.clip(values, -LARGEST_INPUT, LARGEST_INPUT))
        a, b, bias = _least_log_loss([of_synthetic, -of_real], _smoothed(labels))
        return Beta(a, b, bias)


def _smoothed(labels: Labels) -> Floats:
    """Return labels as Platt smooths them."""
    n_synthetic = int(labels.sum())
    n_real = len(labels) - n_synthetic
    return np.where(labels == 1, (n_synthetic + 1) / (n_synthetic + 2), 1 / (n_real + 2))


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
                (0.0, STEEPEST * size * bool(np.ptp(f)))
                for f, size in zip(features, sizes, strict=True)
            ),
            (None, None),
        ],
        options={"maxiter": 1000, "maxfun": 10000, "ftol": 1e-14, "gtol": 1e-9},
    )
    found = np.asarray(result.x, dtype=np.float64)
    return (*(found[:-1] / sizes).tolist(), float(found[-1]))
