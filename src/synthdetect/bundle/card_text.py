"""A model card as lines of text, and with the rest of its manifest as a Markdown page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthdetect.bundle.manifest import Manifest
from synthdetect.bundle.model_card import (
    ACCURACY,
    ALL_IMAGES,
    AUROC,
    ECE,
    LEFT_OUT,
    MOST_TIMES_OVERALL,
    OVERALL,
    PAIR,
    PERTURBATION,
    RESHIPPING,
    CardRow,
    Disparity,
    ModelCard,
)
from synthdetect.evaluation.interval import Estimate
from synthdetect.evaluation.text import markdown_escape, markdown_table, number, rate_cell

# Ratios are told in per cent, areas and errors of probabilities are not.
_PLAIN = (AUROC, ECE)
# So many perturbations are told in text; the page has all of them.
_WORST = 5

_TITLES = {
    OVERALL: "All images",
    PAIR: "Pairs of sources that share crop, size and history",
    LEFT_OUT: "Sources that it has not learned from",
    PERTURBATION: "Under perturbations",
    RESHIPPING: "Decisions that flip when an image is shipped again",
}


def as_lines(card: ModelCard) -> list[str]:
    """Return a card as lines of text.

    Parameters
    ----------
    card : ModelCard

    Returns
    -------
    lines : list of str
        Of perturbations, only those with the lowest accuracy are told.
    """
    lines = ["model card", f"  intended use: {card.intended_use}"]
    for title, texts in (("not for", card.not_for), ("known failures", card.known_failures)):
        if texts:
            lines += [f"  {title}:", *(f"    - {text}" for text in texts)]
    if card.training_cost:
        lines.append(f"  training: {card.training_cost}")
    lines += [f"  measured at threshold {card.threshold:.4f}, with 95 % intervals:"]
    if card.stale:
        lines.append(f"    ({card.stale})")
    lines += [f"    ! {line}" for line in attention(card)]
    for group in card.groups():
        table = _Table.of(card, group)
        shown = table.worst(_WORST) if group == PERTURBATION else table.names
        left = len(table.names) - len(shown)
        more = f", the {len(shown)} with the lowest accuracy of {len(table.names)}" if left else ""
        lines.append(f"    {group}{more}")
        lines += [f"      {line}" for name in shown for line in table.told(name)]
    return lines


def attention(card: ModelCard) -> list[str]:
    """Return what figures by group say that nobody should have to notice, in sentences.

    Parameters
    ----------
    card : ModelCard

    Returns
    -------
    lines : list of str
        Groups with far more false positives than all images have, and columns of the data in which
        no real image was measured.
    """
    lines = [_told(one) for one in card.disparities()]
    lines += [
        f"{group}: no real image that was measured has one, so false positive rates by {group} are "
        "not known"
        for group in card.without_false_positives()
    ]
    return lines


def as_markdown(manifest: Manifest) -> str:
    """Return the page of a bundle with a card.

    Parameters
    ----------
    manifest : Manifest

    Returns
    -------
    markdown : str

    Raises
    ------
    ValueError
        If it has no card.
    """
    card = manifest.card
    if card is None:
        raise ValueError(f"{manifest.name} has no model card; make one first")
    lines = [f"# Model card of {markdown_escape(manifest.name)}", "", _details(manifest), ""]
    lines += ["## Intended use", "", markdown_escape(card.intended_use), ""]
    for title, texts in (("Not for", card.not_for), ("Known failures", card.known_failures)):
        if texts:
            lines += [f"## {title}", "", *(f"- {markdown_escape(text)}" for text in texts), ""]
    lines += list(_training(manifest, card))
    lines += ["## How it measured", ""]
    lines += [
        f"At the threshold {card.threshold:.4f}. Each figure has its 95 % interval in brackets.",
        "",
    ]
    lines += [f"**{markdown_escape(card.stale)}**", ""] if card.stale else []
    lines += list(_attention(card))
    for group in card.groups():
        table = _Table.of(card, group)
        title = _TITLES.get(group, f"By {group}")
        lines += [f"### {markdown_escape(title)}", ""]
        if note := card.notes.get(group):
            lines += [markdown_escape(note), ""]
        lines += [*table.markdown(), ""]
    return "\n".join(lines).rstrip() + "\n"


@dataclass(frozen=True)
class _Table:
    """The rows of one group: a line for each name, a column for each measure."""

    group: str
    names: tuple[str, ...]
    measures: tuple[str, ...]
    rows: Mapping[tuple[str, str], CardRow]

    @classmethod
    def of(cls, card: ModelCard, group: str) -> "_Table":
        rows = [row for row in card.rows if row.group == group]
        return cls(
            group,
            tuple(dict.fromkeys(row.name for row in rows)),
            tuple(dict.fromkeys(row.measure for row in rows)),
            {(row.name, row.measure): row for row in rows},
        )

    def worst(self, n: int) -> tuple[str, ...]:
        """The names with the lowest accuracy."""

        def accuracy(name: str) -> float:
            row = self.rows.get((name, ACCURACY))
            return 1.0 if row is None or row.value is None else row.value

        return tuple(sorted(self.names, key=accuracy)[:n])

    def told(self, name: str) -> Iterator[str]:
        """One line for all images' figures each, one for those of a part together."""
        cells = [
            f"{measure} {_cell(row)}, n = {row.n}"
            for measure in self.measures
            if (row := self.rows.get((name, measure))) is not None
        ]
        if name == ALL_IMAGES:
            yield from cells
        else:
            yield f"{name}: {'; '.join(cells)}"

    def markdown(self) -> Iterator[str]:
        if self.names == (ALL_IMAGES,):
            # One line of many columns is read better as many lines.
            cells = [(measure, self._cell(ALL_IMAGES, measure)) for measure in self.measures]
            yield from markdown_table([("measure", "figure"), *cells])
            return
        cells_of = [
            (name, *(self._cell(name, measure) for measure in self.measures)) for name in self.names
        ]
        yield from markdown_table([(self.group, *self.measures), *cells_of])

    def _cell(self, name: str, measure: str) -> str:
        row = self.rows.get((name, measure))
        return "–" if row is None else f"{_cell(row)}, n = {row.n}"


