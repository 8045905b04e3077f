"""An `Explanation` in words, for a terminal and for the page."""

from typing import TYPE_CHECKING

import numpy as np

from synthdetect.evaluation.text import columns

if TYPE_CHECKING:
    from synthdetect.evaluation.placement import Placement
    from synthdetect.explanation.explain import Explanation

HEADER = ("member", "logit", "weight", "adds", "rank among labelled images")
NO_PROOF = (
    "A map or a rank tells what the detector reacts to, not what is true: never take it as the "
    "only evidence against a person."
)


def as_text(explanation: "Explanation") -> str:
    """Return the explanation as lines of text."""
    one = explanation
    lines = [
        headline(one),
        *([in_turn_line(one)] if one.in_turn else []),
        "",
        *columns([HEADER, *member_rows(one)]),
        "",
        sum_line(one),
    ]
    lines += [rank_line(one), "", seen_line(one)]
    lines += [patch_line(one)] if one.patches is not None else []
    lines += [occlusion_line(one)] if one.occlusion is not None else []
    lines += [f"Spectrum: {one.spectrum.verdict}.", ""]
    if one.evidence is not None:
        lines += ["What the file says of itself (no part of the probability):", str(one.evidence)]
        lines += [""]
    return "\n".join([*lines, NO_PROOF])


def headline(one: "Explanation") -> str:
    """The verdict in one line."""
    return (
        f"{one.name}: {one.decision}, P(synthetic) {one.p:.4f}, "
        f"threshold {one.threshold:.4f}, by {one.detector}"
    )


def in_turn_line(one: "Explanation") -> str:
    """What the detector answers that asks its members in turn."""
    if one.in_turn is None:
        return ""
    return (
        "That is by all members. Asked in turn (mode 'cascade'), the detector asks "
        f"{', '.join(one.in_turn.members)} and says {one.in_turn.decision}, P(synthetic) "
        f"{one.in_turn.p:.4f}."
    )


def member_rows(one: "Explanation") -> list[tuple[str, ...]]:
    """A row for each member, of the columns of `HEADER`."""
    return [
        (
            member.name,
            "did not look" if np.isnan(member.logit) else f"{member.logit:+.3f}",
            "" if member.weight is None else f"{member.weight:.3f}",
            f"{member.adds:+.3f}",
            ranked(member.placement),
        )
        for member in one.members
    ]


def ranked(placement: "Placement | None") -> str:
    """Where a score lies, in words."""
    if placement is None:
        return ""
    real, synthetic = placement.real, placement.synthetic
    return (
        f"not below {real.value:.0%} of {real.n:,} real [{real.low:.0%}, {real.high:.0%}], "
        f"{synthetic.value:.0%} of {synthetic.n:,} synthetic "
        f"[{synthetic.low:.0%}, {synthetic.high:.0%}]"
    )


def sum_line(one: "Explanation") -> str:
    """How the members' parts make the combined logit."""
    return (
        f"{one.start:.3f} and what the members add make the combined logit {one.logit:+.3f} "
        f"({one.method}); calibrated, that is P(synthetic) {one.p:.4f}."
    )


def rank_line(one: "Explanation") -> str:
    """Where the combined logit lies, or why that is not known."""
    if one.placement is None:
        return one.scores_on
    return f"Together: {ranked(one.placement)} ({one.scores_on})."


def seen_line(one: "Explanation") -> str:
    """How much of the image the verdict rests on."""
    top, left, bottom, right = one.seen
    share = (bottom - top) * (right - left) / (one.width * one.height)
    return (
        f"The verdict rests on {share:.0%} of the {one.width} x {one.height} pixels: rows {top} to "
        f"{bottom}, columns {left} to {right}."
    )


def patch_line(one: "Explanation") -> str:
    """What the map of patches shows."""
    if one.patches is None:
        return ""
    p = one.patches.p
    top, left, bottom, right = one.patches.highest
    return (
        f"Patches of {one.patches.size} px judged alone: P(synthetic) {np.nanmin(p):.3f} to "
        f"{np.nanmax(p):.3f}, median {np.nanmedian(p):.3f}; highest in rows {top} to {bottom}, "
        f"columns {left} to {right}."
    )


def occlusion_line(one: "Explanation") -> str:
    """What the occlusion shows."""
    if one.occlusion is None:
        return ""
    drop = one.occlusion.drop
    return (
        f"Erasing the grain of one cell of {len(drop)} x {len(drop)} moves the combined logit by "
        f"{-drop.max():+.3f} to {-drop.min():+.3f}."
    )
