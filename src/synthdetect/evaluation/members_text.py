"""Member cards as text, Markdown and CSV; the tables and their words are those of the page too."""

import csv
import io
from collections.abc import Iterator, Sequence
from math import isnan

from synthdetect.evaluation.interval import Estimate
from synthdetect.evaluation.members import MemberCard, select
from synthdetect.evaluation.table import Table
from synthdetect.evaluation.text import (
    columns,
    heading,
    markdown_escape,
    markdown_table,
    p_text,
    rate_cell,
)


def tables(cards: Sequence[MemberCard]) -> tuple[Table, ...]:
    """Return what there is to tell of cards, most important first.

    Parameters
    ----------
    cards : sequence of MemberCard
        As `synthdetect.evaluation.members.against_best` returns them.

    Returns
    -------
    tables : tuple of Table
        Those that would be empty are left out.
    """
    made = (_whole(cards), _by_class(cards), _sources(cards), _pairs(cards), _costs(cards))
    return tuple(table for table in made if table.rows)


def selection_line(cards: Sequence[MemberCard]) -> str:
    """Say who reaches the study's 0.85 of precision and recall in both classes."""
    chosen = [card.name for card in select(cards)]
    surely = [card.name for card in select(cards, by="low")]
    return (
        f"At least 85 % precision and recall in both classes: {', '.join(chosen) or 'none'}; "
        f"with the lower ends of the intervals too: {', '.join(surely) or 'none'}"
    )


def headings(cards: Sequence[MemberCard]) -> list[str]:
    """Return n and confidence, the note of the images, and the selection, one a line."""
    one = cards[0].evaluation
    # The threshold is each card's own.
    told = ", ".join(part for part in heading(one).split(", ") if "threshold" not in part)
    return [told, *([one.note] if one.note else []), selection_line(cards)]


def as_text(cards: Sequence[MemberCard]) -> str:
    """Return cards as text of fixed width.

    Parameters
    ----------
    cards : sequence of MemberCard
        At least one, as `synthdetect.evaluation.members.against_best` returns them.

    Returns
    -------
    text : str
    """
    lines = [*headings(cards), ""]
    for table in tables(cards):
        lines += [table.title, *columns([table.header, *table.rows])]
        lines += [f"  ({table.note})"] if table.note else []
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def as_markdown(cards: Sequence[MemberCard]) -> str:
    """Return cards as Markdown; parameters as `as_text`."""
    first, *others = headings(cards)
    lines = ["# Members compared", "", first, ""]
    for other in others:
        lines += [markdown_escape(other), ""]
    for table in tables(cards):
        lines += [f"## {table.title}", "", *markdown_table([table.header, *table.rows]), ""]
        lines += [table.note, ""] if table.note else []
    return "\n".join(lines).rstrip() + "\n"


def as_csv(cards: Sequence[MemberCard]) -> str:
    """Return cards as CSV, one row a card; each figure with `_low`, `_high` and `_n`.

    Parameters
    ----------
    cards : sequence of MemberCard
        At least one. Their sources and pairs are columns of their own.

    Returns
    -------
    text : str
        What is not defined is empty.
    """
    rows = [dict(_plain(card)) for card in cards]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _whole(cards: Sequence[MemberCard]) -> Table:
    rows = []
    for card in cards:
        one, test = card.evaluation, card.against_best
        rows.append(
            (
                card.name,
                rate_cell(one.accuracy),
                rate_cell(one.auroc, ".4f"),
                rate_cell(one.average_precision, ".4f"),
                rate_cell(one.false_positive_rate),
                rate_cell(one.false_negative_rate),
                "most accurate"
                if test is None
                else f"p {p_text(test.p_value)} ({test.n_only_a} : {test.n_only_b})",
            )
        )
    return Table(
        "All images",
        "McNemar's exact test compares decisions with those of the most accurate member; in "
        "brackets, the images that only the one and only the other judged rightly. p-values are "
        "not adjusted for their number.",
        (
            "member",
            "accuracy",
            "AUROC",
            "average precision",
            "real flagged (FPR)",
            "synthetic missed (FNR)",
            "McNemar against the best",
        ),
        tuple(rows),
    )


