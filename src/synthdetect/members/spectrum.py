"""The spectral member: a few small neural nets on forensic features, evaluated by numpy alone.

It sees noise, texture and spectra at native resolution, where a convolutional net that was trained
on resized photographs sees shapes; that is why the two are better together.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.errors import BundleError, DataError, RecipeError
from synthdetect.images.perturb import Augmentation
from synthdetect.images.views import Crops, View
from synthdetect.members.spectral_features import SIZE, feature_names, features

__all__ = ["SpectralMember", "SpectralScorer", "check_shapes", "feature_names", "features"]

Arrays = Mapping[str, NDArray[Any]]

# Standardised features beyond this are of images unlike any in training: no reason to be surer.
_CLIP = 6.0
_BATCH_SIZE = 128
_VIEW = Crops(5, SIZE)
_MAX_NETS = 64
_MAX_HIDDEN = 1024
_NAMES = ("mean", "scale", "hidden_weights", "hidden_bias", "output_weights", "output_bias")


@dataclass(frozen=True, kw_only=True)
class SpectralMember:
    """Options of an untrained spectral member.

    Parameters
    ----------
    name : str, default="spectral"
        Unique in an ensemble.
    view : View
        Crops of 128 px at native resolution; scaling would erase what it looks for.
    copies : int, default=3
        Augmented copies of each training image, besides the untouched one.
    n_nets : int, default=7
        Nets that differ only in their random start; their logits are averaged.
    n_hidden : int, default=32
        Hidden units of a net.
    n_epochs : int, default=20
        Passes over the training features.
    learning_rate : float, default=3e-4
        Of Adam.
    weight_decay : float, default=1.0
        scikit-learn's `alpha`: L2 penalty, shared out over the samples.
    augmentation : Augmentation or None
        What its copies go through, if not what the recipe says for all members.

    Raises
    ------
    RecipeError
        If an option is out of range, or the view does not give crops of 128 px.
    """

    name: str = "spectral"
    view: View = _VIEW
    copies: int = 3
    n_nets: int = 7
    n_hidden: int = 32
    n_epochs: int = 20
    learning_rate: float = 3e-4
    weight_decay: float = 1.0
    augmentation: Augmentation | None = None

    kind: ClassVar[str] = "spectral"

    def __post_init__(self) -> None:
        if self.view.size != SIZE:
            raise RecipeError(
                f"member {self.name}: view {self.view} gives crops of {self.view.size} px; "
                f"spectral features need {SIZE}, for example Crops(5, {SIZE})"
            )
        for option, low, high in (
            ("copies", 0, 100),
            ("n_nets", 1, _MAX_NETS),
            ("n_hidden", 1, _MAX_HIDDEN),
            ("n_epochs", 1, 10_000),
            ("learning_rate", 1e-7, 1.0),
            ("weight_decay", 0.0, 1e6),
        ):
            value = getattr(self, option)
            if not low <= value <= high:
                raise RecipeError(
                    f"member {self.name}: {option} is {value}; use {low:g} to {high:g}"
                )

    def fit_arrays(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        seed: int,
        sample_weight: ArrayLike | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """Learn from features.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows of `features`; an image may have several, of its augmented copies.
        y : array-like of shape (n,)
            1 = synthetic, 0 = real.
        seed : int
            Of the nets' random starts and the order of batches.
        sample_weight : array-like of shape (n,), optional
            Weight of each row, at least 0 (scikit-learn 1.7 or newer).

        Returns
        -------
        arrays : dict of str to ndarray, float32
            What `SpectralScorer.from_arrays` reads.

        Raises
        ------
        DataError
            If X and y do not fit together, X is not finite, or y has not both classes.
        """
        features_, labels = _checked(X, y)
        mean = features_.mean(axis=0).astype(np.float32)
        scale = features_.std(axis=0).astype(np.float32)
        scale[scale < 1e-6] = 1.0
        inputs = _standardised(features_, mean, scale).astype(np.float32)
        weight = None if sample_weight is None else np.asarray(sample_weight, np.float32)
        states = np.random.SeedSequence(seed).generate_state(self.n_nets)
        nets = [self._net(inputs, labels, int(state), weight) for state in states]
        return {
            "mean": mean,
            "scale": scale,
            "hidden_weights": np.stack([net.coefs_[0] for net in nets]),
            "hidden_bias": np.stack([net.intercepts_[0] for net in nets]),
            "output_weights": np.stack([net.coefs_[1][:, 0] for net in nets]),
            "output_bias": np.stack([net.intercepts_[1][0] for net in nets]),
        }

    def _net(
        self,
        inputs: NDArray[np.float32],
        labels: NDArray[np.intp],
        state: int,
        sample_weight: NDArray[np.float32] | None,
    ) -> Any:
        """Fit one net with scikit-learn, for exactly `n_epochs`."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        net = MLPClassifier(
            (self.n_hidden,),
            alpha=self.weight_decay,
            batch_size=min(_BATCH_SIZE, len(labels)),
            learning_rate_init=self.learning_rate,
            max_iter=self.n_epochs,
            n_iter_no_change=self.n_epochs,
            random_state=state,
        )
        options = {} if sample_weight is None else {"sample_weight": sample_weight}
        with warnings.catch_warnings():
            # The number of epochs is a choice here, not a failure to converge.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return net.fit(inputs, labels, **options)


