"""Is this photograph real or AI-generated?

The names of `__all__` are imported when they are first used, so `import synthdetect` costs nothing;
their reference is in their own modules.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthdetect.detector import Detector
    from synthdetect.ensemble.threshold import CostWeighted, Fixed, Youden
    from synthdetect.errors import (
        BundleError,
        DataError,
        ImageError,
        MissingExtraError,
        NotFittedError,
        RecipeError,
        SynthdetectError,
        TrainingError,
    )
    from synthdetect.evaluation.compare import compare
    from synthdetect.evaluation.evaluate import Evaluation, evaluate
    from synthdetect.images.decode import Limits
    from synthdetect.images.perturb import Augmentation
    from synthdetect.members.backbones import MobileNetV2
    from synthdetect.members.spectrum import SpectralMember

__version__ = "0.1.0.dev0"

__all__ = [
    "Augmentation",
    "BundleError",
    "CostWeighted",
    "DataError",
    "Detector",
    "Evaluation",
    "Fixed",
    "ImageError",
    "Limits",
    "MissingExtraError",
    "MobileNetV2",
    "NotFittedError",
    "RecipeError",
    "SpectralMember",
    "SynthdetectError",
    "TrainingError",
    "Youden",
    "__version__",
    "compare",
    "evaluate",
]

# The same table as the imports above, for the interpreter; a test compares the two.
_HOMES = {
    "synthdetect.detector": ("Detector",),
    "synthdetect.ensemble.threshold": ("CostWeighted", "Fixed", "Youden"),
    "synthdetect.errors": (
        "BundleError",
        "DataError",
        "ImageError",
        "MissingExtraError",
        "NotFittedError",
        "RecipeError",
        "SynthdetectError",
        "TrainingError",
    ),
    "synthdetect.evaluation.compare": ("compare",),
    "synthdetect.evaluation.evaluate": ("Evaluation", "evaluate"),
    "synthdetect.images.decode": ("Limits",),
    "synthdetect.images.perturb": ("Augmentation",),
    "synthdetect.members.backbones": ("MobileNetV2",),
    "synthdetect.members.spectrum": ("SpectralMember",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'synthdetect' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
