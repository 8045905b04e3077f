"""Where in an image the members see traces: the same networks, patch by patch, without gradients.

Two maps. `patch_map` lets every member look at each place alone, at native resolution, so what is
wrong in a corner shows although the verdict never looked there. `occlusion_map` erases the fine
structure of one cell after another and says how the verdict's own logit moves.

References
----------
Chai, Bau, Lim, Isola, "What makes fake images detectable? Understanding properties that
generalize", ECCV 2020 (patches).
Zeiler, Fergus, "Visualizing and understanding convolutional networks", ECCV 2014 (occlusion).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.learn import Decision
from synthdetect.images.views import CenterCrop, Crops, Pixels, Resize, View, pad_to
from synthdetect.members.base import Scorer, TrainedMember
from synthdetect.members.registry import load_scorer

if TYPE_CHECKING:
    from synthdetect.detector import Detector

Box = tuple[int, int, int, int]

# Enough to tell a face's parts in 512 px, few enough for two cores in two seconds.
MOST_PLACES = 7
_N_CELLS = 6


@dataclass(frozen=True, eq=False)
class PatchMap:
    """What the detector says of patches of an image.

    Parameters
    ----------
    tops, lefts : ndarray of shape (rows,) and (columns,), int64
        Upper left corners of the patches in pixels of the upright image, which is padded by
        reflection where it is smaller than a patch.
    size : int
        Side of a patch in pixels, the largest crop of the members; the others look at its middle.
    logits : ndarray of shape (rows, columns, members), float64
        NaN for a member that only looks at the whole picture (a `Resize`).
    p : ndarray of shape (rows, columns), float64
        P(synthetic) of each patch alone, by the detector's own combiner and calibrator. These
        learned on whole views, so it ranks patches and is no calibrated probability.
    """

    tops: NDArray[np.int64]
    lefts: NDArray[np.int64]
    size: int
    logits: NDArray[np.float64]
    p: NDArray[np.float64]

    @property
    def highest(self) -> Box:
        """Top, left, bottom and right of the patch that looks most synthetic."""
        row, column = np.unravel_index(int(np.nanargmax(self.p)), self.p.shape)
        top, left = int(self.tops[row]), int(self.lefts[column])
        return top, left, top + self.size, left + self.size


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """How the combined logit falls when the fine structure of a cell is erased.

    Parameters
    ----------
    box : (int, int, int, int)
        Top, left, bottom and right of the pixels that some member looks at.
    drop : ndarray of shape (rows, columns), float64
        The image's combined logit less that with the cell erased, over equal cells of the box:
        above 0 where the cell speaks for synthetic.
    """

    box: Box
    drop: NDArray[np.float64]


def patch_scorers(
    members: Sequence[TrainedMember], *, precision: str = "f32"
) -> list[Scorer | None]:
    """Make members ready to look at single patches; None for those that need the whole picture."""
    return [
        None
        if isinstance(member.view, Resize)
        else load_scorer(replace(member, view=CenterCrop(member.view.size)), precision=precision)
        for member in members
    ]


def patch_map(
    pixels: Pixels,
    members: Sequence[TrainedMember],
    scorers: Sequence[Scorer | None],
    decision: Decision,
) -> PatchMap | None:
    """Let each member look at every place of an image.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3), uint8
    members : sequence of TrainedMember
    scorers : sequence of Scorer or None
        Of `patch_scorers`.
    decision : Decision

    Returns
    -------
    map : PatchMap or None
        None if every member needs the whole picture.
    """
    sizes = [m.view.size for m, scorer in zip(members, scorers, strict=True) if scorer is not None]
    if not sizes:
        return None
    size = max(sizes)
    padded = pad_to(pixels, size)
    tops, lefts = (_places(side, size) for side in padded.shape[:2])
    corners = [(top, left) for top in tops for left in lefts]
    logits = np.full((len(corners), len(members)), np.nan)
    for column, (member, scorer) in enumerate(zip(members, scorers, strict=True)):
        if scorer is None:
            continue
        inner = member.view.size
        inset = (size - inner) // 2
        crops = [
            padded[t + inset : t + inset + inner, x + inset : x + inset + inner] for t, x in corners
        ]
        logits[:, column] = scorer.logits(np.stack(crops)[:, np.newaxis])
    shape = len(tops), len(lefts)
    p = decision.probability(logits)
    return PatchMap(tops, lefts, size, logits.reshape(*shape, -1), p.reshape(shape))


def occlusion_map(detector: "Detector", pixels: Pixels, *, n_cells: int = _N_CELLS) -> OcclusionMap:
    """Erase cell after cell of what the verdict rests on and ask the detector again.

    A cell is replaced by its mean colour, which keeps the picture and removes its grain. No filling
    is neutral to a detector of traces: read the map as what the erased grain spoke for, not as
    where an object is.

    Parameters
    ----------
    detector : Detector
        With its real views, so members that scale the picture take part.
    pixels : ndarray of shape (h, w, 3), uint8
    n_cells : int, default=6
        Cells a side, 1 to 16; their square is how often the image is scored.

    Returns
    -------
    map : OcclusionMap

    Raises
    ------
    ValueError
        If `n_cells` is out of range.
    """
    if not 1 <= n_cells <= 16:
        raise ValueError(f"n_cells is {n_cells}; use 1 to 16")
    height, width = pixels.shape[:2]
    box = seen_box([member.view for member in detector.members_], height, width)
    rows = np.linspace(box[0], box[2], n_cells + 1).round().astype(int)
    columns = np.linspace(box[1], box[3], n_cells + 1).round().astype(int)

    def erased(i: int, j: int) -> Pixels:
        copy = pixels.copy()
        cell = copy[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
        if cell.size:
            cell[:] = np.rint(cell.mean(axis=(0, 1))).astype(np.uint8)
        return copy

    images = [pixels, *(erased(i, j) for i in range(n_cells) for j in range(n_cells))]
    combined = detector.decision_.combiner(detector.member_logits(images))
    return OcclusionMap(box, (combined[0] - combined[1:]).reshape(n_cells, n_cells))


def seen_box(views: Sequence[View], height: int, width: int) -> Box:
    """Return top, left, bottom and right of the pixels that some view of an image shows.

    Parameters
    ----------
    views : sequence of View
    height, width : int
        Of the upright image in pixels.

    Returns
    -------
    box : (int, int, int, int)
    """
    spans = [_span(view, height, width) for view in views]
    box_height, box_width = (max(span[axis] for span in spans) for axis in (0, 1))
    top, left = (height - box_height) // 2, (width - box_width) // 2
    return top, left, top + box_height, left + box_width


def _span(view: View, height: int, width: int) -> tuple[int, int]:
    """Height and width of what a view shows, which is always around the centre."""
    if isinstance(view, Resize):
        return height, width
    side = 2 * view.size if isinstance(view, Crops) and view.n > 1 else view.size
    return min(side, height), min(side, width)


def _places(side: int, size: int) -> NDArray[np.int64]:
    """Starts of patches, from edge to edge and overlapping by half or less where that suffices."""
    n = min(MOST_PLACES, 1 + int(np.ceil(2 * (side - size) / size)))
    return np.linspace(0, side - size, n).round().astype(np.int64)
