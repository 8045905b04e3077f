"""What a detector makes of a source that it never learned from: values and their table."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from synthdetect.evaluation.interval import Estimate, Rate, json_ready
from synthdetect.evaluation.text import columns, markdown_table, rate_cell

_HEADER = (
    "left out",
    "class",
    "n",
    "other class, n",
    "detector",
    "AUROC",
    "error at what was left out",
    "error at the other class",
)


@dataclass(frozen=True)
class LeftOutFigures:
    """How one detector, a member or the ensemble, did on what it had not learned from.

    Parameters
    ----------
    name : str
        Of the member, or `ensemble`.
    threshold : float
        On its probability, learned without what was left out.
    auroc : Estimate
        What was left out against the other class.
    error : Rate
        Wrong decisions on what was left out: a false negative rate if that is synthetic, a false
        positive rate if it is real.
    error_against : Rate
        Wrong decisions on the images of the other class; NaN where both were left out.
    """

    name: str
    threshold: float
    auroc: Estimate
    error: Rate
    error_against: Rate


@dataclass(frozen=True)
class LeftOut:
    """One value that was left out of training, such as a source.

    Parameters
    ----------
    value : str
    n_real, n_synthetic : int
        Its images, all of them measured.
    n_against : int
        Held-out images of the class that it lacks; 0 if it has both.
    figures : tuple of LeftOutFigures
    """

    value: str
    n_real: int
    n_synthetic: int
    n_against: int
    figures: tuple[LeftOutFigures, ...]

    @property
    def class_name(self) -> str:
        """The class of its images: `real`, `synthetic` or `both`."""
        if self.n_real and self.n_synthetic:
            return "both"
        return "real" if self.n_real else "synthetic"

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, as JSON takes it."""
        return dict(json_ready(asdict(self)))

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "LeftOut":
        """Read what `to_dict` gave.

        Raises
        ------
        KeyError, TypeError
            If it is something else.
        """
        rows = tuple(
            LeftOutFigures(
                name=row["name"],
                threshold=row["threshold"],
                auroc=Estimate(**_numbers(row["auroc"])),
                error=Rate(**_numbers(row["error"])),
                error_against=Rate(**_numbers(row["error_against"])),
            )
            for row in description["figures"]
        )
        return cls(**{**description, "figures": rows})


@dataclass(frozen=True)
class LeaveOneOut:
    """All values of a column, each left out once.

    Parameters
    ----------
    by : str
        The column.
    folds : tuple of LeftOut
    """

    by: str
    folds: tuple[LeftOut, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self._told()}", *columns([_HEADER, *self._cells()])]) + "\n"

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        return "\n".join([self._told(), "", *markdown_table([_HEADER, *self._cells()])]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return every figure as JSON takes it, NaN as None."""
        return {"by": self.by, "folds": [fold.to_dict() for fold in self.folds]}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "LeaveOneOut":
        """Read what `to_dict` gave.

        Raises
        ------
        KeyError, TypeError
            If it is something else.
        """
        return cls(description["by"], tuple(map(LeftOut.from_dict, description["folds"])))

    def _told(self) -> str:
        return (
            f"Trained without each {self.by} in turn, then measured on all of its images against "
            "held-out images of the other class; 95 % intervals."
        )

    def _cells(self) -> Iterator[tuple[str, ...]]:
        for fold in self.folds:
            for row in fold.figures:
                yield (
                    fold.value,
                    fold.class_name,
                    str(fold.n_real + fold.n_synthetic),
                    str(fold.n_against),
                    row.name,
                    rate_cell(row.auroc, ".4f"),
                    rate_cell(row.error),
                    rate_cell(row.error_against),
                )


def _numbers(description: Mapping[str, Any]) -> dict[str, Any]:
    """Turn None, JSON's NaN, back."""
    return {key: float("nan") if one is None else one for key, one in description.items()}
