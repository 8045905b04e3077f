"""What stacking leaves: a model on logits, as numbers or as an estimator of the moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.calibrate import LARGEST_LOGIT
from synthdetect.ensemble.checks import (
    Floats,
    check_fields,
    check_number,
    check_numbers,
)
from synthdetect.ensemble.combine import MOST_MEMBERS, columns_of
from synthdetect.ensemble.impute import imputed
from synthdetect.errors import BundleError

_LISTS = ("weights", "center", "scale", "fill", "pairs")


@dataclass(frozen=True)
class StackedCombiner:
    """A logistic regression on standardised member logits, with products of two where asked.

    Parameters
    ----------
    weights : tuple of float
        One for each member.
    bias : float
    center, scale : tuple of float
        One for each member: a logit less its center, over its scale, is standardised. Scales are
        above 0.
    fill : tuple of float
        What stands in for the logit of a member that did not look: its median where it learned.
    pairs : tuple of float
        A weight for the product of each two members, (0, 1), (0, 2), ..., (1, 2), ...; empty for
        none.

    Raises
    ------
    ValueError
        If the lengths do not fit or a scale is not above 0.

    Examples
    --------
    >>> one, zero = (1.0, 1.0), (0.0, 0.0)
    >>> StackedCombiner(one, 0.5, zero, one, zero, pairs=(2.0,))([[1.0, 3.0]])
    array([10.5])
    """

    weights: tuple[float, ...]
    bias: float
    center: tuple[float, ...]
    scale: tuple[float, ...]
    fill: tuple[float, ...]
    pairs: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        n = self.n_members
        if not n:
            raise ValueError("combiner: weights is empty; give one weight for each member")
        for name in ("center", "scale", "fill"):
            if len(getattr(self, name)) != n:
                raise ValueError(
                    f"combiner: {name} has {len(getattr(self, name))} numbers for {n} members"
                )
        if len(self.pairs) not in (0, n * (n - 1) // 2):
            raise ValueError(f"combiner: pairs has {len(self.pairs)} numbers for {n} members")
        if not min(self.scale) > 0:
            raise ValueError(f"combiner: scale {min(self.scale)!r}; use numbers above 0")

    @property
    def n_members(self) -> int:
        """Columns that it takes."""
        return len(self.weights)

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return the combined logit of each row, NaN where no member looked.

        Parameters
        ----------
        logits : array-like of shape (n, members), float

        Returns
        -------
        logit : ndarray of shape (n,), float64
            Bit-equal for a row whatever else is in the batch.

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
        z = (columns - np.array(self.center)) / np.array(self.scale)
        total = np.full(len(z), self.bias)
        # No matrix product: BLAS adds in an order that depends on the size of the batch.
        for j, weight in enumerate(self.weights):
            total += z[:, j] * weight
        if self.pairs:
            for weight, (i, j) in zip(
                self.pairs, combinations(range(self.n_members), 2), strict=True
            ):
                total += z[:, i] * z[:, j] * weight
        return np.where(unseen, np.nan, total)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description, the inverse of `from_dict`."""
        lists = {name: list(getattr(self, name)) for name in _LISTS}
        return {"kind": "stacking", "bias": self.bias, **lists}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "StackedCombiner":
        """Build a combiner from its description.

        Raises
        ------
        ValueError
            If a field is missing, unknown or not of its kind; the message names it.
        """
        check_fields("combiner", description, ("kind", "bias", *_LISTS))
        most = MOST_MEMBERS * (MOST_MEMBERS - 1) // 2
        lists = {
            name: check_numbers("combiner", name, description[name], most=most) for name in _LISTS
        }
        return cls(bias=check_number("combiner", "bias", description["bias"]), **lists)


@dataclass(frozen=True)
class EstimatorCombiner:
    """A user's fitted scikit-learn classifier, in memory only.

    Parameters
    ----------
    estimator : classifier
        Fitted on member logits, with `decision_function` or `predict_proba`.
    fill : tuple of float
        As in `StackedCombiner`.
    """

    estimator: Any
    fill: tuple[float, ...]

    @property
    def n_members(self) -> int:
        """Columns that it takes."""
        return len(self.fill)

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return the combined logit of each row, NaN where no member looked.

        It is what `decision_function` gives, or else the log-odds of `predict_proba`. Whether a
        row's is bit-equal whatever else is in the batch is the classifier's affair. Warnings and
        errors are those of `StackedCombiner`.
        """
        columns, unseen = imputed(columns_of(logits, self.n_members), self.fill)
        if not len(columns):  # which scikit-learn refuses
            return np.empty(0)
        if hasattr(self.estimator, "decision_function"):
            logit = np.asarray(self.estimator.decision_function(columns), dtype=np.float64)
        else:
            p = np.asarray(self.estimator.predict_proba(columns)[:, 1], dtype=np.float64)
            with np.errstate(divide="ignore"):
                logit = np.clip(np.log(p) - np.log1p(-p), -LARGEST_LOGIT, LARGEST_LOGIT)
        return np.where(unseen, np.nan, logit)

    def to_dict(self) -> dict[str, Any]:
        """Refuse: another library's object has no form that is safe to read again.

        Raises
        ------
        BundleError
            Always.
        """
        raise BundleError(
            f"combiner: a {type(self.estimator).__name__} of your own works in memory but cannot "
            "be saved; use Stacking() with 'logistic', 'pairwise' or 'boosting', a "
            "LogisticRegression (after a StandardScaler or not) or a GradientBoostingClassifier "
            "of few small trees without an init"
        )
