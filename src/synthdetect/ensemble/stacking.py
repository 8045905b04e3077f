"""Combiners that learn how the members go together: stacking (Wolpert 1992)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.checks import (
    Floats,
    Labels,
)
from synthdetect.ensemble.combine import Combiner, check_examples
from synthdetect.ensemble.stacked import EstimatorCombiner, StackedCombiner
from synthdetect.ensemble.trees import MOST_LEVELS, MOST_NODES, MOST_TREES, BoostedCombiner, Tree
from synthdetect.errors import DataError

_STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)

_BOOSTING = ((1, 25), (1, 100), (2, 25), (2, 100))


@dataclass(frozen=True)
class Stacking:
    """Learns a classifier on the members' logits; cross-validation chooses its strength.

    Candidates of several strengths are compared by their log loss on images that they did not
    learn from; the best, of equals the weakest, then learns on all. The logits must be of images
    that the members did not train on (held out or cross-fitted), or the member that remembers most
    wins. `learn_decision` cross-fits what comes after.

    Parameters
    ----------
    estimator : {"logistic", "pairwise", "boosting"} or classifier, default="logistic"
        Logistic regression on standardised logits, the same with products of two members, small
        boosted trees, or a scikit-learn classifier of your own, which is cloned and learns as it
        is. Of those of your own, a LogisticRegression (after a StandardScaler in a Pipeline or not)
        and a GradientBoostingClassifier without an `init` of its own can be saved in a bundle,
        others cannot.
    n_folds : int, default=5
        Of the cross-validation, 2 or more. With fewer images of a class than that, the weakest
        candidate is taken.
    seed : int, default=0
        Deals the folds and grows the trees. Folds know of no groups, so near-duplicates make the
        choice a little too strong; what is measured stays as honest as its own folds.

    Raises
    ------
    ValueError
        If an option is none of these.

    References
    ----------
    .. [1] Wolpert, "Stacked generalization", Neural Networks 5(2), 1992.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(200) % 2
    >>> logits = rng.normal(2 * y[:, None] - 1, 1.0, (200, 2))
    >>> Stacking().fit(logits, y).n_members
    2
    """

    estimator: Any = "logistic"
    n_folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.estimator, str):
            if self.estimator not in _CANDIDATES:
                raise ValueError(
                    f"Stacking: estimator is {self.estimator!r}; use one of {list(_CANDIDATES)} "
                    "or a scikit-learn classifier"
                )
        elif not (hasattr(self.estimator, "fit") and hasattr(self.estimator, "get_params")):
            raise ValueError(
                f"Stacking: estimator is {self.estimator!r}; use a scikit-learn classifier that "
                "is not fitted, not its class"
            )
        if self.n_folds < 2:
            raise ValueError(f"Stacking: n_folds is {self.n_folds}; use 2 or more")

    def fit(self, logits: ArrayLike, y: ArrayLike) -> Combiner:
        """Learn the combiner.

        Parameters
        ----------
        logits : array-like of shape (n, members), float
            Finite, of images that the members did not train on.
        y : array-like of shape (n,), int
            1 = synthetic, 0 = real; both must occur.

        Returns
        -------
        combiner : StackedCombiner, BoostedCombiner or EstimatorCombiner

        Raises
        ------
        DataError
            If a logit is not finite, the labels are not 0 and 1 for these rows, or the
            classifier of your own gives neither decisions nor probabilities.
        """
        from sklearn.base import clone

        columns, labels = check_examples(logits, y)
        if isinstance(self.estimator, str):
            chosen = self._strongest_that_helps(columns, labels)
        else:
            chosen = clone(self.estimator)
        fitted = chosen.fit(columns, labels)
        if not (hasattr(fitted, "decision_function") or hasattr(fitted, "predict_proba")):
            raise DataError(
                f"Stacking: a {type(fitted).__name__} has neither decision_function nor "
                "predict_proba; use a classifier that has one"
            )
        return _as_numbers(fitted, tuple(np.median(columns, axis=0).tolist()))

    def _strongest_that_helps(self, columns: Floats, labels: Labels) -> Any:
        """Return the candidate with the lowest cross-validated log loss, not fitted."""
        from sklearn.model_selection import StratifiedKFold, cross_val_score

        candidates = _CANDIDATES[self.estimator](self.seed)
        if min(np.bincount(labels)) < self.n_folds:
            return candidates[0]
        folds = StratifiedKFold(self.n_folds, shuffle=True, random_state=self.seed)
        scores = [
            cross_val_score(candidate, columns, labels, cv=folds, scoring="neg_log_loss").mean()
            for candidate in candidates
        ]
        return candidates[int(np.argmax(scores))]


def _logistic(_: int) -> list[Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        for strength in _STRENGTHS
    ]


def _pairwise(_: int) -> list[Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    return [
        make_pipeline(
            StandardScaler(),
            PolynomialFeatures(2, interaction_only=True, include_bias=False),
            LogisticRegression(C=strength, max_iter=1000),
        )
        for strength in _STRENGTHS
    ]


def _boosting(seed: int) -> list[Any]:
    from sklearn.ensemble import GradientBoostingClassifier

    return [
        GradientBoostingClassifier(max_depth=depth, n_estimators=n_trees, random_state=seed)
        for depth, n_trees in _BOOSTING
    ]


_CANDIDATES: dict[str, Callable[[int], list[Any]]] = {
    "logistic": _logistic,
    "pairwise": _pairwise,
    "boosting": _boosting,
}


def _as_numbers(fitted: Any, fill: tuple[float, ...]) -> Combiner:
    """Return a fitted classifier as plain numbers, or, where there is no such form, as it is."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    steps = [step for _, step in getattr(fitted, "steps", [("", fitted)])]
    kinds = tuple(type(step) for step in steps)
    if kinds == (GradientBoostingClassifier,):
        return _as_trees(steps[0], fill)
    n = len(fill)
    # What a classifier of one's own learns from, where there is a form for it.
    n_features = {
        (LogisticRegression,): n,
        (StandardScaler, LogisticRegression): n,
        (StandardScaler, PolynomialFeatures, LogisticRegression): n + n * (n - 1) // 2,
    }
    if kinds not in n_features or steps[-1].coef_.shape[1] != n_features[kinds]:
        return EstimatorCombiner(fitted, fill)
    if len(steps) == 3 and not _has_pairs(steps[1]):
        return EstimatorCombiner(fitted, fill)
    scaler, model = steps[0], steps[-1]
    # A scaler keeps its means even where it was told not to take them off.
    center = scaler.mean_ if getattr(scaler, "with_mean", False) else None
    scale = getattr(scaler, "scale_", None)
    coefficients = tuple(model.coef_[0].tolist())
    return StackedCombiner(
        weights=coefficients[:n],
        bias=float(model.intercept_[0]),
        center=(0.0,) * n if center is None else tuple(center.tolist()),
        scale=(1.0,) * n if scale is None else tuple(scale.tolist()),
        fill=fill,
        pairs=coefficients[n:],
    )


