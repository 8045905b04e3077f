"""Named perturbations for measurements: what images go through before a detector sees them.

Each is a chain of steps of `perturb.py`, which training draws from as well. What a perturbation
does to an image depends on its name, a seed and the image's place alone.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synthdetect.errors import ImageError
from synthdetect.images import perturb
from synthdetect.images.limits import Limits
from synthdetect.images.perturb import Augmentation
from synthdetect.images.views import Pixels

STEPS: Mapping[str, Callable[..., Pixels]] = {
    "jpeg": perturb.jpeg,
    "webp": perturb.webp,
    "resize": perturb.resize,
    "resize_and_back": perturb.resize_and_back,
    "fit": perturb.fit,
    "thumbnail_and_back": perturb.thumbnail_and_back,
    "blur": perturb.blur,
    "noise": perturb.noise,
    "tone": perturb.tone,
    "crop": perturb.crop,
    "center_crop": perturb.center_crop,
}
_RANDOM = ("noise", "crop")

# Step: the options that training draws, and the fields of `Augmentation` that say how often and
# between what. Steps that are not here are never drawn.
_DRAWN = {
    "jpeg": (("quality",), "jpeg", "jpeg_quality"),
    "webp": (("quality",), "webp", "webp_quality"),
    "resize": (("scale",), "resize", "resize_scale"),
    "blur": (("sigma",), "blur", "blur_sigma"),
    "noise": (("sigma",), "noise", "noise_sigma"),
    "tone": (("brightness", "contrast", "gamma"), "tone", "tone_scale"),
    "crop": (("share",), "crop", "crop_share"),
    "center_crop": (("share",), "crop", "crop_share"),
}


@dataclass(frozen=True)
class Step:
    """One function of `perturb.py` with its options.

    Parameters
    ----------
    kind : str
        Key in `STEPS`.
    options : mapping
        Keyword arguments but for `rng`.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Perturbation:
    """A chain of steps under a name.

    Parameters
    ----------
    name : str
        Unique; also seeds what is random in it.
    family : str
        What it has in common with others, such as `JPEG quality`.
    steps : tuple of Step
        In order; none leaves the image as it is.
    level : float, optional
        Where it stands in its family, for curves.
    """

    name: str
    family: str
    steps: tuple[Step, ...] = ()
    level: float | None = None

    def apply(
        self,
        pixels: Pixels,
        *,
        seed: int = 0,
        index: int = 0,
        name: str = "image",
        limits: Limits | None = None,
    ) -> Pixels:
        """Perturb one image.

        Parameters
        ----------
        pixels : ndarray of shape (h, w, 3), uint8
        seed, index : int
            At least 0; `index` is the image's place.
        name : str
            What errors call the image.
        limits : Limits, optional
            What the result must obey, as a file of these pixels would have to.

        Returns
        -------
        pixels : ndarray of shape (h', w', 3), uint8

        Raises
        ------
        ImageError
            If the result is outside the limits, or no format can hold it.
        """
        if not self.steps:
            return pixels
        if limits is not None:  # before it is made: a bitmap that is too large costs memory
            height, width = pixels.shape[:2]
            self._check(height * width * self._growth() ** 2 <= limits.max_pixels, name, limits)
        rng = np.random.default_rng([seed, index, zlib.crc32(self.name.encode())])
        try:
            for step in self.steps:
                extra = {"rng": rng} if step.kind in _RANDOM else {}
                pixels = STEPS[step.kind](pixels, **step.options, **extra)
        except (OSError, ValueError) as error:  # WebP holds 16,383 pixels a side, JPEG 65,500
            raise ImageError(name, f"cannot go through {self.name} ({error})") from error
        if limits is not None:
            self._check(min(pixels.shape[:2]) >= limits.min_side, name, limits)
        return pixels

    def _growth(self) -> float:
        """Return the largest scale on the way."""
        scale = largest = 1.0
        for step in self.steps:
            if step.kind in ("resize", "resize_and_back"):
                largest = max(largest, scale * step.options["scale"])
            if step.kind == "resize":
                scale *= step.options["scale"]
        return largest

    def _check(self, within: bool, name: str, limits: Limits) -> None:
        if not within:
            raise ImageError(
                name,
                f"is outside the limits after {self.name}: from {limits.min_side} pixels a side "
                f"to {limits.max_pixels:,} in all are judged",
            )


def outside(perturbation: Perturbation, augmentation: Augmentation) -> bool:
    """Return whether training with `augmentation` never draws these parameters.

    Parameters
    ----------
    perturbation : Perturbation
    augmentation : Augmentation

    Returns
    -------
    outside : bool
        True where a step is not drawn at all, is drawn at other levels only, or comes twice, which
        `augment` does only in chains of its own scales. False for what leaves images as they are.

    Examples
    --------
    >>> [outside(BY_NAME[name], Augmentation()) for name in ("jpeg-70", "jpeg-30", "webp-75")]
    [False, True, True]
    """
    kinds = [step.kind for step in perturbation.steps]
    return len(set(kinds)) < len(kinds) or any(
        _outside(step, augmentation) for step in perturbation.steps
    )


