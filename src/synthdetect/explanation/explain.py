"""`explain`: everything there is to say of one verdict."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.detector import Detector
from synthdetect.evaluation.files import write_whole
from synthdetect.evaluation.interval import json_ready
from synthdetect.evaluation.placement import ENSEMBLE, Placement, placement
from synthdetect.evidence.finding import Evidence
from synthdetect.evidence.read import read_evidence
from synthdetect.explanation.contributions import Contributions, contributions
from synthdetect.explanation.patches import (
    Box,
    OcclusionMap,
    PatchMap,
    occlusion_map,
    patch_map,
    patch_scorers,
    seen_box,
)
from synthdetect.explanation.spectrum import SpectrumComparison, compare_spectrum
from synthdetect.images.decode import decode, source_name
from synthdetect.images.limits import DEFAULT_LIMITS
from synthdetect.images.reading import read_encoded

NO_SCORES = (
    "The bundle keeps no scores of labelled images, so this score cannot be ranked among them. "
    "Detector.calibrate on images of yours adds them, and so does training."
)


@dataclass(frozen=True)
class MemberPart:
    """What one member has to do with a verdict.

    Parameters
    ----------
    name, kind, view : str
    logit : float
        Positive means synthetic.
    weight : float or None
        What the logit is multiplied by; None where the combiner is no weighted sum.
    adds : float
        What it adds to the combined logit; see `Explanation.method`.
    placement : Placement or None
        Where the logit lies among those of labelled images.
    """

    name: str
    kind: str
    view: str
    logit: float
    weight: float | None
    adds: float
    placement: Placement | None


@dataclass(frozen=True)
class InTurn:
    """What a detector with `mode="cascade"` answers, which asks its members in turn.

    Parameters
    ----------
    members : tuple of str
        Those that are asked about this image.
    p : float
        P(synthetic) by these members.
    decision : str
    """

    members: tuple[str, ...]
    p: float
    decision: str


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why one image got its verdict; `print` it, or see `to_html` and `to_dict`.

    Parameters
    ----------
    name : str
        Of the image.
    detector : str
        Name and digest of what judged it.
    p : float
        P(synthetic) by all members.
    decision : str
        `real`, `synthetic` or `uncertain`.
    threshold : float
        An image with `p` at or above it is called synthetic.
    logit : float
        Combined, before calibration.
    start : float
        The combined logit before any member; with what the members add it makes `logit`.
    method : str
        How exactly the members' parts were found.
    members : tuple of MemberPart
    placement : Placement or None
        Where the combined logit lies among those of labelled images.
    scores_on : str
        What these images are, or why there is no placement.
    width, height : int
        Of the upright image in pixels.
    seen : (int, int, int, int)
        Top, left, bottom and right of the pixels that the verdict rests on.
    patches : PatchMap or None
    occlusion : OcclusionMap or None
    spectrum : SpectrumComparison
    evidence : Evidence or None
        What the file says of itself; no part of `p`. None where the image came without a file.
    in_turn : InTurn or None
        What the detector itself answers where it does not ask all members of every image, by
        `mode="cascade"`; all else here is of all members.
    """

    name: str
    detector: str
    p: float
    decision: str
    threshold: float
    logit: float
    start: float
    method: str
    members: tuple[MemberPart, ...]
    placement: Placement | None
    scores_on: str
    width: int
    height: int
    seen: Box
    patches: PatchMap | None
    occlusion: OcclusionMap | None
    spectrum: SpectrumComparison
    evidence: Evidence | None
    in_turn: InTurn | None
    pixels: NDArray[np.uint8] = field(repr=False)

    def __str__(self) -> str:
        from synthdetect.explanation.text import as_text

        return as_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, without the pixels."""
        plain = ["name", "detector", "p", "decision", "threshold", "logit", "start", "method"]
        plain += ["scores_on", "width", "height", "seen"]
        told: dict[str, Any] = {key: getattr(self, key) for key in plain}
        told["members"] = [asdict(member) for member in self.members]
        told["placement"] = self.placement and self.placement.to_dict()
        told["patches"] = self.patches and vars(self.patches)
        told["occlusion"] = self.occlusion and vars(self.occlusion)
        told["spectrum"] = self.spectrum.to_dict()
        told["in_turn"] = self.in_turn and asdict(self.in_turn)
        told["evidence"] = self.evidence and self.evidence.to_dict()
        return dict(json_ready(told))

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the explanation as one HTML page with its pictures inside, and write it.

        Parameters
        ----------
        path : path-like, optional
            Replaced as a whole, or not at all.

        Returns
        -------
        html : str
        """
        from synthdetect.explanation.html import as_html

        return write_whole(path, as_html(self))


