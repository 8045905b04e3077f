"""A card for each member: what it costs and how it did, beside the others; and who is good enough.

The study that this package follows chose architectures of at least 0.85 precision and recall;
`select` is that rule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan

from synthdetect.errors import DataError
from synthdetect.evaluation.compare import McNemar, mcnemar
from synthdetect.evaluation.figures import Evaluation
from synthdetect.evaluation.interval import Rate
from synthdetect.evaluation.metrics import Figures

SOURCE = "source"


@dataclass(frozen=True, kw_only=True, eq=False)
class MemberCard:
    """A member, or an ensemble, with its figures on labelled images.

    Parameters
    ----------
    name : str
        Unique among cards, such as `ensemble-v1/spectral`.
    kind : str
        Key in `members.registry.KINDS`, or `ensemble`.
    n_parameters : int
        Numbers that it learned.
    size_bytes : int
        Of its files.
    ms_per_image : float
        On the machine that measured, without decoding.
    threshold_from : str
        Where its probability and its threshold come from.
    evaluation : Evaluation
        With the grouping `source`, where sources are known.
    pairs : mapping of str to Figures
        On pairs of a real and a synthetic source.
    against_best : McNemar, optional
        The card against the most accurate one; None of that one itself.
    """

    name: str
    kind: str
    n_parameters: int
    size_bytes: int
    ms_per_image: float
    threshold_from: str
    evaluation: Evaluation = field(repr=False)
    pairs: Mapping[str, Figures] = field(default_factory=dict, repr=False)
    against_best: McNemar | None = None

    def error_at_sources(self) -> dict[str, Rate]:
        """Return the share of wrong decisions at each source, by name."""
        grouping = self.evaluation.groupings.get(SOURCE)
        return {
            name: Rate(1 - one.accuracy.value, 1 - one.accuracy.high, 1 - one.accuracy.low, one.n)
            for name, one in (grouping.groups if grouping else {}).items()
        }


def select(
    cards: Sequence[MemberCard],
    *,
    min_precision: float = 0.85,
    min_recall: float = 0.85,
    by: str = "value",
) -> tuple[MemberCard, ...]:
    """Return the cards with enough precision and recall for both classes, best AUROC first.

    Parameters
    ----------
    cards : sequence of MemberCard
    min_precision, min_recall : float, default=0.85
        0 to 1.
    by : {"value", "low"}, default="value"
        What must reach them: the figures, or the lower ends of their intervals.

    Returns
    -------
    cards : tuple of MemberCard
        Empty if none is good enough. A figure that is not defined is not enough.

    Raises
    ------
    ValueError
        If a number is out of range or `by` is something else.
    """
    for name, least in (("min_precision", min_precision), ("min_recall", min_recall)):
        if not 0 <= least <= 1:
            raise ValueError(f"{name} is {least}; use a number from 0 to 1")
    if by not in ("value", "low"):
        raise ValueError(f"by is {by!r}; use 'value' or 'low'")

    def enough(card: MemberCard) -> bool:
        classes = (card.evaluation.real, card.evaluation.synthetic)
        return all(
            getattr(figure, by) >= least and figure.n > 0
            for one in classes
            for figure, least in ((one.precision, min_precision), (one.recall, min_recall))
        )

    return tuple(sorted(filter(enough, cards), key=_area, reverse=True))


def against_best(cards: Sequence[MemberCard]) -> tuple[MemberCard, ...]:
    """Return the cards, best AUROC first, each with McNemar's test against the most accurate one.

    Parameters
    ----------
    cards : sequence of MemberCard
        Of the same images; equal accuracies are decided by AUROC.

    Returns
    -------
    cards : tuple of MemberCard

    Raises
    ------
    DataError
        If there is no card, two share a name, or the images differ.
    """
    names = [card.name for card in cards]
    if not names:
        raise DataError("there is no member to compare; give at least one")
    if len(set(names)) < len(names):
        raise DataError(f"two members share a name in {names}; give each its own")
    best = max(cards, key=lambda card: (card.evaluation.accuracy.value, _area(card)))
    return tuple(
        replace(
            card,
            against_best=None if card is best else mcnemar(card.evaluation, best.evaluation),
        )
        for card in sorted(cards, key=_area, reverse=True)
    )


def _area(card: MemberCard) -> float:
    """The AUROC; with one class only, 0."""
    area = card.evaluation.auroc.value
    return 0.0 if isnan(area) else area
