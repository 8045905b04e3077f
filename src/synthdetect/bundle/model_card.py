"""The model card in a manifest: what a detector is for, what it is not, and how it measured.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, arXiv:1810.03993. Words are the
publisher's and hold no figures; figures are rows, each with its interval and its n, so that they
can be read, compared and checked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from synthdetect.bundle.entries import exact_keys, invalid, json_list, json_object
from synthdetect.errors import BundleError

ACCURACY, ERROR, AUROC, ECE = "accuracy", "error", "AUROC", "ECE"
FALSE_POSITIVES, TRUE_POSITIVES = "false positive rate", "true positive rate"
FALSE_NEGATIVES = "false negative rate"
FLIPS = "decisions that flip"

# Groups of rows that mean the same in every card; any other is a column of the data.
OVERALL, PAIR, LEFT_OUT = "overall", "pair", "left out"
PERTURBATION, RESHIPPING = "perturbation", "shipped again"
OWN_GROUPS = (OVERALL, PAIR, LEFT_OUT, PERTURBATION, RESHIPPING)
ALL_IMAGES = "all images"

# A group with more than so many times the overall false positive rate is named.
MOST_TIMES_OVERALL = 3.0

MAX_ROWS = 2000
MAX_TEXTS = 50
MAX_TEXT = 2000
MAX_NAME = 200


@dataclass(frozen=True)
class CardRow:
    """One figure.

    Parameters
    ----------
    group : str
        What splits the images: one of `OWN_GROUPS`, or a column such as `source` or `gender`.
    name : str
        Which part of them, such as the name of a source.
    measure : str
        Such as `false positive rate`.
    value : float or None
        -1 to 1; None where it is not defined.
    low, high : float or None
        The 95 % interval; None where there is none.
    n : int
        Images that it was measured on.

    Raises
    ------
    BundleError
        If a value is not as above.
    """

    group: str
    name: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    n: int

    def __post_init__(self) -> None:
        for part in ("group", "name", "measure"):
            _check_line(getattr(self, part), f"card: rows: {part}", MAX_NAME)
        where = f"card: rows: {self.group}, {self.name}, {self.measure}"
        for part in ("value", "low", "high"):
            _check_figure(getattr(self, part), f"{where}: {part}")
        if (self.low is None) != (self.high is None):
            raise invalid(f"{where}: low and high", [self.low, self.high], "both numbers, or null")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise invalid(f"{where}: low", self.low, f"at most high, {self.high}")
        if type(self.n) is not int or not 0 <= self.n < 2**53:
            raise invalid(f"{where}: n", self.n, "a number of images, 0 or more")


@dataclass(frozen=True)
class Disparity:
    """A group whose false positive rate is over `MOST_TIMES_OVERALL` times the overall one.

    Parameters
    ----------
    row, overall : CardRow
    times : float
        How many times; infinite where the overall rate is 0.
    certain : bool
        The lower end of the group's interval is over it as well.
    """

    row: CardRow
    overall: CardRow
    times: float
    certain: bool


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a publisher says of a detector, and how it measured.

    Parameters
    ----------
    intended_use : str
        One to `MAX_TEXT` printable characters, as all texts are.
    not_for, known_failures : tuple of str
        At most `MAX_TEXTS` each.
    training_cost : str
        Time and energy, as far as they are known; may be empty.
    threshold : float
        At which decisions were measured, 0 to 1.
    notes : mapping of str to str
        How the rows of a group were measured, by the group's name.
    rows : tuple of CardRow
        At most `MAX_ROWS`; no two of the same group, name and measure.
    stale : str
        What was changed since the rows were measured; empty if nothing was.

    Raises
    ------
    BundleError
        If a value is not as above.
    """

    intended_use: str
    not_for: tuple[str, ...]
    known_failures: tuple[str, ...]
    training_cost: str
    threshold: float
    notes: Mapping[str, str]
    rows: tuple[CardRow, ...]
    stale: str = ""

    def __post_init__(self) -> None:
        _check_line(self.intended_use, "card: intended_use", MAX_TEXT)
        for part in ("not_for", "known_failures"):
            texts = getattr(self, part)
            if not isinstance(texts, tuple) or len(texts) > MAX_TEXTS:
                raise invalid(f"card: {part}", texts, f"at most {MAX_TEXTS} texts")
            for i, text in enumerate(texts):
                _check_line(text, f"card: {part}[{i}]", MAX_TEXT)
        for part in ("training_cost", "stale"):
            _check_line(getattr(self, part), f"card: {part}", MAX_TEXT, or_empty=True)
        if type(self.threshold) not in (int, float) or not 0 <= self.threshold <= 1:
            raise invalid("card: threshold", self.threshold, "a number from 0 to 1")
        if len(json_object(self.notes, "card: notes")) > MAX_TEXTS:
            raise invalid("card: notes", len(self.notes), f"at most {MAX_TEXTS} texts")
        for group, text in self.notes.items():
            _check_line(group, "card: a key of notes", MAX_NAME)
            _check_line(text, f"card: notes: {group}", MAX_TEXT)
        _check_rows(self.rows)

    def groups(self) -> tuple[str, ...]:
        """Return the groups of rows, in the order in which they first stand."""
        return tuple(dict.fromkeys(row.group for row in self.rows))

    def figure(self, group: str, name: str, measure: str) -> CardRow | None:
        """Return a row; None if there is none of it."""
        wanted = (group, name, measure)
        return next((row for row in self.rows if _key(row) == wanted), None)

    def disparities(self) -> tuple[Disparity, ...]:
        """Return the groups of columns of the data whose false positive rate is far over all's."""
        overall = self.figure(OVERALL, ALL_IMAGES, FALSE_POSITIVES)
        if overall is None or overall.value is None:
            return ()
        limit = MOST_TIMES_OVERALL * overall.value
        return tuple(
            Disparity(
                row,
                overall,
                row.value / overall.value if overall.value else float("inf"),
                certain=row.low is not None and row.low > limit,
            )
            for row in self.rows
            if row.group not in OWN_GROUPS and row.measure == FALSE_POSITIVES
            if row.value is not None and row.value > limit
        )

    def without_false_positives(self) -> tuple[str, ...]:
        """Return the columns of the data whose groups have no real image that was measured."""
        measured = {row.group for row in self.rows if row.measure == FALSE_POSITIVES}
        return tuple(
            group for group in self.groups() if group not in OWN_GROUPS and group not in measured
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what `read_card` reads, as JSON takes it."""
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "not_for": list(self.not_for),
            "known_failures": list(self.known_failures),
            "notes": dict(self.notes),
            "rows": [asdict(row) for row in self.rows],
        }


def read_card(value: object) -> ModelCard:
    """Read and check the key `card` of a manifest.

    Parameters
    ----------
    value : object
        Parsed JSON.

    Returns
    -------
    card : ModelCard

    Raises
    ------
    BundleError
        If it is no card; the message names the key.
    """
    tree = exact_keys(json_object(value, "card"), [f.name for f in fields(ModelCard)], "card")
    for part in ("not_for", "known_failures"):
        tree[part] = tuple(json_list(tree[part], f"card: {part}"))
    rows = json_list(tree["rows"], "card: rows")
    if len(rows) > MAX_ROWS:
        raise invalid("card: rows", len(rows), f"at most {MAX_ROWS} rows")
    names = [field.name for field in fields(CardRow)]
    tree["rows"] = tuple(
        CardRow(**exact_keys(json_object(row, f"card: rows[{i}]"), names, f"card: rows[{i}]"))
        for i, row in enumerate(rows)
    )
    return ModelCard(**tree)


def _check_rows(rows: object) -> None:
    if not isinstance(rows, tuple) or len(rows) > MAX_ROWS:
        raise invalid("card: rows", rows, f"at most {MAX_ROWS} rows")
    if not all(isinstance(row, CardRow) for row in rows):
        raise invalid("card: rows", rows, "CardRow objects")
    if twice := _first_twice(_key(row) for row in rows):
        raise BundleError(f"manifest.json: card: rows has {ascii(twice)[:300]} twice; keep one")


def _key(row: CardRow) -> tuple[str, str, str]:
    return row.group, row.name, row.measure


def _first_twice(keys: Iterable[tuple[str, str, str]]) -> tuple[str, str, str] | None:
    seen: set[tuple[str, str, str]] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None


def _check_line(value: object, where: str, most: int, *, or_empty: bool = False) -> None:
    """Refuse all but one line of printable text: no terminal commands, no text that runs back."""
    empty_is_wrong = not or_empty and isinstance(value, str) and not value.strip()
    if not isinstance(value, str) or len(value) > most or not value.isprintable() or empty_is_wrong:
        least = 0 if or_empty else 1
        raise invalid(where, value, f"one line of {least} to {most} printable characters")


def _check_figure(value: object, where: str) -> None:
    if value is None:
        return
    if type(value) not in (int, float) or not -1 <= value <= 1:  # type: ignore[operator]
        raise invalid(where, value, "a number from -1 to 1, or null")
