"""How a member looks at an image: a resize, or crops at native resolution.

A view turns uint8 RGB of shape (h, w, 3) into uint8 crops of shape (k, size, size, 3). With
`flip=True` the mirror images of the crops follow them, since the mean of two looks errs less than
one. Views are values: two equal views give equal crops, so each is computed once per image and
shared.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Resize:
    """The whole image, scaled to a square (antialiased bilinear; the aspect ratio is not kept).

    Parameters
    ----------
    size : int
        Side of the result in pixels.
    flip : bool, default=False
        Also look at the mirror image.
    """

    size: int
    flip: bool = False

    def __str__(self) -> str:
        return f"the whole image at {self.size} px{_told(self.flip)}"

    @property
    def n_crops(self) -> int:
        """Crops per image."""
        return _n_looks(1, self.flip)

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the view of `pixels` (h, w, 3), of shape (n_crops, size, size, 3), uint8."""
        scaled = Image.fromarray(pixels).resize((self.size, self.size), Image.Resampling.BILINEAR)
        return _looks(np.asarray(scaled)[np.newaxis], self.flip)


@dataclass(frozen=True)
class CenterCrop:
    """The central square at native resolution; smaller images are reflect-padded.

    Parameters
    ----------
    size : int
        Side of the crop in pixels.
    flip : bool, default=False
        Also look at the crop's mirror image.
    """

    size: int
    flip: bool = False

    def __str__(self) -> str:
        return f"centre crop of {self.size} px{_told(self.flip)}"

    @property
    def n_crops(self) -> int:
        """Crops per image."""
        return _n_looks(1, self.flip)

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the view of `pixels` (h, w, 3), of shape (n_crops, size, size, 3), uint8."""
        padded = pad_to(pixels, self.size)
        top = (padded.shape[0] - self.size) // 2
        left = (padded.shape[1] - self.size) // 2
        crop = padded[top : top + self.size, left : left + self.size]
        return _looks(np.ascontiguousarray(crop)[np.newaxis], self.flip)


@dataclass(frozen=True)
class Crops:
    """Several squares at native resolution: the centre, then the corners of a central window.

    The window has twice the side of a crop (or the image's, if that is smaller), so that on a large
    photograph the crops tile its middle instead of its far corners. Smaller images are
    reflect-padded.

    Parameters
    ----------
    n : int
        Number of crops, 1 to 5.
    size : int
        Side of each crop in pixels.
    flip : bool, default=False
        Also look at the mirror image of each.
    """

    n: int
    size: int
    flip: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 5:
            raise ValueError(f"Crops(n={self.n}): n must be 1 to 5")

    def __str__(self) -> str:
        crops = "crop" if self.n == 1 else "crops"
        return f"{self.n} {crops} of {self.size} px{_told(self.flip)}"

    @property
    def n_crops(self) -> int:
        """Crops per image."""
        return _n_looks(self.n, self.flip)

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the view of `pixels` (h, w, 3), of shape (n_crops, size, size, 3), uint8."""
        padded = pad_to(pixels, self.size)
        tops = _offsets(padded.shape[0], self.size)
        lefts = _offsets(padded.shape[1], self.size)
        corners = [(1, 1), (0, 0), (2, 2), (0, 2), (2, 0)][: self.n]
        crops = [
            padded[tops[i] : tops[i] + self.size, lefts[j] : lefts[j] + self.size]
            for i, j in corners
        ]
        return _looks(np.stack(crops), self.flip)


View = Resize | CenterCrop | Crops

VIEWS: dict[str, type[View]] = {"resize": Resize, "center_crop": CenterCrop, "crops": Crops}


def pad_to(pixels: Pixels, size: int) -> Pixels:
    """Reflect-pad (h, w, 3) evenly so that both sides are at least `size`."""
    missing = [max(0, size - side) for side in pixels.shape[:2]]
    if not any(missing):
        return pixels
    return np.pad(pixels, [*((m // 2, m - m // 2) for m in missing), (0, 0)], mode="reflect")


def _n_looks(n_crops: int, flip: bool) -> int:
    return 2 * n_crops if flip else n_crops


def _told(flip: bool) -> str:
    return ", also mirrored" if flip else ""


def _looks(crops: Pixels, flip: bool) -> Pixels:
    """Return crops (k, size, size, 3), followed by their mirror images where wanted."""
    return np.concatenate([crops, crops[:, :, ::-1]]) if flip else crops


def _offsets(side: int, size: int) -> tuple[int, int, int]:
    """Start, middle and end offsets of a crop in the central window of one axis."""
    window = min(side, 2 * size)
    start = (side - window) // 2
    return start, (side - size) // 2, start + window - size


def apply_views(pixels: Pixels, views: Iterable[View]) -> dict[View, Pixels]:
    """Compute each distinct view once.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3), uint8
    views : iterable of View

    Returns
    -------
    crops : dict of View to ndarray of shape (k, size, size, 3), uint8
    """
    return {view: view.apply(pixels) for view in dict.fromkeys(views)}


def view_to_dict(view: View) -> dict[str, Any]:
    """Return a JSON-ready description, the inverse of `view_from_dict`."""
    kind = next(name for name, cls in VIEWS.items() if type(view) is cls)
    options = asdict(view)
    if not view.flip:  # as bundles were written, and trainings hashed, before there were flips
        del options["flip"]
    return {"kind": kind, **options}


def view_from_dict(description: Mapping[str, Any]) -> View:
    """Build a view from its description, for example `{"kind": "center_crop", "size": 160}`.

    Raises
    ------
    ValueError
        If the kind, a key or a value is not one of ours.
    """
    options = dict(description)
    kind = options.pop("kind", None)
    cls = VIEWS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ValueError(f"view kind {kind!r} is not known; use one of {sorted(VIEWS)}")
    flip = options.get("flip", False)
    if type(flip) is not bool:
        raise ValueError(f"view {kind}: flip is {flip!r}; use true or false")
    for key, value in options.items():
        if key != "flip" and (type(value) is not int or not 1 <= value <= 4096):
            raise ValueError(f"view {kind}: {key} is {value!r}; use a whole number, 1 to 4096")
    known = [field.name for field in fields(cls)]
    for key in known:
        if key != "flip" and key not in options:
            raise ValueError(f"view {kind}: {key} is missing; give a whole number, 1 to 4096")
    for key in options:
        if key not in known:
            raise ValueError(f"view {kind}: key {key!r} is not known; use {', '.join(known)}")
    return cls(**options)