def _has_pairs(terms: Any) -> bool:
    """Return whether polynomial features are the logits and then their products of two."""
    return bool(terms.degree == 2 and terms.interaction_only and not terms.include_bias)


def _as_trees(fitted: Any, fill: tuple[float, ...]) -> Combiner:
    """Return scikit-learn's boosted trees as plain numbers, if they start from one number."""
    grown = [estimator.tree_ for estimator in fitted.estimators_[:, 0]]
    small = all(tree.node_count <= MOST_NODES and tree.max_depth <= MOST_LEVELS for tree in grown)
    if fitted.init is not None or len(grown) > MOST_TREES or not small:
        return EstimatorCombiner(fitted, fill)
    trees = []
    for tree in grown:
        leaf = tree.children_left == -1
        trees.append(
            Tree(
                feature=tuple(np.where(leaf, -1, tree.feature).tolist()),
                threshold=tuple(np.where(leaf, 0.0, tree.threshold).tolist()),
                left=tuple(tree.children_left.tolist()),
                right=tuple(tree.children_right.tolist()),
                value=tuple((fitted.learning_rate * tree.value[:, 0, 0]).tolist()),
            )
        )
    bare = BoostedCombiner(0.0, tuple(trees), fill)
    somewhere = np.array([fill])
    # The start has no public name; it is what the trees leave.
    bias = float(fitted.decision_function(somewhere)[0] - bare(somewhere)[0])
    return BoostedCombiner(bias, tuple(trees), fill)
