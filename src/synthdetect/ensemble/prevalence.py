"""Another share of synthetic images than where the probabilities were learned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.calibrate import Calibrator, sigmoid
from synthdetect.ensemble.checks import Floats, check_probabilities, check_share, check_vector
from synthdetect.errors import DataError

# Half of the 95 % point of chi-squared with one degree of freedom.
_DROP = 1.9207294103470606


@dataclass(frozen=True)
class Prevalence:
    """An estimated share of synthetic images.

    Parameters
    ----------
    value : float
        0 to 1.
    low, high : float
        95 % interval by the profile of the likelihood, if the probabilities mean what they say.
    n : int
        Images that it was estimated on.
    n_iterations : int
    converged : bool
        False if EM stopped at its limit; then `value` is where it was.
    """

    value: float
    low: float
    high: float
    n: int
    n_iterations: int
    converged: bool


@dataclass(frozen=True)
class Shifted:
    """A calibrator for another share of synthetic images than the one it learned on.

    Parameters
    ----------
    calibrator : Calibrator
        Not itself shifted.
    training, deployed : float
        As in `shift_prevalence`.

    Raises
    ------
    ValueError
        If a share is out of range or the calibrator is itself shifted.

    Examples
    --------
    >>> from synthdetect.ensemble.calibrate import Temperature
    >>> Shifted(Temperature(1.0), training=0.5, deployed=0.1)([0.0]).round(3)
    array([0.1])
    """

    calibrator: Calibrator
    training: float
    deployed: float

    def __post_init__(self) -> None:
        check_share("calibrator", "training", self.training)
        check_share("calibrator", "deployed", self.deployed)
        if isinstance(self.calibrator, Shifted):
            raise ValueError("calibrator: it is shifted already; shift the one inside it")

    def __call__(self, logit: ArrayLike) -> Floats:
        """Return P(synthetic) at the deployed share; the rest is as for the calibrator inside."""
        return shift_prevalence(
            self.calibrator(logit), training=self.training, deployed=self.deployed
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description with that of the calibrator inside."""
        shares: Mapping[str, Any] = {"training": self.training, "deployed": self.deployed}
        return {"kind": "shifted", "calibrator": self.calibrator.to_dict(), **shares}


def shift_prevalence(p: ArrayLike, *, training: float, deployed: float) -> Floats:
    """Return probabilities for another share of synthetic images (Saerens et al. 2002).

    Bayes' rule: the odds are multiplied by the ratio of the new to the old odds of the shares. It
    holds if the images of each class look as they did and only the mixture has changed.

    Parameters
    ----------
    p : array-like of shape (n,), float
        P(synthetic), 0 to 1, where the share was `training`; NaN gives NaN.
    training, deployed : float
        Shares of synthetic images, between 0 and 1: among those that the calibrator learned on,
        and where the detector is used.

    Returns
    -------
    p : ndarray of shape (n,), float64
        Strictly between 0 and 1, in the same order.

    Raises
    ------
    DataError
        If a probability is not in 0..1.
    ValueError
        If a share is not between 0 and 1.

    References
    ----------
    .. [1] Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori
       probabilities: a simple procedure", Neural Computation 14(1), 2002.

    Examples
    --------
    >>> shift_prevalence([0.5, 0.9], training=0.5, deployed=0.1).round(3)
    array([0.1, 0.5])
    """
    check_share("shift_prevalence", "training", training)
    check_share("shift_prevalence", "deployed", deployed)
    values = np.ascontiguousarray(check_vector("p", p))
    check_probabilities(values[~np.isnan(values)])
    moved = np.log(deployed / (1 - deployed)) - np.log(training / (1 - training))
    with np.errstate(divide="ignore"):
        return sigmoid(np.log(values) - np.log1p(-values) + moved)


def estimate_prevalence(
    p: ArrayLike, *, training: float, tolerance: float = 1e-8, max_iterations: int = 10_000
) -> Prevalence:
    """Estimate the share of synthetic images among unlabelled ones (Saerens et al. 2002).

    EM: the mean of the probabilities, shifted to the share so far, is the next share. It finds the
    share of the highest likelihood, which is 0 or 1 where all images look like one class. Only as
    good as the probabilities are calibrated, and only if each class looks as it did.

    Parameters
    ----------
    p : array-like of shape (n,), float
        P(synthetic), 0 to 1, where the share was `training`; at least one.
    training : float
        Share of synthetic images among those that the calibrator learned on, between 0 and 1.
    tolerance : float, default=1e-8
        EM ends when the share moves by less.
    max_iterations : int, default=10,000

    Returns
    -------
    prevalence : Prevalence

    Raises
    ------
    DataError
        If there is no probability, or one is not in 0..1.
    ValueError
        If `training` is not between 0 and 1.

    References
    ----------
    .. [1] Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori
       probabilities: a simple procedure", Neural Computation 14(1), 2002.

    Examples
    --------
    >>> round(estimate_prevalence([0.01] * 90 + [0.99] * 10, training=0.5).value, 2)
    0.09
    """
    check_share("estimate_prevalence", "training", training)
    values = check_vector("p", p)
    if not len(values):
        raise DataError("p is empty; give at least one image")
    check_probabilities(values)
    # Densities of each image's score under the two classes, up to a factor that they share.
    synthetic, real = values / training, (1 - values) / (1 - training)
    share, moved, n_iterations = training, np.inf, 0
    while moved >= tolerance and n_iterations < max_iterations:
        weighted = share * synthetic
        following = float(np.mean(weighted / (weighted + (1 - share) * real)))
        share, moved, n_iterations = following, abs(following - share), n_iterations + 1
    low, high = _profile(synthetic, real, share)
    return Prevalence(share, low, high, len(values), n_iterations, bool(moved < tolerance))


def _profile(synthetic: Floats, real: Floats, best: float) -> tuple[float, float]:
    """Return the shares whose log-likelihood is `_DROP` below that of the best; it is concave."""
    from scipy.optimize import brentq

    def excess(share: float) -> float:
        with np.errstate(divide="ignore"):
            likelihood = np.log(share * synthetic + (1 - share) * real).sum()
        return float(np.maximum(likelihood - top + _DROP, -1e9))

    top = 0.0
    top = excess(best) - _DROP
    low = 0.0 if excess(0.0) >= 0 else float(brentq(excess, 0.0, best))
    high = 1.0 if excess(1.0) >= 0 else float(brentq(excess, best, 1.0))
    return low, high
