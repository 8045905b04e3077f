"""Steps from their descriptions, by kind."""

from collections.abc import Callable, Mapping
from typing import Any

from synthdetect.ensemble.calibrate import Beta, Calibrator, Platt, Temperature
from synthdetect.ensemble.checks import check_fields, check_number
from synthdetect.ensemble.combine import Combiner, LinearCombiner, TrimmedCombiner
from synthdetect.ensemble.isotonic import Isotonic
from synthdetect.ensemble.prevalence import Shifted
from synthdetect.ensemble.stacked import StackedCombiner
from synthdetect.ensemble.trees import BoostedCombiner

COMBINERS: dict[str, Callable[[Mapping[str, Any]], Combiner]] = {
    "soft_vote": LinearCombiner.from_dict,
    "best": LinearCombiner.from_dict,
    "trimmed_mean": TrimmedCombiner.from_dict,
    "stacking": StackedCombiner.from_dict,
    "boosting": BoostedCombiner.from_dict,
}

CALIBRATORS: dict[str, Callable[[Mapping[str, Any]], Calibrator]] = {
    "temperature": Temperature.from_dict,
    "platt": Platt.from_dict,
    "beta": Beta.from_dict,
    "isotonic": Isotonic.from_dict,
}


def combiner_from_dict(description: Mapping[str, Any]) -> Combiner:
    """Build a combiner from what its `to_dict` gave.

    Raises
    ------
    ValueError
        If the kind is unknown, or a field is missing, unknown or not of its kind; the message
        names it.
    """
    return COMBINERS[_kind("combiner", description, [*COMBINERS])](description)


def calibrator_from_dict(description: Mapping[str, Any]) -> Calibrator:
    """Build a calibrator from what its `to_dict` gave; errors are those of `combiner_from_dict`."""
    kind = _kind("calibrator", description, [*CALIBRATORS, "shifted"])
    if kind != "shifted":
        return CALIBRATORS[kind](description)
    check_fields("calibrator", description, ("kind", "calibrator", "training", "deployed"))
    # One that is shifted inside is refused here, so a hostile description does not nest.
    inner = description["calibrator"]
    return Shifted(
        CALIBRATORS[_kind("calibrator", inner, [*CALIBRATORS])](inner),
        training=check_number("calibrator", "training", description["training"]),
        deployed=check_number("calibrator", "deployed", description["deployed"]),
    )


def _kind(owner: str, description: object, known: list[str]) -> str:
    if not isinstance(description, Mapping):
        raise ValueError(f"{owner}: {description!r} is not a mapping; use its description")
    kind = description.get("kind")
    if not isinstance(kind, str) or kind not in known:
        raise ValueError(f"{owner}: kind is {kind!r}; use one of {known}")
    return kind
