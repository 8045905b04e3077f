"""Put a detector under stress: labelled images through many perturbations, in one pass."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synthdetect.bundle.assemble import take_apart
from synthdetect.bundle.hub import open_bundle
from synthdetect.data.dataset import CLASSES, Dataset
from synthdetect.data.sample import sample
from synthdetect.ensemble.learn import Decision
from synthdetect.errors import DataError, ImageError
from synthdetect.evaluation.robustness import Form, Robustness, perturbed_rows
from synthdetect.evaluation.stability import Stability, flips
from synthdetect.images.limits import DEFAULT_LIMITS, Limits
from synthdetect.images.perturb import Augmentation
from synthdetect.images.perturbations import (
    PERTURBATIONS,
    RESHIPPINGS,
    UNTOUCHED,
    Perturbation,
    outside,
)
from synthdetect.members.base import TrainedMember
from synthdetect.members.registry import load_scorer
from synthdetect.members.score import ScoredVariants, score_variants

Floats = NDArray[np.float64]


class Fitted(Protocol):
    """What is put under stress: a `Detector`, or whatever has its members and its decision.

    Of a `Detector` its `precision`, its `mode` and the recipe among its `facts_` are heeded too.
    """

    members_: tuple[TrainedMember, ...]
    decision_: Decision


@dataclass(frozen=True)
class Stress:
    """What `stress_test` finds.

    Parameters
    ----------
    robustness : Robustness
    p : mapping of str to ndarray of shape (n,), float64
        P(synthetic) by the perturbation's name, of the images that could be read; NaN where the
        result of a perturbation is outside the limits.
    images : Dataset
        Those images.
    unread : tuple of ImageError
        Of images that could not be read and do not count.
    refused : tuple of ImageError
        Of results of perturbations that are outside the limits.
    """

    robustness: Robustness
    p: Mapping[str, Floats]
    images: Dataset
    unread: tuple[ImageError, ...]
    refused: tuple[ImageError, ...]


def stress_test(
    detector: Fitted | str | os.PathLike[str],
    data: Dataset,
    *,
    perturbations: Sequence[Perturbation] = PERTURBATIONS,
    max_images: int | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    note: str = "",
    limits: Limits = DEFAULT_LIMITS,
    workers: int | None = None,
    advance: Callable[[], None] | None = None,
) -> Stress:
    """Measure a detector on images that it has not learned from, under each perturbation.

    Each image is decoded once; a thread holds one variant of it at a time. Every variant is scored,
    so it costs as many times as `predict` as there are perturbations, and one more.

    Parameters
    ----------
    detector : Detector, str or path-like
        A detector, or the name or path of a bundle. One with `mode="cascade"` is measured as it
        decides, though all its members look at everything.
    data : Dataset
        Labelled images; `read_dataset` reads them from a manifest or a folder.
    perturbations : sequence of Perturbation
        The five re-shippings that flips are counted on are measured in any case.
    max_images : int, optional
        Draw at most so many, with classes and sources in proportion.
    augmentation : Augmentation, optional
        What training drew; tells the perturbations that are outside of it. By default what the
        recipe drew for members and decision, and without a recipe the defaults of `Augmentation`.
    seed : int
        Of the choice of images, and, with the image's place and the perturbation's name, of what is
        random in perturbations.
    confidence : float
        Of every interval, between 0 and 1.
    note : str
        What the images are.
    limits : Limits, optional
    workers : int, optional
        Threads; by default one a core.
    advance : callable, optional
        Called after each image.

    Returns
    -------
    stress : Stress

    Raises
    ------
    BundleError
        If a bundle cannot be used.
    DataError
        If no image can be read, or two perturbations share a name.
    """
    tested = _Tested.of(detector)
    wanted = _wanted(perturbations)
    images = data if max_images is None else sample(data, max_images, seed=seed)
    stream = score_variants(
        images.images,
        wanted,
        [member.view for member in tested.members],
        [load_scorer(member, precision=tested.precision) for member in tested.members],
        limits=limits,
        seed=seed,
        workers=workers,
    )
    scored = _Scored.of(stream, tested.probability, images, wanted, advance)
    readable, p, threshold = scored.images, scored.p, tested.decision.threshold
    drawn = tested.drawn if augmentation is None else (augmentation,)
    forms = [
        Form(one.name, one.family, one.level, all(outside(one, each) for each in drawn))
        for one in wanted
    ]
    shipped = [one.name for one in (UNTOUCHED, *RESHIPPINGS)]
    stability = Stability.of(
        shipped, np.column_stack([p[name] for name in shipped]), threshold.decide
    )
    unread = f"{len(scored.unread)} image(s) could not be read." if scored.unread else ""
    robustness = Robustness(
        rows=perturbed_rows(readable.y, p, forms, threshold.value, confidence=confidence),
        flips=flips(stability, readable.y, groups=_groupings(readable), confidence=confidence),
        threshold=threshold.value,
        confidence=confidence,
        seed=seed,
        note=" ".join(filter(None, (note, unread))),
    )
    return Stress(robustness, p, readable, scored.unread, scored.refused)


@dataclass(frozen=True)
class _Tested:
    """What is under stress, and what training drew as far as it is told."""

    members: tuple[TrainedMember, ...]
    decision: Decision
    probability: Callable[[Floats], Floats]
    drawn: tuple[Augmentation, ...]
    precision: str = "f32"

    @classmethod
    def of(cls, detector: Fitted | str | os.PathLike[str]) -> "_Tested":
        if isinstance(detector, str | os.PathLike):
            bundle = open_bundle(detector)
            members, decision = take_apart(bundle)
            drawn = _drawn(bundle.manifest.recipe or {})
            return cls(members, decision, decision.probability, drawn)
        members, decision = detector.members_, detector.decision_
        return cls(
            members,
            decision,
            # A detector that asks its members in turn decides by other probabilities.
            getattr(detector, "probability_of", decision.probability),
            _drawn(getattr(detector, "facts_", {}).get("recipe") or {}),
            getattr(detector, "precision", "f32"),
        )


@dataclass(frozen=True)
class _Scored:
    """Probabilities by perturbation of the images that could be read, and what went wrong."""

    images: Dataset
    p: dict[str, Floats]
    unread: tuple[ImageError, ...]
    refused: tuple[ImageError, ...]

    @classmethod
    def of(
        cls,
        stream: Iterable[ScoredVariants],
        probability: Callable[[Floats], Floats],
        images: Dataset,
        wanted: Sequence[Perturbation],
        advance: Callable[[], None] | None,
    ) -> "_Scored":
        rows: list[Floats] = []
        unread: list[ImageError] = []
        refused: list[ImageError] = []
        for one in stream:
            rows.append(probability(one.logits))
            refused += one.refused.values()
            if one.error is not None:
                unread.append(one.error)
            if advance is not None:
                advance()
        if len(unread) == len(rows):
            first = f"; {unread[0]}" if unread else ""
            raise DataError(f"none of {len(rows)} images can be read{first}")
        table = np.stack(rows)
        good = ~np.isnan(table[:, 0])
        p = {one.name: table[good, i] for i, one in enumerate(wanted)}
        return cls(images.take(good), p, tuple(unread), tuple(refused))


def _drawn(recipe: Mapping[str, Any]) -> tuple[Augmentation, ...]:
    """Return what a recipe drew: for its members, and for the decision where it made copies."""
    decision, members = recipe.get("decision"), recipe.get("members")
    parts = [recipe]
    if isinstance(decision, Mapping) and decision.get("copies"):
        parts.append(decision)
    if isinstance(members, Sequence):
        parts += [m for m in members if isinstance(m, Mapping) and "augmentation" in m]
    return tuple(_augmentation(part) for part in parts)


def _augmentation(recipe: Mapping[str, Any]) -> Augmentation:
    """Read the augmentation of a recipe; a bundle of another version may have other fields."""
    told = recipe.get("augmentation")
    known = {field.name for field in fields(Augmentation)}
    if not isinstance(told, Mapping):
        return Augmentation()
    try:
        return Augmentation(**{name: told[name] for name in known & set(told)})
    except (TypeError, ValueError):
        return Augmentation()


def _wanted(perturbations: Sequence[Perturbation]) -> tuple[Perturbation, ...]:
    """Return them after the image as it is, and the re-shippings that are not among them last."""
    given = [one for one in perturbations if one != UNTOUCHED]
    wanted = (UNTOUCHED, *given, *(one for one in RESHIPPINGS if one not in given))
    names = [one.name for one in wanted]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"two perturbations are called {twice[0]!r}; give each its own name")
    return wanted


def _groupings(images: Dataset) -> dict[str, NDArray[np.str_]]:
    """Return the class of each image, and its source where sources are known."""
    groupings: dict[str, NDArray[np.str_]] = {"class": np.array(CLASSES)[images.y]}
    if any(images.source):
        groupings["source"] = np.where(images.source == "", "(unknown)", images.source)
    return groupings
