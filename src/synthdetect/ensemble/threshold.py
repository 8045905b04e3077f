"""From a probability to a decision: one cut-off, or two with `uncertain` between.

Thresholds need numpy alone. Policies choose them: `policies.py`, `guarantee.py` and `band.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.ensemble.bounds import ExpectedRate
from synthdetect.ensemble.checks import (
    check_count,
    check_fields,
    check_number,
    check_numbers,
    check_text,
    check_vector,
)

REAL, SYNTHETIC, UNCERTAIN = "real", "synthetic", "uncertain"

_COUNTED = ("policy", "n_real", "n_synthetic")
_MOST_NOTES = 20


@dataclass(frozen=True)
class Threshold:
    """The cut-off on P(synthetic), what it was learned on and what to expect of it.

    Parameters
    ----------
    value : float
        0 to 1; an image with p >= value is called synthetic. With p strictly between 0 and 1,
        0.0 calls every image synthetic and 1.0 none.
    policy : str
        The policy that chose it, as text.
    n_real, n_synthetic : int
        Images of each class that it was learned on; 0 if on none.
    interval : tuple of float or None
        Where the value would lie for other images of the same kind: low and high end, 95 %, by a
        bootstrap that is stratified by class. None where it was not asked for, or nearly all
        replicates choose the same, which tells nothing.
    false_positive_rate, false_negative_rate : ExpectedRate or None
        Of the images that it was learned on.
    precision : ExpectedRate or None
        Share of synthetic images among those called so, at the policy's prevalence; None where no
        image is called synthetic.
    notes : tuple of str
        What to know before using it, such as too few images.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> Threshold(0.5, "Fixed(value=0.5)")([0.2, 0.5, 0.9])
    array([False,  True,  True])
    >>> Threshold(0.5, "Fixed(value=0.5)").decide([0.2, 0.5, 0.9]).tolist()
    ['real', 'synthetic', 'synthetic']
    """

    value: float
    policy: str
    n_real: int = 0
    n_synthetic: int = 0
    interval: tuple[float, float] | None = None
    false_positive_rate: ExpectedRate | None = None
    false_negative_rate: ExpectedRate | None = None
    precision: ExpectedRate | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_cut("value", self.value)
        _check_interval("interval", self.interval)
        for field in ("n_real", "n_synthetic"):
            check_count("threshold", field, getattr(self, field))

    @property
    def n(self) -> int:
        """Images that it was learned on."""
        return self.n_real + self.n_synthetic

    def __call__(self, p: ArrayLike) -> NDArray[np.bool_]:
        """Return where the decision is "synthetic".

        Parameters
        ----------
        p : array-like of shape (n,), float
            P(synthetic).

        Returns
        -------
        synthetic : ndarray of shape (n,), bool
            False for NaN too, which is no decision: mask such rows with `np.isnan(p)`.

        Raises
        ------
        DataError
            If `p` is not one number for each image.
        """
        return check_vector("p", p) >= self.value

    def decide(self, p: ArrayLike) -> NDArray[np.str_]:
        """Return `real` or `synthetic` for each probability, `uncertain` for NaN.

        Parameters and errors are those of a call.
        """
        return _labels(check_vector("p", p), self.value, self.value)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {"kind": "cutoff", **_described(self)}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Threshold":
        """Build a threshold from its description; what is optional may be left out.

        Raises
        ------
        ValueError
            If a field is missing, unknown or not of its kind; the message names it.
        """
        return cls(**_read(cls, description, "cutoff", ("value",)))


@dataclass(frozen=True)
class BandThreshold:
    """Two cut-offs on P(synthetic); between them the decision is `uncertain`.

    Parameters
    ----------
    low, high : float
        0 <= low <= high <= 1. An image with p >= high is called synthetic, one with p < low real.
    policy, n_real, n_synthetic, notes
        As in `Threshold`.
    low_interval, high_interval : tuple of float or None
        Of the two cut-offs, as `interval` in `Threshold`.
    false_positive_rate, false_negative_rate : ExpectedRate or None
        Share of real images that are called synthetic, and of synthetic ones that are called real.
    uncertain_real, uncertain_synthetic : ExpectedRate or None
        Share of each class in the band.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> BandThreshold(0.25, 0.75, "by hand").decide([0.1, 0.5, 0.75]).tolist()
    ['real', 'uncertain', 'synthetic']
    """

    low: float
    high: float
    policy: str
    n_real: int = 0
    n_synthetic: int = 0
    low_interval: tuple[float, float] | None = None
    high_interval: tuple[float, float] | None = None
    false_positive_rate: ExpectedRate | None = None
    false_negative_rate: ExpectedRate | None = None
    uncertain_real: ExpectedRate | None = None
    uncertain_synthetic: ExpectedRate | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_cut("low", self.low)
        _check_cut("high", self.high)
        if self.low > self.high:
            raise ValueError(f"threshold: low {self.low!r} is above high {self.high!r}; turn them")
        for field in ("low_interval", "high_interval"):
            _check_interval(field, getattr(self, field))
        for field in ("n_real", "n_synthetic"):
            check_count("threshold", field, getattr(self, field))

    @property
    def n(self) -> int:
        """Images that it was learned on."""
        return self.n_real + self.n_synthetic

    @property
    def value(self) -> float:
        """From here on images are called synthetic: the same as `high`."""
        return self.high

    def __call__(self, p: ArrayLike) -> NDArray[np.bool_]:
        """Return where the decision is "synthetic"; see `Threshold`."""
        return check_vector("p", p) >= self.high

    def decide(self, p: ArrayLike) -> NDArray[np.str_]:
        """Return `real`, `uncertain` or `synthetic` for each probability, `uncertain` for NaN.

        Parameters and errors are those of a call.
        """
        return _labels(check_vector("p", p), self.low, self.high)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        return {"kind": "band", **_described(self)}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "BandThreshold":
        """Build a band from its description; errors are those of `Threshold.from_dict`."""
        return cls(**_read(cls, description, "band", ("low", "high")))


AnyThreshold: TypeAlias = Threshold | BandThreshold

KINDS: dict[str, type[Threshold] | type[BandThreshold]] = {
    "cutoff": Threshold,
    "band": BandThreshold,
}


class Policy(Protocol):
    """What chooses a threshold."""

    def fit(self, y: ArrayLike, p: ArrayLike) -> AnyThreshold:
        """Choose from labels and probabilities, both of shape (n,)."""
        ...


def threshold_from_dict(description: Mapping[str, Any]) -> AnyThreshold:
    """Build a threshold of any kind from its description.

    Raises
    ------
    ValueError
        If the kind is unknown, or as `Threshold.from_dict`.
    """
    if not isinstance(description, Mapping):
        raise ValueError(f"threshold: {description!r} is not a mapping; use its description")
    kind = description.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"threshold: kind is {kind!r}; use one of {list(KINDS)}")
    return KINDS[kind].from_dict(description)


def _labels(p: NDArray[np.float64], low: float, high: float) -> NDArray[np.str_]:
    # Comparing NaN is always false, so it ends in `uncertain`.
    return np.where(p >= high, SYNTHETIC, np.where(p < low, REAL, UNCERTAIN))


def _check_cut(field: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"threshold: {field} is {value!r}; use a number from 0 to 1")


def _check_interval(field: str, interval: tuple[float, float] | None) -> None:
    if interval is not None and not 0 <= interval[0] <= interval[1] <= 1:
        raise ValueError(f"threshold: {field} is {interval!r}; use 0 <= low <= high <= 1")


def _described(threshold: AnyThreshold) -> dict[str, Any]:
    """Return the fields as JSON takes them, without those that are not set."""
    described = {}
    for field in fields(threshold):
        value = getattr(threshold, field.name)
        if isinstance(value, ExpectedRate):
            value = value.to_dict()
        elif isinstance(value, tuple):
            value = list(value) or None
        if value is not None:
            described[field.name] = value
    return described


def _read(
    cls: type[AnyThreshold], description: Mapping[str, Any], kind: str, cuts: tuple[str, ...]
) -> dict[str, Any]:
    """Return checked arguments of `cls`."""
    needed = ("kind", *cuts, *_COUNTED)
    optional = [field.name for field in fields(cls) if field.name not in needed]
    check_fields("threshold", description, needed, optional)
    if description["kind"] != kind:
        raise ValueError(f"threshold: kind is {description['kind']!r}; use {kind!r}")
    values: dict[str, Any] = {cut: check_number("threshold", cut, description[cut]) for cut in cuts}
    values["policy"] = check_text("threshold", "policy", description["policy"])
    values |= {field: description[field] for field in ("n_real", "n_synthetic")}
    for name in optional:
        if name not in description:
            continue
        value = description[name]
        if name == "notes":
            values[name] = _read_notes(value)
        elif name.endswith("interval"):
            ends = check_numbers("threshold", name, value, most=2)
            if len(ends) != 2:
                raise ValueError(f"threshold: {name} is {value!r}; use a list of two numbers")
            values[name] = ends
        else:
            values[name] = _read_rate(name, value)
    return values


def _read_notes(notes: object) -> tuple[str, ...]:
    if not isinstance(notes, list | tuple) or len(notes) > _MOST_NOTES:
        raise ValueError(f"threshold: notes is not a list of at most {_MOST_NOTES} texts")
    return tuple(check_text("threshold", f"notes[{i}]", note) for i, note in enumerate(notes))


def _read_rate(name: str, description: Any) -> ExpectedRate:
    try:
        return ExpectedRate.from_dict(description)
    except ValueError as error:
        raise ValueError(f"threshold: {name}: {error}") from error