@dataclass(frozen=True, eq=False)
class SpectralScorer:
    """A trained spectral member; build it with `from_arrays`.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        `mean`, `scale` of shape (d,); `hidden_weights` (nets, d, hidden); `hidden_bias`,
        `output_weights` (nets, hidden); `output_bias` (nets,).
    """

    arrays: Arrays
    uses_all_cores: ClassVar[bool] = False

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "SpectralScorer":
        """Check arrays, for example of a bundle, and make a scorer of them.

        Parameters
        ----------
        arrays : mapping of str to ndarray

        Returns
        -------
        scorer : SpectralScorer

        Raises
        ------
        BundleError
            If an array is missing, unknown, not of floats, of a wrong shape, not finite, or a
            scale is not positive; the message names the array.
        """
        check_shapes({name: array.shape for name, array in arrays.items()})
        for name in _NAMES:
            _check_array(name, arrays[name])
        if not (arrays["scale"] > 0).all():
            raise BundleError("array scale has values of 0 or below; train the member again")
        return cls({name: np.array(arrays[name]) for name in _NAMES})

    @cached_property
    def _hidden_weights(self) -> NDArray[np.float64]:
        """The hidden weights of all nets side by side, of shape (d, nets * hidden)."""
        weights = self.arrays["hidden_weights"].astype(np.float64)
        return np.ascontiguousarray(weights.transpose(1, 0, 2).reshape(weights.shape[1], -1))

    def logit_of_features(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score rows of features.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows of `features`.

        Returns
        -------
        logits : ndarray of shape (n,), float64
            Positive means synthetic.

        Raises
        ------
        DataError
            If X has not d columns or is not finite.
        """
        rows = _checked_features(X)
        mean, scale = self.arrays["mean"], self.arrays["scale"]
        if rows.shape[1] != len(mean):
            raise DataError(f"X has {rows.shape[1]} columns; give the {len(mean)} of features()")
        # One row after another, and einsum instead of BLAS: the order of the additions, so the
        # last bit, must depend neither on the size of the batch nor on the number of threads.
        return np.array([self._logit(z) for z in _standardised(rows, mean, scale)], np.float64)

    def _logit(self, z: NDArray[np.float64]) -> float:
        hidden = np.einsum("d,dh->h", z, self._hidden_weights, optimize=False)
        active = np.maximum(hidden + self.arrays["hidden_bias"].ravel(), 0.0)
        n_nets = len(self.arrays["output_bias"])
        total = (active * self.arrays["output_weights"].ravel()).sum()
        return float((total + self.arrays["output_bias"].sum(dtype=np.float64)) / n_nets)

    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Score images.

        Parameters
        ----------
        crops : ndarray of shape (n, k, 128, 128, 3), uint8
            The member's view of n images.

        Returns
        -------
        logits : ndarray of shape (n,), float64
            Positive means synthetic. An image's logit does not depend on the others.

        Raises
        ------
        DataError
            If the crops have another shape or dtype.
        """
        if not len(crops):
            return np.empty(0)
        return self.logit_of_features(np.stack([features(image) for image in crops]))


def _standardised(
    X: NDArray[np.float64], mean: NDArray[Any], scale: NDArray[Any]
) -> NDArray[np.float64]:
    return np.asarray(np.clip((X - mean) / scale, -_CLIP, _CLIP), np.float64)


def check_shapes(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check what a spectral member's arrays claim to be, before memory is taken for them.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shape of each array by name.

    Raises
    ------
    BundleError
        If an array is missing, unknown, or of another shape than `SpectralScorer` needs; the
        message names the array.
    """
    for name in sorted(set(_NAMES) ^ set(shapes)):
        fault = "missing" if name in _NAMES else "not one of a spectral member's"
        raise BundleError(f"array {name} is {fault}; train or download the member again")
    weights = shapes["hidden_weights"]
    n_nets, _, n_hidden = weights if len(weights) == 3 else (0, 0, 0)
    if n_nets > _MAX_NETS or n_hidden > _MAX_HIDDEN:
        raise BundleError(
            f"array hidden_weights has shape {weights}, of over {_MAX_NETS} nets or "
            f"{_MAX_HIDDEN} hidden units; train or download the member again"
        )
    d = len(feature_names())
    wanted = ((d,), (d,), (n_nets, d, n_hidden), *[(n_nets, n_hidden)] * 2, (n_nets,))
    for name, shape in zip(_NAMES, wanted, strict=True):
        if shapes[name] != shape or 0 in shape:
            raise BundleError(
                f"array {name} has shape {shapes[name]}, where {shape} is needed; "
                "it belongs to another version, or is damaged: train or download the member again"
            )


def _check_array(name: str, array: NDArray[Any]) -> None:
    if array.dtype.kind != "f":
        raise BundleError(f"array {name} has dtype {array.dtype}; a spectral member's are floats")
    if not np.isfinite(array).all():
        raise BundleError(f"array {name} has NaN or infinite values; train the member again")


def _checked_features(X: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(X, np.float64)
    if rows.ndim != 2:
        raise DataError(f"X has shape {rows.shape}; give (n, d), one row of features an image")
    if not np.isfinite(rows).all():
        row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise DataError(f"X has NaN or infinite values, first in row {row}; leave that image out")
    return rows


def _checked(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    rows, labels = _checked_features(X), np.asarray(y)
    if labels.shape != (len(rows),):
        raise DataError(f"y has shape {labels.shape}, X has {len(rows)} rows; give a label a row")
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise DataError(
            f"y has values {np.unique(labels)[:5].tolist()}; give 0 (real) and 1 (synthetic), both"
        )
    return rows, labels.astype(np.intp)