def _outside(step: Step, augmentation: Augmentation) -> bool:
    if step.kind not in _DRAWN:
        return True
    options, probability, levels = _DRAWN[step.kind]
    low, high = getattr(augmentation, levels)
    return not getattr(augmentation, probability) or any(
        not low <= step.options[option] <= high for option in options
    )


def _jpeg(quality: int) -> Step:
    return Step("jpeg", {"quality": quality})


def _scale(scale: float) -> Step:
    return Step("resize", {"scale": scale})


def _tone(**changed: float) -> Step:
    return Step("tone", {"brightness": 1.0, "contrast": 1.0, "gamma": 1.0} | changed)


def _levels(
    family: str, name: str, make: Callable[[Any], Step], levels: tuple[float, ...]
) -> list[Perturbation]:
    return [Perturbation(name.format(x), family, (make(x),), float(x)) for x in levels]


def _shared(sides: tuple[int, int], qualities: tuple[int, int]) -> tuple[Step, ...]:
    """Two services, each of which bounds the long side and saves as JPEG."""
    pairs = zip(sides, qualities, strict=True)
    return tuple(step for s, q in pairs for step in (Step("fit", {"side": s}), _jpeg(q)))


UNTOUCHED = Perturbation("untouched", "none")

PERTURBATIONS: tuple[Perturbation, ...] = (
    *_levels("JPEG quality", "jpeg-{}", _jpeg, (95, 85, 70, 60, 50, 30)),
    Perturbation("jpeg-90-jpeg-75", "double JPEG", (_jpeg(90), _jpeg(75))),
    Perturbation("jpeg-60-jpeg-90", "double JPEG", (_jpeg(60), _jpeg(90))),
    *_levels("WebP quality", "webp-{}", lambda q: Step("webp", {"quality": q}), (90, 75, 50, 30)),
    *_levels("scale", "scale-{}", _scale, (0.5, 0.75, 1.5, 2.0)),
    *_levels(
        "scale and back",
        "scale-{}-back",
        lambda x: Step("resize_and_back", {"scale": x}),
        (0.5, 0.75, 1.5, 2.0),
    ),
    Perturbation("thumbnail-128-back", "thumbnail", (Step("thumbnail_and_back", {"side": 128}),)),
    *_levels("blur, pixels", "blur-{}", lambda x: Step("blur", {"sigma": x}), (0.5, 1.0, 2.0)),
    *_levels(
        "noise, grey levels", "noise-{}", lambda x: Step("noise", {"sigma": x}), (2.0, 5.0, 10.0)
    ),
    Perturbation("crop-0.9-centre", "centre crop", (Step("center_crop", {"share": 0.9}),)),
    *_levels("crop, share", "crop-{}", lambda x: Step("crop", {"share": x}), (0.9, 0.7, 0.5)),
    *_levels("brightness", "brightness-{}", lambda x: _tone(brightness=x), (0.6, 0.85, 1.2, 1.6)),
    *_levels("contrast", "contrast-{}", lambda x: _tone(contrast=x), (0.6, 0.85, 1.2, 1.6)),
    *_levels("gamma", "gamma-{}", lambda x: _tone(gamma=x), (0.6, 0.85, 1.2, 1.6)),
    # A browser's zoom; a screenshot's PNG changes no pixel, so it is no step.
    Perturbation(
        "screenshot-0.8-jpeg-80",
        "screenshot",
        (Step("resize", {"scale": 0.8, "filter_name": "BILINEAR"}), _jpeg(80)),
    ),
    Perturbation(
        "screenshot-1.25-jpeg-80",
        "screenshot",
        (Step("resize", {"scale": 1.25, "filter_name": "BILINEAR"}), _jpeg(80)),
    ),
    Perturbation("shared-1600-1080", "shared twice", _shared((1600, 1080), (85, 75))),
    Perturbation("shared-320-240", "shared twice", _shared((320, 240), (85, 75))),
    Perturbation("scale-0.5-jpeg-70", "together", (_scale(0.5), _jpeg(70))),
)
"""What `stress` measures, in the order of its table."""

BY_NAME: Mapping[str, Perturbation] = {one.name: one for one in (UNTOUCHED, *PERTURBATIONS)}

RESHIPPINGS: tuple[Perturbation, ...] = tuple(
    BY_NAME[name]
    for name in ("jpeg-60", "scale-0.5", "thumbnail-128-back", "webp-75", "crop-0.9-centre")
)
"""Five ordinary ways to ship an image again. A decision that one of them turns is not stable."""