def _by_class(cards: Sequence[MemberCard]) -> Table:
    rows = tuple(
        (
            card.name,
            name,
            rate_cell(one.precision),
            rate_cell(one.recall),
            rate_cell(one.f1, ".3f"),
            f"{one.support}",
        )
        for card in cards
        for name, one in (("real", card.evaluation.real), ("synthetic", card.evaluation.synthetic))
    )
    return Table("By class", "", ("member", "class", "precision", "recall", "F1", "support"), rows)


def _sources(cards: Sequence[MemberCard]) -> Table:
    errors = [card.error_at_sources() for card in cards]
    rows = tuple(
        (name, f"{one.n}", *(rate_cell(error[name]) for error in errors))
        for name, one in errors[0].items()
    )
    header = ("source", "n", *(card.name for card in cards))
    return Table("Wrong decisions at each source", "", header, rows)


def _pairs(cards: Sequence[MemberCard]) -> Table:
    rows = tuple(
        (
            pair,
            f"{one.n}",
            card.name,
            rate_cell(one.accuracy),
            rate_cell(one.auroc, ".4f"),
            rate_cell(one.false_positive_rate),
            rate_cell(one.false_negative_rate),
        )
        for pair in cards[0].pairs
        for card in cards
        for one in (card.pairs[pair],)
    )
    header = ("pair", "n", "member", "accuracy", "AUROC", "FPR", "FNR")
    note = "Both sources of a pair share crop, size and history: the honest measure of detection."
    return Table("On pairs of a real and a synthetic source", note, header, rows)


def _costs(cards: Sequence[MemberCard]) -> Table:
    rows = tuple(
        (
            card.name,
            card.kind,
            f"{card.n_parameters:,}",
            f"{card.size_bytes / 1e6:.2f} MB",
            f"{card.ms_per_image:.1f}",
            f"{card.evaluation.threshold:.4f}",
            card.threshold_from,
        )
        for card in cards
    )
    return Table(
        "What each is, and costs",
        "Milliseconds are the median over batches of 16 images on this machine, float32, without "
        "decoding. An ensemble has those of its members together.",
        (
            "member",
            "kind",
            "parameters",
            "on disk",
            "ms an image",
            "threshold",
            "probability and threshold",
        ),
        rows,
    )


def _plain(card: MemberCard) -> Iterator[tuple[str, object]]:
    one, test = card.evaluation, card.against_best
    yield from (("member", card.name), ("kind", card.kind), ("parameters", card.n_parameters))
    yield from (("bytes", card.size_bytes), ("ms_per_image", card.ms_per_image))
    yield from (("threshold", one.threshold), ("threshold_from", card.threshold_from))
    figures: dict[str, Estimate] = {
        name: getattr(one, name)
        for name in (
            "accuracy",
            "auroc",
            "average_precision",
            "false_positive_rate",
            "false_negative_rate",
        )
    }
    for name, of in (("real", one.real), ("synthetic", one.synthetic)):
        figures |= {f"{k}_{name}": getattr(of, k) for k in ("precision", "recall", "f1")}
    figures |= {f"error at {name}": error for name, error in card.error_at_sources().items()}
    for pair, on in card.pairs.items():
        figures |= {f"accuracy on {pair}": on.accuracy, f"auroc on {pair}": on.auroc}
    for name, figure in figures.items():
        yield name, "" if isnan(figure.value) else figure.value
        yield from ((f"{name}_low", figure.low), (f"{name}_high", figure.high))
        yield f"{name}_n", figure.n
    yield "mcnemar_p_against_best", "" if test is None else test.p_value
