"""What a part of an audit is made of: words, tables, pictures, and the same as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.bars import Progress, silent
from synthdetect.data.card import DataCard
from synthdetect.data.confounds import Confounds
from synthdetect.data.dataset import Dataset
from synthdetect.detector import Detector
from synthdetect.evaluation.figures import Evaluation


@dataclass(frozen=True, eq=False)
class Material:
    """What every part of an audit looks at: the images that could be read, and what was found.

    Parameters
    ----------
    detector : Detector
    dataset : Dataset
        Of n readable images.
    logits : ndarray of shape (n, members), float64
    p : ndarray of shape (n,), float64
        P(synthetic), as the detector gives it in its `mode`.
    evaluation : Evaluation
        Of the same images, in the same order.
    card : DataCard
        Of all images, those that could not be read too.
    confounds : Confounds or str
        Or why file facts were not checked.
    stress_images : int
        How many images may be put under stress; 0 for none.
    seed : int
        Of whatever is drawn.
    progress : callable
        Shows how far a long part is.
    """

    detector: Detector
    dataset: Dataset
    logits: NDArray[np.float64]
    p: NDArray[np.float64]
    evaluation: Evaluation
    card: DataCard
    confounds: Confounds | str
    stress_images: int = 100
    seed: int = 0
    progress: Progress = silent


@dataclass(frozen=True)
class Table:
    """A table whose first cells head their rows."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI; the caption is its alternative text too. Charts are shown large."""

    title: str
    source: str
    caption: str
    chart: bool = False


@dataclass(frozen=True)
class Section:
    """One part of an audit.

    Parameters
    ----------
    title : str
    words : sequence of str
        Paragraphs.
    tables : sequence of Table
    pictures : sequence of Picture
    attention : sequence of str
        What a reviewer has to look at first, a sentence each, with its figure and n.
    values : mapping
        The same for machines, JSON-ready.
    """

    title: str
    words: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    attention: Sequence[str] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
