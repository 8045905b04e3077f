"""A boosted sum of small decision trees, as plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.ensemble.checks import Floats, check_fields, check_number, check_numbers
from synthdetect.ensemble.combine import MOST_MEMBERS, columns_of
from synthdetect.ensemble.impute import imputed

# Bounds of a description: a few hundred trees of a few levels are far below.
MOST_TREES = 2000
MOST_NODES = 1023
# A chain of nodes costs one step each, even for one row.
MOST_LEVELS = 64

_LEAF = -1


@dataclass(frozen=True)
class Tree:
    """One regression tree; node 0 is its root.

    Parameters
    ----------
    feature : tuple of int
        Column that each node asks for; -1 for a leaf.
    threshold : tuple of float
        A row goes left where its value, as float32, is not above it.
    left, right : tuple of int
        Next nodes, both after this one, so that no row goes round in circles; -1 for a leaf.
    value : tuple of float
        What a leaf adds to the logit.

    Raises
    ------
    ValueError
        If the nodes are not such a tree, or one of more than 64 levels below the root.
    """

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    def __post_init__(self) -> None:
        n = len(self.feature)
        columns = (self.threshold, self.left, self.right, self.value)
        if not 1 <= n <= MOST_NODES or any(len(column) != n for column in columns):
            raise ValueError(f"tree: use 1 to {MOST_NODES} nodes, with every field of each")
        for i, (feature, left, right) in enumerate(
            zip(self.feature, self.left, self.right, strict=True)
        ):
            leaf = feature == left == right == _LEAF
            if not leaf and not (feature >= 0 and i < left < n and i < right < n):
                raise ValueError(
                    f"tree: node {i} asks for column {feature} and goes on to {left} and {right}; "
                    "use later nodes, or -1 for all three"
                )
        if self._levels() > MOST_LEVELS:
            raise ValueError(
                f"tree: it has {self._levels()} levels below the root; use {MOST_LEVELS} at most"
            )

    def _levels(self) -> int:
        level = [0] * len(self.feature)
        for i, (left, right) in enumerate(zip(self.left, self.right, strict=True)):
            for child in (left, right):
                if child != _LEAF:
                    level[child] = max(level[child], level[i] + 1)
        return max(level)

    def __call__(self, columns: NDArray[np.float32]) -> Floats:
        """Return the value of each row's leaf."""
        feature, threshold = np.array(self.feature), np.array(self.threshold)
        left, right = np.array(self.left), np.array(self.right)
        node = np.zeros(len(columns), dtype=np.intp)
        inner = np.flatnonzero(feature[node] != _LEAF)
        while len(inner):
            here = node[inner]
            goes_left = columns[inner, feature[here]] <= threshold[here]
            node[inner] = np.where(goes_left, left[here], right[here])
            inner = inner[feature[node[inner]] != _LEAF]
        return np.asarray(np.array(self.value)[node])


@dataclass(frozen=True)
class BoostedCombiner:
    """A start and the sum of trees over the members' logits (Friedman 2001).

    Parameters
    ----------
    bias : float
    trees : tuple of Tree
    fill : tuple of float
        What stands in for the logit of a member that did not look: its median where it learned.

    Raises
    ------
    ValueError
        If a tree asks for a member that there is not.

    References
    ----------
    .. [1] Friedman, "Greedy function approximation: a gradient boosting machine", Annals of
       Statistics 29(5), 2001.
    """

    bias: float
    trees: tuple[Tree, ...]
    fill: tuple[float, ...]

    def __post_init__(self) -> None:
        highest = max((max(tree.feature) for tree in self.trees), default=_LEAF)
        if highest >= self.n_members:
            raise ValueError(
                f"combiner: a tree asks for column {highest}, there are {self.n_members} members"
            )

    @property
    def n_members(self) -> int:
        """Columns that it takes."""
        return len(self.fill)

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return the combined logit of each row, NaN where no member looked.

        Warns
        -----
        UserWarning
            If some members did not look at an image and their medians stand in.

        Raises
        ------
        DataError
            If there is not one column for each member.
        """
        columns, unseen = imputed(columns_of(logits, self.n_members), self.fill)
        # scikit-learn grows and reads its trees on float32.
        with np.errstate(over="ignore"):  # infinity is above any threshold, as it should be
            rows = columns.astype(np.float32)
        total = np.full(len(rows), self.bias)
        for tree in self.trees:
            total += tree(rows)
        return np.where(unseen, np.nan, total)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        trees = [{name: list(values) for name, values in vars(tree).items()} for tree in self.trees]
        return {"kind": "boosting", "bias": self.bias, "fill": list(self.fill), "trees": trees}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "BoostedCombiner":
        """Build a combiner from its description.

        Raises
        ------
        ValueError
            If a field is missing, unknown or not of its kind, or a tree is none.
        """
        check_fields("combiner", description, ("kind", "bias", "fill", "trees"))
        trees = description["trees"]
        if not isinstance(trees, list | tuple) or len(trees) > MOST_TREES:
            raise ValueError(f"combiner: trees is not a list of at most {MOST_TREES} trees")
        return cls(
            bias=check_number("combiner", "bias", description["bias"]),
            trees=tuple(_read_tree(tree) for tree in trees),
            fill=check_numbers("combiner", "fill", description["fill"], most=MOST_MEMBERS),
        )


def _read_tree(description: Any) -> Tree:
    whole = ("feature", "left", "right")
    check_fields("tree", description, (*whole, "threshold", "value"))
    for name in whole:
        nodes = description[name]
        if not isinstance(nodes, list | tuple) or any(type(node) is not int for node in nodes):
            raise ValueError(f"tree: {name} is not a list of whole numbers")
        if len(nodes) > MOST_NODES:
            raise ValueError(f"tree: {name} has {len(nodes)} numbers; at most {MOST_NODES}")
    return Tree(
        **{name: tuple(description[name]) for name in whole},
        threshold=check_numbers("tree", "threshold", description["threshold"], most=MOST_NODES),
        value=check_numbers("tree", "value", description["value"], most=MOST_NODES),
    )
