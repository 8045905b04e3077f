"""What to be told of: rules over the figures of a report, in Python or in TOML."""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from synthdetect.errors import DataError
from synthdetect.evaluation.interval import Estimate
from synthdetect.monitoring.drift import Drift
from synthdetect.monitoring.report import MonitorReport, WindowReport
from synthdetect.monitoring.windows import Window

DRIFT_FIGURES = ("psi", "jensen-shannon", "wasserstein", "ks")
EVIDENCE = "evidence"
# Of a window's drift, after the adjustment over all its tests.
_SIGNIFICANT = 0.01


def _of(part: str, figure: str) -> Callable[[WindowReport], Estimate | None]:
    """Return what takes a figure from a part of a window that may not be there."""

    def take(window: WindowReport) -> Estimate | None:
        one = getattr(window, part)
        return None if one is None else getattr(one, figure)

    return take


def _volume(window: WindowReport) -> Estimate:
    return Estimate(window.n, window.n, window.n, window.n)


_BY_P, _BY_LABEL = "by the probabilities alone", "counted on labelled images"

# Figures of a window with their intervals, and what they are.
FIGURES: dict[str, tuple[Callable[[WindowReport], Estimate | None], str]] = {
    "images": (_volume, "images recorded, unreadable ones included"),
    "flagged": (lambda w: w.flagged, "share of the readable images that was called synthetic"),
    "uncertain": (lambda w: w.uncertain, "share of the readable images in a threshold's band"),
    "unreadable": (lambda w: w.unreadable, "share of the images that could not be read"),
    "prevalence": (lambda w: w.prevalence, "estimated share of synthetic images"),
    "expected-accuracy": (_of("expected", "accuracy"), f"right decisions, {_BY_P}"),
    "expected-precision": (_of("expected", "precision"), f"alarms that are right, {_BY_P}"),
    "expected-recall": (_of("expected", "recall"), f"synthetic images found, {_BY_P}"),
    "accuracy": (_of("labelled", "accuracy"), f"right decisions, {_BY_LABEL}"),
    "precision": (_of("labelled", "precision"), f"alarms that are right, {_BY_LABEL}"),
    "recall": (_of("labelled", "recall"), f"synthetic images found, {_BY_LABEL}"),
    "false-positive-rate": (
        _of("labelled", "false_positive_rate"),
        f"real images called synthetic, {_BY_LABEL}",
    ),
}
_NAMES = (*FIGURES, *DRIFT_FIGURES, EVIDENCE)


@dataclass(frozen=True)
class Rule:
    """When to raise an alert.

    Parameters
    ----------
    figure : str
        A figure of the newest window (`flagged`, `precision`, ...), a distance of its drift (`psi`,
        `jensen-shannon`, `wasserstein`, `ks`), or `evidence`, the sequential test.
    above, below : float, optional
        One of the two. A figure with an interval must be surely there: the whole interval is. A
        distance must be above, and its test significant at 0.01 after adjustment. `evidence` has
        its own limit and takes neither.
    quantity : str, optional
        Of drift and evidence, such as `score`; by default any.
    name : str, optional
        By default made of the rest.
    fewest : int, default=100
        Nothing is said of fewer images (but for `images`).

    Raises
    ------
    DataError
        If a field is not as above.
    """

    figure: str
    above: float | None = None
    below: float | None = None
    quantity: str | None = None
    name: str = ""
    fewest: int = 100

    def __post_init__(self) -> None:
        owner = f"rule {self.name or self.figure!r}"
        if self.figure not in _NAMES:
            raise DataError(f"{owner}: figure is {self.figure!r}; use one of {list(_NAMES)}")
        limits = [x for x in (self.above, self.below) if x is not None]
        if any(isinstance(x, bool) or not isinstance(x, int | float) for x in limits):
            raise DataError(f"{owner}: above and below are numbers")
        if len(limits) != (self.figure != EVIDENCE):
            raise DataError(f"{owner}: give one of above and below, and neither for evidence")
        if self.figure in DRIFT_FIGURES and self.above is None:
            raise DataError(f"{owner}: a distance may be above something, not below")
        if self.quantity is not None and self.figure in FIGURES:
            raise DataError(f"{owner}: quantity belongs to drift and evidence; leave it out")
        if type(self.fewest) is not int or self.fewest < 0:
            raise DataError(f"{owner}: fewest is {self.fewest!r}; use a number of images")
        if not self.name:
            limit = f" above {self.above}" if self.above is not None else f" below {self.below}"
            of = f" of {self.quantity}" if self.quantity else ""
            text = f"{self.figure}{of}{'' if self.figure == EVIDENCE else limit}"
            object.__setattr__(self, "name", text)


