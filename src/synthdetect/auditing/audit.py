"""`audit`: a detector on labelled images of a user's own, in one report."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.auditing.section import Material, Section
from synthdetect.auditing.sections import SECTIONS
from synthdetect.bars import Advance, Progress, silent
from synthdetect.data.card import data_card
from synthdetect.data.confounds import Confounds, Facts, confounds
from synthdetect.data.dataset import Dataset, group_names
from synthdetect.detector import Detector
from synthdetect.errors import DataError
from synthdetect.evaluation.evaluate import evaluate
from synthdetect.evaluation.figures import Evaluation
from synthdetect.evaluation.files import write_whole
from synthdetect.evaluation.interval import json_ready
from synthdetect.images.facts import read_facts

# More groups than this are names, not groups to compare.
_MOST_GROUPS = 20


@dataclass(frozen=True, eq=False)
class Audit:
    """A report; `print` it, or see `to_html` and `to_dict`.

    Parameters
    ----------
    evaluation : Evaluation
        Every figure.
    sections : tuple of Section
    """

    evaluation: Evaluation
    sections: tuple[Section, ...]

    @property
    def attention(self) -> tuple[str, ...]:
        """What a reviewer has to look at first, in the order of the sections."""
        return tuple(line for section in self.sections for line in section.attention)

    def __str__(self) -> str:
        lines = [f"- {line}" for line in self.attention] or ["- nothing stands out"]
        return "\n".join(["To look at first:", *lines, "", str(self.evaluation)])

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        parts = {section.title: dict(section.values) for section in self.sections}
        return dict(json_ready({"attention": list(self.attention), "sections": parts}))

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return `to_dict` as JSON, and write it where a path is given."""
        return write_whole(path, json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n")

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the report as one HTML page with its pictures inside, and write it.

        Parameters
        ----------
        path : path-like, optional
            Replaced as a whole, or not at all.

        Returns
        -------
        html : str

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        from synthdetect.auditing.html import as_html

        return write_whole(path, as_html(self))


def audit(
    detector: Detector,
    dataset: Dataset,
    *,
    prevalence: float | None = None,
    note: str = "",
    stress_images: int = 100,
    sections: Sequence[Callable[[Material], Section]] = SECTIONS,
    progress: Progress = silent,
    seed: int = 0,
) -> Audit:
    """Measure a detector on labelled images in every way that this package has.

    All members look at all images. A detector with `mode="cascade"` is measured as it decides, and
    the report says so.

    Parameters
    ----------
    detector : Detector
    dataset : Dataset
        Of `synthdetect.data.folders.read_dataset`. Images that the detector learned nothing from;
        its groups are compared, and so are those of every column of few values.
    prevalence : float, optional
        Share of synthetic images where the detector will be used, 0 to 1.
    note : str
        What the images are.
    stress_images : int, default=100
        At most so many images, drawn with classes and sources in proportion, are perturbed too, at
        25 times the cost of an image that is not. 0 leaves that part out, and the report says so.
    sections : sequence of callables
        Parts of the report, in order.
    progress : callable, optional
        From what is counted and how many there are to a context manager, whose value is called
        after each: once for the images, once for those that are perturbed.
    seed : int
        Of intervals, of folds, and of the images that are drawn and what is random in
        perturbations.

    Returns
    -------
    audit : Audit

    Raises
    ------
    DataError
        If no image can be read, or the labels do not fit.
    NotFittedError
        If the detector was neither loaded nor fitted.
    ValueError
        If `stress_images` is below 0.
    """
    if stress_images < 0:  # before a long look at the images
        raise ValueError(f"stress_images is {stress_images}; use 0 or more")
    facts = read_facts(dataset.images)
    logits = _member_logits(detector, dataset, progress)
    for i, error in detector.errors_.items():
        facts[i] = error  # a header can be read where the pixels cannot
    read = np.asarray(~np.isnan(logits).all(axis=1))
    if not read.any():
        first = next(iter(detector.errors_.values()), None)
        raise DataError(f"none of {len(dataset)} images can be read, the first: {first}")
    readable, p = dataset.take(read), detector.probability_of(logits[read])
    evaluation = evaluate(
        readable.y,
        p,
        detector.threshold_,
        groups=_groups(readable),
        cluster=group_names(readable) if np.any(readable.group != "") else None,
        prevalence=prevalence,
        note=note,
        seed=seed,
    )
    material = Material(
        detector=detector,
        dataset=readable,
        logits=logits[read],
        p=p,
        evaluation=evaluation,
        card=data_card(dataset, facts),
        confounds=_confounds(dataset, facts, seed),
        stress_images=stress_images,
        seed=seed,
        progress=progress,
    )
    return Audit(evaluation, tuple(section(material) for section in sections))


def _groups(dataset: Dataset) -> dict[str, Any]:
    """Columns whose values are few enough to compare."""
    columns = {"source": dataset.source, **dataset.facets}
    return {
        name: values
        for name, values in columns.items()
        if 2 <= len(set(values.tolist()) - {""}) <= _MOST_GROUPS
    }


def _confounds(dataset: Dataset, facts: Facts, seed: int) -> Confounds | str:
    try:
        return confounds(facts, dataset.y, groups=group_names(dataset), seed=seed)
    except DataError as error:
        return str(error)


def _member_logits(detector: Detector, dataset: Dataset, progress: Progress) -> NDArray[np.float64]:
    def counted(advance: Advance) -> Iterator[Any]:
        for image in dataset.images:
            yield image
            advance()

    with progress("images", len(dataset)) as advance:
        return detector.member_logits(counted(advance), on_error="nan")
