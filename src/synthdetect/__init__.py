"""Is this photograph real or AI-generated?

The names of `__all__` are imported when they are first used, so `import synthdetect` costs nothing;
their reference is in their own modules.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthdetect.auditing.audit import Audit, audit
    from synthdetect.detector import Detector
    from synthdetect.ensemble.band import Band, ConformalBand
    from synthdetect.ensemble.choose import AutoCalibration
    from synthdetect.ensemble.guarantee import MaxFPR, MinPrecision, MinRecall
    from synthdetect.ensemble.isotonic import IsotonicCalibration
    from synthdetect.ensemble.policies import CostWeighted, EqualError, FBeta, Fixed, Youden
    from synthdetect.ensemble.prevalence import estimate_prevalence, shift_prevalence
    from synthdetect.ensemble.scaling import BetaCalibration, PlattScaling, TemperatureScaling
    from synthdetect.ensemble.stacking import Stacking
    from synthdetect.ensemble.voting import Best, Median, SoftVote, TrimmedMean
    from synthdetect.errors import (
        BundleError,
        DataError,
        ImageError,
        MissingExtraError,
        NotFittedError,
        RecipeError,
        StoreError,
        SynthdetectError,
        TrainingError,
    )
    from synthdetect.evaluation.compare import compare
    from synthdetect.evaluation.evaluate import evaluate
    from synthdetect.evaluation.figures import Evaluation
    from synthdetect.evidence.read import read_evidence
    from synthdetect.explanation.explain import Explanation, explain
    from synthdetect.images.limits import Limits
    from synthdetect.images.perturb import Augmentation
    from synthdetect.member_classifier import MemberClassifier
    from synthdetect.members.backbones import (
        EfficientNetB0,
        MobileNetV2,
        MobileNetV3Large,
        Residual,
        ResNet50,
        Sequential,
        Xception,
    )
    from synthdetect.members.spectrum import SpectralMember
    from synthdetect.monitoring.monitor import Monitor
    from synthdetect.stress import stress_test

__version__ = "0.1.0.dev0"

__all__ = [
    "Audit",
    "Augmentation",
    "AutoCalibration",
    "Band",
    "Best",
    "BetaCalibration",
    "BundleError",
    "ConformalBand",
    "CostWeighted",
    "DataError",
    "Detector",
    "EfficientNetB0",
    "EqualError",
    "Evaluation",
    "Explanation",
    "FBeta",
    "Fixed",
    "ImageError",
    "IsotonicCalibration",
    "Limits",
    "MaxFPR",
    "Median",
    "MemberClassifier",
    "MinPrecision",
    "MinRecall",
    "MissingExtraError",
    "MobileNetV2",
    "MobileNetV3Large",
    "Monitor",
    "NotFittedError",
    "PlattScaling",
    "RecipeError",
    "ResNet50",
    "Residual",
    "Sequential",
    "SoftVote",
    "SpectralMember",
    "Stacking",
    "StoreError",
    "SynthdetectError",
    "TemperatureScaling",
    "TrainingError",
    "TrimmedMean",
    "Xception",
    "Youden",
    "__version__",
    "audit",
    "compare",
    "estimate_prevalence",
    "evaluate",
    "explain",
    "read_evidence",
    "shift_prevalence",
    "stress_test",
]

# The same table as the imports above, for the interpreter; a test compares the two.
_HOMES = {
    "synthdetect.auditing.audit": ("Audit", "audit"),
    "synthdetect.detector": ("Detector",),
    "synthdetect.ensemble.band": ("Band", "ConformalBand"),
    "synthdetect.ensemble.choose": ("AutoCalibration",),
    "synthdetect.ensemble.guarantee": ("MaxFPR", "MinPrecision", "MinRecall"),
    "synthdetect.ensemble.isotonic": ("IsotonicCalibration",),
    "synthdetect.ensemble.policies": ("CostWeighted", "EqualError", "FBeta", "Fixed", "Youden"),
    "synthdetect.ensemble.prevalence": ("estimate_prevalence", "shift_prevalence"),
    "synthdetect.ensemble.scaling": ("BetaCalibration", "PlattScaling", "TemperatureScaling"),
    "synthdetect.ensemble.stacking": ("Stacking",),
    "synthdetect.ensemble.voting": ("Best", "Median", "SoftVote", "TrimmedMean"),
    "synthdetect.errors": (
        "BundleError",
        "DataError",
        "ImageError",
        "MissingExtraError",
        "NotFittedError",
        "RecipeError",
        "StoreError",
        "SynthdetectError",
        "TrainingError",
    ),
    "synthdetect.evaluation.compare": ("compare",),
    "synthdetect.evaluation.evaluate": ("evaluate",),
    "synthdetect.evaluation.figures": ("Evaluation",),
    "synthdetect.evidence.read": ("read_evidence",),
    "synthdetect.explanation.explain": ("Explanation", "explain"),
    "synthdetect.images.limits": ("Limits",),
    "synthdetect.images.perturb": ("Augmentation",),
    "synthdetect.member_classifier": ("MemberClassifier",),
    "synthdetect.members.backbones": (
        "EfficientNetB0",
        "MobileNetV2",
        "MobileNetV3Large",
        "Residual",
        "ResNet50",
        "Sequential",
        "Xception",
    ),
    "synthdetect.members.spectrum": ("SpectralMember",),
    "synthdetect.stress": ("stress_test",),
    "synthdetect.monitoring.monitor": ("Monitor",),
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