@dataclass(frozen=True)
class Fired:
    """A rule that holds.

    Parameters
    ----------
    rule, subject : str
        Its name, and the quantity or figure that it holds for.
    message : str
    """

    rule: str
    subject: str
    message: str


@dataclass(frozen=True)
class Rules:
    """Rules, the window that they look at, and who is told.

    Parameters
    ----------
    rules : tuple of Rule
    window : str, default="1d"
        As `synthdetect.monitoring.windows.Window.of` reads it.
    repeat_after : str, default="1d"
        A time: the same rule is told of the same thing at most this often.
    webhooks : tuple of str
        URLs, http or https, that get a POST with JSON.

    Raises
    ------
    DataError
        If one is not as above.
    """

    rules: tuple[Rule, ...]
    window: str = "1d"
    repeat_after: str = "1d"
    webhooks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        Window.of(self.window)
        if Window.of(self.repeat_after).seconds is None:
            raise DataError(f"repeat_after is {self.repeat_after!r}; use a time such as '1d'")
        for url in self.webhooks:
            parts = urlsplit(url) if isinstance(url, str) else None
            if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
                raise DataError(f"webhook {url!r} is no http or https URL; give the whole address")


# What is worth a look anywhere. Rates and volumes depend on the place and are left to its owner.
DEFAULT_RULES = Rules((Rule(EVIDENCE), Rule("psi", above=0.25), Rule("unreadable", above=0.05)))


def read_rules(path: str | os.PathLike[str]) -> Rules:
    """Read rules from a TOML file.

    Parameters
    ----------
    path : path-like
        With the keys of `Rules`; each `[[rules]]` has those of `Rule`.

    Returns
    -------
    rules : Rules

    Raises
    ------
    DataError
        If it is no TOML, or a key or value is not as it must be.
    OSError
        If it cannot be read.
    """
    name = Path(path).name
    try:
        read = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: is not TOML ({error})") from error
    _check_keys(name, read, Rules)
    tables = read.pop("rules", None)
    if not isinstance(tables, list) or not tables:
        raise DataError(f"{name}: has no [[rules]]; add one")
    for table in tables:
        _check_keys(f"{name}: a rule", table, Rule)
    webhooks = read.pop("webhooks", [])
    if not isinstance(webhooks, list):
        raise DataError(f"{name}: webhooks is {webhooks!r}; use a list of URLs")
    try:
        return Rules(tuple(Rule(**table) for table in tables), webhooks=tuple(webhooks), **read)
    except (DataError, TypeError) as error:
        raise DataError(f"{name}: {error}") from error


def fired(rules: Rules, report: MonitorReport) -> list[Fired]:
    """Return the rules that hold for the newest window of a report."""
    return [one for rule in rules.rules for one in _fired(rule, report)]


def _fired(rule: Rule, report: MonitorReport) -> Iterator[Fired]:
    if rule.figure == EVIDENCE:
        for stream in report.alarms:
            if rule.quantity in (None, stream.quantity):
                yield Fired(
                    rule.name,
                    stream.quantity,
                    f"{stream.quantity} is no longer like the reference: with image "
                    f"{stream.alarm_n:,} since then the evidence passed its limit",
                )
        return
    if rule.figure in DRIFT_FIGURES:
        for one in report.newest.drift:
            value = _distance(rule.figure, one)
            if (
                rule.quantity in (None, one.quantity)
                and one.n >= rule.fewest
                and value > (rule.above or 0)
                and one.p_adjusted <= _SIGNIFICANT
            ):
                yield Fired(
                    rule.name,
                    one.quantity,
                    f"{one.quantity} drifted over {one.n:,} images: {rule.figure} {value:.3g}, "
                    f"above {rule.above:g} (median {one.median:.3g}, reference "
                    f"{one.reference_median:.3g})",
                )
        return
    figure = FIGURES[rule.figure][0](report.newest)
    if figure is None or (figure.n < rule.fewest and rule.figure != "images"):
        return
    if rule.above is not None and figure.low > rule.above:
        yield Fired(rule.name, rule.figure, f"{rule.figure} is {figure}, above {rule.above:g}")
    if rule.below is not None and figure.high < rule.below:
        yield Fired(rule.name, rule.figure, f"{rule.figure} is {figure}, below {rule.below:g}")


def _distance(figure: str, drift: Drift) -> float:
    values = {
        "psi": drift.psi,
        "jensen-shannon": drift.jensen_shannon,
        "wasserstein": drift.wasserstein,
        "ks": drift.statistic if drift.test == "KS" else np.nan,
    }
    return float(values[figure])


def _check_keys(owner: str, table: Any, kind: type) -> None:
    if not isinstance(table, Mapping):
        raise DataError(f"{owner}: is {table!r}; use a table")
    known = [field.name for field in fields(kind)]
    for key in table:
        if key not in known:
            raise DataError(f"{owner}: key {key!r} is not known; use some of {known}")
