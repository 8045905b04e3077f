"""What a bundle says of a detector besides its members and its decision, and what becomes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from synthdetect.bundle.assemble import environment
from synthdetect.bundle.card_text import as_lines as as_lines_of_card
from synthdetect.bundle.format import Bundle
from synthdetect.bundle.model_card import ModelCard
from synthdetect.bundle.signature import signer_of
from synthdetect.ensemble.cascade import Cascade
from synthdetect.ensemble.combine import LinearCombiner
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.threshold import BandThreshold
from synthdetect.evaluation.report import as_lines
from synthdetect.members.base import TrainedMember

if TYPE_CHECKING:
    from synthdetect.training.fit import TrainedEnsemble

_FACTS = ("training_data", "recipe", "figures", "environment", "created")

# From what changes least to what changes most: a later, smaller change takes nothing back.
_NOTES = (
    "measured before the threshold was changed; AUROC holds, rates do not",
    "measured before calibrator and threshold were changed; AUROC holds but for ties, "
    "rates and probabilities do not",
    "measured before combiner, calibrator and threshold were changed; "
    "the AUROC of members holds, other figures do not",
)
_CHANGED = {"threshold": 0, "probability": 1, "combiner": 2, "all": 2}


@dataclass(frozen=True)
class Origin:
    """Where a detector comes from.

    Parameters
    ----------
    name : str
    facts : mapping
        `training_data`, `recipe`, `figures`, `environment` and `created` of a manifest.
    license : str, default="Apache-2.0"
        Of the weights.
    digest : str, default="unsaved"
        Of the bundle as it was read.
    signed_by : str, optional
        What `synthdetect.bundle.signature.signer_of` says of it.
    card : ModelCard, optional
    """

    name: str
    facts: Mapping[str, Any]
    license: str = "Apache-2.0"
    digest: str = "unsaved"
    signed_by: str | None = None
    card: ModelCard | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> "Origin":
        """Read it from a bundle."""
        manifest = bundle.manifest
        facts = {name: getattr(manifest, name) for name in _FACTS}
        signed_by = signer_of(bundle)
        return cls(
            manifest.name, facts, manifest.license, bundle.digest, signed_by, card=manifest.card
        )

    def changed(self, what: str) -> "Origin":
        """Return the origin of a detector that learned `what` again: its figures say so."""
        facts, figures, card = dict(self.facts), self.facts.get("figures"), self.card
        if figures:
            facts["figures"] = {**figures, "note": _note(what, before=figures.get("note"))}
        if card is not None:
            card = replace(card, stale=_note(what, before=card.stale))
        return replace(self, facts=facts, digest="unsaved", signed_by=None, card=card)

    def with_scores(self, scores: Mapping[str, Any]) -> "Origin":
        """Return the origin of a detector that keeps these `calibration_scores`."""
        training_data = {**self.facts.get("training_data", {}), "calibration_scores": scores}
        return replace(self, facts={**self.facts, "training_data": training_data})

    @classmethod
    def of_training(cls, ensemble: "TrainedEnsemble") -> "Origin":
        """Return the origin of a detector that was just trained."""
        facts = {
            "figures": ensemble.figures,
            "recipe": ensemble.recipe,
            "training_data": ensemble.training_data,
            "environment": environment(trained=True),
            "created": datetime.now(UTC).date().isoformat(),
        }
        return cls(ensemble.name, facts)


def _note(what: str, *, before: object) -> str:
    """What is told of figures once `what` was learned again."""
    last = _CHANGED[what]
    if isinstance(before, str) and before in _NOTES:
        last = max(last, _NOTES.index(before))
    return _NOTES[last]


def described(
    members: Sequence[TrainedMember],
    decision: Decision,
    origin: Origin,
    cascade: Cascade | None = None,
) -> str:
    """Return what a detector is, what it learned on and how it measured, as text.

    Parameters
    ----------
    members : sequence of TrainedMember
    decision : Decision
    origin : Origin
    cascade : Cascade, optional

    Returns
    -------
    text : str
        Of several lines.
    """
    signed = f"signed with {origin.signed_by}" if origin.signed_by else "not signed"
    lines = [f"{origin.name} ({origin.digest[:12]}), licence {origin.license}, {signed}"]
    combiner, threshold = decision.combiner, decision.threshold
    weights = [""] * len(members)
    if isinstance(combiner, LinearCombiner):
        weights = [f", weight {weight:.3f}" for weight in combiner.weights]
    for member, weight in zip(members, weights, strict=True):
        lines.append(f"  member {member.name}: {member.kind}, {member.view}{weight}")
    if not isinstance(combiner, LinearCombiner):
        lines.append(f"  combined by {type(combiner).__name__}")
    cut = f"{threshold.value:.4f}"
    if isinstance(threshold, BandThreshold):
        cut = f"{threshold.low:.4f} to {threshold.high:.4f}, uncertain between,"
    lines.append(f"  threshold {cut} by {threshold.policy}, learned on n = {threshold.n}")
    if cascade is not None:
        names = [member.name for member in members]
        lines.append(f"  cascade: decisions changed {cascade.changed}")
        for stage, share in zip(cascade.stages, cascade.stopped, strict=True):
            asked = ", ".join(names[column] for column in stage.columns)
            lines.append(f"    stop after {asked}: {share}")
    lines.extend(f"  {line}" for line in _figures(origin.facts.get("figures") or {}))
    if origin.card is not None:
        lines.extend(f"  {line}" for line in as_lines_of_card(origin.card))
    if created := origin.facts.get("created"):
        lines.append(f"  trained {created} on data {_short_hash(origin.facts['training_data'])}")
    return "\n".join(map(_printable, lines))


def _figures(figures: Mapping[str, Any]) -> list[str]:
    """The figures as lines; they are free JSON, so a stranger's may be anything."""
    try:
        return as_lines(figures)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        return ["its figures are not in the form that this version writes"]


def _printable(line: str) -> str:
    """Escape what a stranger's bundle could do to a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _short_hash(training_data: Mapping[str, Any]) -> str:
    return str(training_data.get("manifest_sha256") or "")[:12] or "without a manifest"
