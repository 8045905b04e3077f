"""Where a score lies among those of labelled images: quantiles that a bundle keeps, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.data.dataset import CLASSES
from synthdetect.ensemble.combine import Combiner
from synthdetect.evaluation.interval import Rate, rate

ENSEMBLE = "ensemble"
# Every fiftieth, and the ends more finely: a verdict is explained most often where it is extreme.
LEVELS = tuple(np.unique(np.round([*np.linspace(0, 1, 51), 0.005, 0.01, 0.99, 0.995], 3)).tolist())


@dataclass(frozen=True)
class Placement:
    """How one score compares with those of labelled images.

    Parameters
    ----------
    real, synthetic : Rate
        Share of the real and of the synthetic images whose score is not above this one, with its
        interval. Shares are read off stored quantiles, so they are exact to about 1 %.
    """

    real: Rate
    synthetic: Rate

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return asdict(self)


def score_quantiles(
    logits: ArrayLike, y: ArrayLike, combiner: Combiner, names: Sequence[str], *, on: str
) -> dict[str, Any]:
    """Return quantiles of the members' logits and of the combined one, by class, for a manifest.

    Parameters
    ----------
    logits : array-like of shape (n, members), float
        Finite.
    y : array-like of shape (n,), int
        1 = synthetic; both classes.
    combiner : Combiner
    names : sequence of str
        Of the members.
    on : str
        What the images are; shown with every placement.

    Returns
    -------
    scores : dict
        JSON-ready: `on`, `levels`, and `scores` from each member's name, and `ensemble`, to each
        class's `n` and `quantiles`.
    """
    columns, labels = np.asarray(logits, np.float64), np.asarray(y)
    named = {name: columns[:, j] for j, name in enumerate(names)}
    named[ENSEMBLE] = combiner(columns)
    return {
        "on": on,
        "levels": list(LEVELS),
        "scores": {
            name: {
                label: _quantiles(values[labels == value]) for value, label in enumerate(CLASSES)
            }
            for name, values in named.items()
        },
    }


def placement(score: float, kept: Mapping[str, Any], name: str) -> Placement | None:
    """Say where a score lies among those that a bundle keeps.

    Parameters
    ----------
    score : float
        A logit; NaN has no place.
    kept : mapping
        Of `score_quantiles`, or whatever a manifest has in its place.
    name : str
        Of a member, or `ENSEMBLE`.

    Returns
    -------
    placement : Placement or None
        None if the bundle keeps no scores of that name.
    """
    try:
        levels = np.asarray(kept["levels"], np.float64)
        classes = [_share(score, levels, kept["scores"][name][label]) for label in CLASSES]
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    return Placement(*classes) if np.isfinite(score) else None


def _quantiles(values: NDArray[np.float64]) -> dict[str, Any]:
    found = np.quantile(values, LEVELS)
    return {"n": len(values), "quantiles": [float(f"{value:.6g}") for value in found]}


def _share(score: float, levels: NDArray[np.float64], kept: Mapping[str, Any]) -> Rate:
    quantiles = np.asarray(kept["quantiles"], np.float64)
    if quantiles.shape != levels.shape or np.any(np.diff(quantiles) < 0):
        raise ValueError("quantiles do not rise with their levels")
    # Equal quantiles are many equal scores: the highest level among them is the share not above.
    last = np.append(quantiles[1:] != quantiles[:-1], True)
    share = np.interp(score, quantiles[last], levels[last], left=0.0, right=1.0)
    n = int(kept["n"])
    return rate(round(float(share) * n), n)
