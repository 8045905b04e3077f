"""What scikit-learn asks of a classifier whose `X` is images."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn import exceptions
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags

from synthdetect.data.dataset import CLASSES, labels_to_y
from synthdetect.ensemble.checks import check_finite, check_vector
from synthdetect.errors import DataError, NotFittedError


class UnfittedError(NotFittedError, exceptions.NotFittedError):  # type: ignore[misc]
    """The `NotFittedError` of this package and of scikit-learn, for those who catch either."""


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Base of classifiers of images: labels are `real` and `synthetic`, or 0 and 1."""

    def score(self, images: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of `predict`; an image that stays `uncertain` is not right.

        Parameters
        ----------
        images : as for `predict`
        y : array-like of shape (n,)
            `real`/`synthetic` or 0/1 with 1 = synthetic.
        sample_weight : array-like of shape (n,), optional
            Finite, at least 0, and not all 0.

        Returns
        -------
        accuracy : float

        Raises
        ------
        DataError
            If labels or weights do not fit the images.
        ImageError, NotFittedError
            As `predict`.
        """
        labels_to_y(y)  # before a long look at the images
        called = self.predict(images)
        right = called == np.array(CLASSES)[labels_to_y(y, n=len(called))]
        if sample_weight is None:
            return float(np.mean(right))
        weights = check_vector("sample_weight", sample_weight)
        if len(weights) != len(right):
            raise DataError(f"{len(weights)} weights for {len(right)} images; give one for each")
        check_finite("sample_weight", weights)
        if (weights < 0).any() or not weights.any():
            raise DataError("sample_weight: use numbers of at least 0, and one above 0")
        return float(np.average(right, weights=weights))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out scorers that are ready, compiled graphs and remembered logits among them."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_panel"}

    def __sklearn_tags__(self) -> Tags:
        """Say that `X` is a list of images (or an array of them), not a table of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_class = False
        # Images of any size and kind: there is no number of features to check.
        tags.no_validation = True
        return tags
