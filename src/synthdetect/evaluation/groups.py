"""Figures by group, and whether the gap between groups is more than noise."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.checks import Labels
from synthdetect.evaluation.interval import (
    Clusters,
    Estimate,
    Rate,
    among,
    rate_of,
    square_and_add,
)

FIGURES = ("accuracy", "false_positive_rate", "false_negative_rate")
_N_PERMUTATIONS = 1999


@dataclass(frozen=True)
class GroupFigures:
    """Figures of one group.

    Parameters
    ----------
    n, n_real, n_synthetic : int
        Images.
    accuracy, false_positive_rate, false_negative_rate : Rate
        NaN where the group has no image that counts.
    """

    n: int
    n_real: int
    n_synthetic: int
    accuracy: Rate
    false_positive_rate: Rate
    false_negative_rate: Rate


@dataclass(frozen=True)
class Gap:
    """The largest difference between two groups of a grouping.

    Parameters
    ----------
    difference : Estimate
        Of the two rates, with their n together; the interval does not allow for these two being
        the extremes.
    highest, lowest : str
        The groups.
    p_value : float
        Of a permutation test of whether the figure differs between any groups: within each class,
        groups are dealt out anew to images; or to clusters, among those that hold the same classes.
    p_adjusted : float
        With false discoveries controlled over all gaps of the evaluation (Benjamini and Hochberg
        1995).
    """

    difference: Estimate
    highest: str
    lowest: str
    p_value: float
    p_adjusted: float


@dataclass(frozen=True)
class Grouping:
    """One way to split the images, such as by source.

    Parameters
    ----------
    groups : mapping of str to GroupFigures
        Sorted by name.
    gaps : mapping of str to Gap
        By the names in `FIGURES`; those that fewer than two groups have are not there.
    """

    groups: Mapping[str, GroupFigures]
    gaps: Mapping[str, Gap]


def group_figures(
    y: Labels,
    called: NDArray[np.bool_],
    groups: Mapping[str, NDArray[np.str_]],
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    cluster: Clusters | None = None,
) -> dict[str, Grouping]:
    """Measure each group of each grouping, and test the gaps.

    A gap of accuracy is tested within each class, so that groups which differ in their share of
    synthetic images do not differ by that alone.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
    called : ndarray of shape (n,), bool
        Whether the image was called synthetic.
    groups : mapping of str to ndarray of shape (n,), str
        Group of each image, by the name of the grouping; images of group "" are left out.
    rng : Generator
    confidence : float
        Between 0 and 1.
    cluster : ndarray of shape (n,), int64, optional
        Images that go together, such as those of one person.

    Returns
    -------
    groupings : dict of str to Grouping

    References
    ----------
    .. [1] Benjamini and Hochberg, "Controlling the false discovery rate", Journal of the Royal
       Statistical Society B 57(1), 1995.
    """
    found = {
        name: _grouping(y, called, labels, rng, confidence, cluster)
        for name, labels in groups.items()
    }
    return _adjusted(found)


def _grouping(
    y: Labels,
    called: NDArray[np.bool_],
    labels: NDArray[np.str_],
    rng: np.random.Generator,
    confidence: float,
    cluster: Clusters | None,
) -> Grouping:
    named = labels != ""
    y, called, labels, cluster = y[named], called[named], labels[named], among(cluster, named)
    names, place = np.unique(labels, return_inverse=True)
    counted = {
        "accuracy": (np.ones(len(y), dtype=bool), called == (y == 1)),
        "false_positive_rate": (y == 0, called),
        "false_negative_rate": (y == 1, ~called),
    }
    rates = {
        figure: [_rate(events, rows & (place == i), confidence, cluster) for i in range(len(names))]
        for figure, (rows, events) in counted.items()
    }
    groups = {
        str(name): GroupFigures(
            n=rates["accuracy"][i].n,
            n_real=rates["false_positive_rate"][i].n,
            n_synthetic=rates["false_negative_rate"][i].n,
            **{figure: rates[figure][i] for figure in FIGURES},
        )
        for i, name in enumerate(names)
    }
    gaps = {}
    for figure, (rows, events) in counted.items():
        known = [(name, getattr(one, figure)) for name, one in groups.items()]
        known = [(name, one) for name, one in known if one.n]
        if len(known) > 1:
            p_value = _permutation_p(events[rows], place[rows], y[rows], among(cluster, rows), rng)
            gaps[figure] = _gap(known, p_value)
    return Grouping(groups, gaps)


def _rate(
    events: NDArray[np.bool_],
    rows: NDArray[np.bool_],
    confidence: float,
    cluster: Clusters | None,
) -> Rate:
    return rate_of(events[rows], among(cluster, rows), confidence)


def _gap(known: list[tuple[str, Rate]], p_value: float) -> Gap:
    (lowest, least), *_, (highest, most) = sorted(known, key=lambda named: named[1].value)
    difference = square_and_add(
        lambda a, b: a - b, [most, least], n=most.n + least.n, bounds=(-1.0, 1.0)
    )
    return Gap(difference, highest, lowest, p_value, p_value)


def _permutation_p(
    events: NDArray[np.bool_],
    place: Labels,
    y: Labels,
    cluster: Clusters | None,
    rng: np.random.Generator,
) -> float:
    """Return the share of permutations whose chi-square statistic is at least the observed.

    What is dealt out is the group of a unit: an image, or the images of one cluster in one group,
    of both classes together, as they go right or wrong together. Units change places with those
    that hold the same classes.
    """
    keys = np.arange(len(y)) if cluster is None else cluster
    _, unit = np.unique(np.column_stack([keys, place]), axis=0, return_inverse=True)
    unit = unit.ravel()
    n_units, n_groups = int(unit.max()) + 1, int(place.max()) + 1
    group = np.empty(n_units, dtype=np.int64)
    group[unit] = place
    # Within a class, an image of the average group has the class's rate.
    rate = np.array([events[y == label].mean() if (y == label).any() else 0.0 for label in (0, 1)])
    excess = np.bincount(unit, weights=events - rate[y])
    noise = np.bincount(unit, weights=(rate * (1 - rate))[y])
    holds = [np.bincount(unit, weights=y == label) > 0 for label in (0, 1)]
    held = holds[0] + 2 * holds[1]
    members = [np.flatnonzero(held == classes) for classes in np.unique(held)]

    def statistic(order: Labels) -> float:
        dealt = group[order]
        total = np.bincount(dealt, weights=excess, minlength=n_groups)
        spread = np.bincount(dealt, weights=noise, minlength=n_groups)
        return float((total**2 / np.where(spread > 0, spread, np.inf)).sum())

    observed = statistic(np.arange(n_units)) - 1e-9
    order, n_as_large = np.arange(n_units), 0
    for _ in range(_N_PERMUTATIONS):
        for units in members:
            order[units] = rng.permutation(units)
        n_as_large += statistic(order) >= observed
    return (n_as_large + 1) / (_N_PERMUTATIONS + 1)


def _adjusted(groupings: dict[str, Grouping]) -> dict[str, Grouping]:
    """Control false discoveries over all gaps."""
    from scipy.stats import false_discovery_control

    places = [(name, figure) for name, one in groupings.items() for figure in one.gaps]
    if not places:
        return groupings
    p_values = [groupings[name].gaps[figure].p_value for name, figure in places]
    adjusted = dict(zip(places, false_discovery_control(p_values).tolist(), strict=True))
    return {
        name: Grouping(
            one.groups,
            {
                figure: replace(gap, p_adjusted=adjusted[name, figure])
                for figure, gap in one.gaps.items()
            },
        )
        for name, one in groupings.items()
    }