def explain(
    detector: Detector,
    image: Any,
    *,
    patches: bool = True,
    occlusion: bool = False,
    trust_anchors: str | None = None,
) -> Explanation:
    """Explain the verdict on one image.

    All members look at it, with `mode="cascade"` too; `in_turn` then has the detector's own answer.

    Parameters
    ----------
    detector : Detector
    image : path, bytes, binary file object, PIL image or uint8 array
    patches : bool, default=True
        Let every member look at each place of the image.
    occlusion : bool, default=False
        Erase one cell of the image after another; 37 times the work of a verdict.
    trust_anchors : str, optional
        As for `synthdetect.read_evidence`.

    Returns
    -------
    explanation : Explanation

    Raises
    ------
    ImageError
        If the image cannot be used.
    NotFittedError
        If the detector was neither loaded nor fitted.

    Examples
    --------
    >>> photo = (np.indices((200, 200)).sum(axis=0) % 256).astype("uint8")
    >>> explanation = explain(Detector.load("ensemble-v1"), photo)
    >>> len(explanation.members)
    2
    """
    training_data = detector.facts_.get("training_data") or {}
    limits = detector.limits or DEFAULT_LIMITS
    name = source_name(image, 0)
    evidence = None
    if isinstance(image, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(
        image, "read"
    ):
        image = read_encoded(image, name=name, limits=limits)
        evidence = read_evidence(image, name=name, limits=limits, trust_anchors=trust_anchors)
    pixels = decode(image, name=name, limits=limits)
    members, decision = detector.members_, detector.decision_
    logits = detector.member_logits([pixels])[0]
    combined = decision.combiner(logits[np.newaxis])
    p = decision.calibrator(combined)
    kept = training_data.get("calibration_scores") or {}
    place = placement(float(combined[0]), kept, ENSEMBLE)
    parts = contributions(decision.combiner, logits)
    scorers = patch_scorers(members, precision=detector.precision) if patches else []
    return Explanation(
        name=name,
        detector=detector.describe().partition(",")[0],
        p=float(p[0]),
        decision=str(decision.threshold.decide(p)[0]),
        threshold=decision.threshold.value,
        logit=float(combined[0]),
        start=parts.start,
        method=parts.method,
        members=_members(detector, logits, parts, kept),
        placement=place,
        scores_on=str(kept.get("on", "")) if place else NO_SCORES,
        width=pixels.shape[1],
        height=pixels.shape[0],
        seen=seen_box([member.view for member in members], *pixels.shape[:2]),
        patches=patch_map(pixels, members, scorers, decision) if patches else None,
        occlusion=occlusion_map(detector, pixels) if occlusion else None,
        spectrum=compare_spectrum(pixels, training_data),
        evidence=evidence,
        in_turn=_in_turn(detector, logits),
        pixels=pixels,
    )


def _in_turn(detector: Detector, logits: NDArray[np.float64]) -> InTurn | None:
    if detector.mode != "cascade" or detector.cascade_ is None:
        return None
    p = detector.probability_of(logits[np.newaxis])
    asked = ~np.isnan(detector.cascade_.masked(detector.decision_.combiner, logits[np.newaxis])[0])
    return InTurn(
        tuple(m.name for m, one in zip(detector.members_, asked, strict=True) if one),
        float(p[0]),
        str(detector.decision_.threshold.decide(p)[0]),
    )


def _members(
    detector: Detector, logits: NDArray[np.float64], parts: Contributions, kept: Mapping[str, Any]
) -> tuple[MemberPart, ...]:
    return tuple(
        MemberPart(
            name=member.name,
            kind=member.kind,
            view=str(member.view),
            logit=float(logits[j]),
            weight=parts.weights[j] if parts.weights else None,
            adds=parts.adds[j],
            placement=placement(float(logits[j]), kept, member.name),
        )
        for j, member in enumerate(detector.members_)
    )