def _details(manifest: Manifest) -> str:
    members = ", ".join(f"{member.name} ({member.kind})" for member in manifest.members)
    when = f", made {manifest.created}" if manifest.created else ""
    return markdown_escape(
        f"Version {manifest.name}{when}; licence {manifest.license}. Members: {members}."
    )


def _training(manifest: Manifest, card: ModelCard) -> Iterator[str]:
    yield from ("## Training data", "")
    told = manifest.training_data
    if digest := told.get("manifest_sha256"):
        yield from (f"Manifest with SHA-256 `{markdown_escape(str(digest)[:64])}`.", "")
    rows = _counts(told.get("counts"))
    if rows:
        yield from (*markdown_table([("split or source", "real", "synthetic"), *rows]), "")
    else:
        yield from ("Not told.", "")
    if card.training_cost:
        yield from ("## Time and energy", "", markdown_escape(card.training_cost), "")


def _counts(counts: object) -> Sequence[tuple[str, str, str]]:
    """The counts of a manifest's free JSON, which may be anything in a stranger's."""
    if not isinstance(counts, Mapping):
        return ()
    return [
        (name, _count(row.get("real")), _count(row.get("synthetic")))
        for name, row in counts.items()
        if isinstance(row, Mapping)
    ]


def _count(value: Any) -> str:
    return str(value) if type(value) is int else "–"


def _attention(card: ModelCard) -> Iterator[str]:
    limit = f"{MOST_TIMES_OVERALL:g} times the overall false positive rate"
    lines = attention(card)
    if not card.disparities():
        lines.insert(0, f"no group that was measured is over {limit}")
    yield from ("### Look at this first", "", *(f"- {markdown_escape(line)}" for line in lines), "")


def _told(one: Disparity) -> str:
    beyond = (
        "the whole interval is above that limit"
        if one.certain
        else "the interval begins below that limit, so chance is not excluded"
    )
    return (
        f"{one.row.group} {one.row.name}: false positive rate {_cell(one.row)}, n = {one.row.n}, "
        f"which is {number(one.times, '.1f')} times the overall {_cell(one.overall)} and so over "
        f"{MOST_TIMES_OVERALL:g} times; {beyond}"
    )


def _cell(row: CardRow) -> str:
    nan = float("nan")
    value, low, high = (nan if x is None else x for x in (row.value, row.low, row.high))
    spec = ".4f" if row.measure in _PLAIN else ".1%"
    if row.low is None:
        return number(value, spec)
    return rate_cell(Estimate(value, low, high, row.n), spec)
