"""Choosing the calibrator that suits the images, by cross-validation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.calibrate import Calibrator, CalibratorLearner, check_pairs
from synthdetect.ensemble.isotonic import IsotonicCalibration
from synthdetect.ensemble.scaling import BetaCalibration, PlattScaling, TemperatureScaling

# From few parameters to many: of equals the first is taken.
CANDIDATES: tuple[CalibratorLearner, ...] = (
    TemperatureScaling(),
    PlattScaling(),
    BetaCalibration(),
    IsotonicCalibration(),
)


@dataclass(frozen=True)
class AutoCalibration:
    """Learns the calibrator with the lowest cross-validated log loss.

    Temperature, Platt, beta and isotonic are compared; of equals the one with the fewest
    parameters is taken. It then learns on all images.

    Parameters
    ----------
    n_folds : int, default=5
        2 or more. With fewer images of a class than that, one temperature is learned.
    seed : int, default=0
        Deals the folds.

    Raises
    ------
    ValueError
        If `n_folds` is below 2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(2000) % 2
    >>> learned = AutoCalibration().fit(rng.normal(3 + 2 * y, 1.0), y)
    >>> learned.to_dict()["kind"] != "temperature"  # which could not undo the shift
    True
    """

    n_folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_folds < 2:
            raise ValueError(f"AutoCalibration: n_folds is {self.n_folds}; use 2 or more")

    def fit(self, logit: ArrayLike, y: ArrayLike) -> Calibrator:
        """Learn the calibrator; parameters and errors are those of `TemperatureScaling.fit`."""
        from sklearn.model_selection import StratifiedKFold

        values, labels = check_pairs(logit, y)
        if min(np.bincount(labels)) < self.n_folds:
            return CANDIDATES[0].fit(values, labels)
        folds = StratifiedKFold(self.n_folds, shuffle=True, random_state=self.seed)
        splits = list(folds.split(values, labels))
        losses = []
        for candidate in CANDIDATES:
            p = np.empty(len(values))
            for rest, held in splits:
                p[held] = candidate.fit(values[rest], labels[rest])(values[held])
            losses.append(-np.mean(np.log(np.where(labels == 1, p, 1 - p))))
        return CANDIDATES[int(np.argmin(losses))].fit(values, labels)
