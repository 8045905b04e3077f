"""Member cards as one HTML page: tables, the ROC curves together, a confusion matrix each."""

from collections.abc import Sequence

import numpy as np

from synthdetect.evaluation import displays
from synthdetect.evaluation.members import MemberCard
from synthdetect.evaluation.members_text import headings, tables
from synthdetect.evaluation.page import gallery, opening, page, picture, titled


def as_html(cards: Sequence[MemberCard], *, title: str = "Members compared") -> str:
    """Return cards as one HTML page.

    Parameters
    ----------
    cards : sequence of MemberCard
        At least one, as `synthdetect.evaluation.members.against_best` returns them.
    title : str

    Returns
    -------
    html : str

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    first, *others = headings(cards)
    parts = [
        *opening(title, first, others),
        *titled(tables(cards)),
        *gallery("Pictures", _pictures(cards)),
    ]
    return page(title, parts)


def _pictures(cards: Sequence[MemberCard]) -> list[str]:
    curves = {c.name: c.evaluation for c in cards if not np.isnan(c.evaluation.auroc.value)}
    parts = []
    if curves:
        caption = (
            "Synthetic images found against photographs flagged, over all thresholds. The nearer "
            "to the upper left corner, the better."
        )
        parts.append(picture(lambda ax: displays.roc_curves(curves, ax), "ROC curves", caption))
    caption = "Rows are what the images are, columns what was decided."
    return parts + [
        picture(card.evaluation.plot_confusion, f"Decisions of {card.name}", caption)
        for card in cards
    ]
