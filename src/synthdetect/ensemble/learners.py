"""Learners by name, for those who want a combiner or a calibrator without its options."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from synthdetect.ensemble.calibrate import CalibratorLearner
from synthdetect.ensemble.choose import AutoCalibration
from synthdetect.ensemble.combine import CombinerLearner
from synthdetect.ensemble.isotonic import IsotonicCalibration
from synthdetect.ensemble.scaling import BetaCalibration, PlattScaling, TemperatureScaling
from synthdetect.ensemble.stacking import Stacking
from synthdetect.ensemble.voting import Best, Median, SoftVote, TrimmedMean

L = TypeVar("L")

COMBINERS: dict[str, Callable[[], CombinerLearner]] = {
    "soft-vote": SoftVote,
    "stacking": Stacking,
    "median": Median,
    "trimmed-mean": TrimmedMean,
    "best": Best,
}

CALIBRATORS: dict[str, Callable[[], CalibratorLearner]] = {
    "temperature": TemperatureScaling,
    "platt": PlattScaling,
    "isotonic": IsotonicCalibration,
    "beta": BetaCalibration,
    "auto": AutoCalibration,
}


def combiner_learner(given: str | CombinerLearner | None) -> CombinerLearner | None:
    """Return the learner of a name of `COMBINERS`, or what was given.

    Raises
    ------
    ValueError
        If the name is unknown, or it is no learner.

    Examples
    --------
    >>> combiner_learner("median")
    Median()
    """
    return _learner("combiner", given, COMBINERS)


def calibrator_learner(given: str | CalibratorLearner | None) -> CalibratorLearner | None:
    """Return the learner of a name of `CALIBRATORS`; errors are those of `combiner_learner`."""
    return _learner("calibrator", given, CALIBRATORS)


def _learner(step: str, given: str | L | None, known: Mapping[str, Callable[[], L]]) -> L | None:
    if isinstance(given, str):
        if given in known:
            return known[given]()
    elif given is None or (hasattr(given, "fit") and not isinstance(given, type)):
        return given
    names = ", ".join(map(repr, known))
    raise ValueError(f"{step} is {given!r}; use {names} or a learner such as {_made(known)}")


def _made(known: Mapping[str, Callable[[], object]]) -> object:
    return next(iter(known.values()))()
