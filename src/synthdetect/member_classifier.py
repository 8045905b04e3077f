"""One member alone as a scikit-learn classifier."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.data.dataset import CLASSES, from_arrays, hold_out
from synthdetect.ensemble.calibrate import sigmoid
from synthdetect.images.batches import iter_sources
from synthdetect.images.limits import Limits
from synthdetect.images.perturb import Augmentation
from synthdetect.members.base import Member, TrainedMember
from synthdetect.members.spectrum import SpectralMember
from synthdetect.scoring.estimator import ImageClassifier, UnfittedError
from synthdetect.scoring.panel import Panel

_VAL_FRACTION = 0.2


class MemberClassifier(ImageClassifier):
    """A classifier of images around one member, without combiner, calibrator or chosen threshold.

    For scikit-learn's own tools: they may calibrate it, tune its threshold or search its options.
    Its `predict_proba` is the sigmoid of the member's logit, which nobody calibrated.

    Parameters
    ----------
    member : member or TrainedMember, optional
        What `fit` trains; by default `SpectralMember()`. One that is trained, such as
        `Detector.load("ensemble-v1").members_[0]`, predicts at once, and `fit` leaves it as it is.
    augmentation : Augmentation, optional
        What `fit` does to training images.
    precision : {"f32", "bf16"}, default="f32"
        Arithmetic of a network.
    workers : int, optional
        Threads that decode; by default one a core.
    limits : Limits, optional
        What the decoder accepts.
    random_state : int, default=0
        Seed of `fit`.

    Attributes
    ----------
    classes_ : ndarray of shape (2,), str
        `["real", "synthetic"]`, the columns of `predict_proba`.
    member_ : TrainedMember

    Examples
    --------
    >>> from synthdetect import Detector
    >>> classifier = MemberClassifier(Detector.load("ensemble-v1").members_[0])
    >>> photo = (np.indices((200, 200)).sum(axis=0) % 256).astype("uint8")
    >>> classifier.decision_function([photo]).shape
    (1,)
    """

    _panel: Panel

    def __init__(
        self,
        member: Member | TrainedMember | None = None,
        *,
        augmentation: Augmentation | None = None,
        precision: str = "f32",
        workers: int | None = None,
        limits: Limits | None = None,
        random_state: int = 0,
    ) -> None:
        self.member = member
        self.augmentation = augmentation
        self.precision = precision
        self.workers = workers
        self.limits = limits
        self.random_state = random_state

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The columns of `predict_proba`, once there is a trained member."""
        self._ready()
        return np.array(CLASSES)

    def fit(
        self, images: Any, y: ArrayLike, *, groups: Sequence[Any] | None = None
    ) -> "MemberClassifier":
        """Train the member.

        A fifth of the images, stratified by class, is held out; a network chooses its epoch there.

        Parameters
        ----------
        images : sequence of n images
            As for `Detector.fit`.
        y : array-like of shape (n,)
            `real`/`synthetic` or 0/1 with 1 = synthetic.
        groups : sequence of shape (n,), optional
            Images of one group are never on both sides of the split.

        Returns
        -------
        self : MemberClassifier

        Raises
        ------
        DataError
            If labels do not fit the images, or a class has too few.
        MissingExtraError
            If the member needs Keras and it is not installed.
        """
        from synthdetect.training.log import TrainingLog
        from synthdetect.training.member import train_members
        from synthdetect.training.recipe import Recipe

        dataset = from_arrays(iter_sources(images), y, groups=groups)
        trained = self.member
        if not isinstance(trained, TrainedMember):
            recipe = Recipe(
                members=(self.member or SpectralMember(),),  # type: ignore[arg-type]
                augmentation=self.augmentation or Augmentation(),
                seed=self.random_state,
            )
            split = hold_out(dataset, fraction=_VAL_FRACTION, seed=self.random_state)
            with tempfile.TemporaryDirectory() as folder:
                (trained,) = train_members(
                    split.part("train"),
                    split.part("val"),
                    recipe,
                    out=Path(folder),
                    log=TrainingLog(Path(folder)),
                )
        self.member_ = trained
        self._panel = Panel([trained], precision=self.precision)
        return self

    def decision_function(self, images: Any) -> NDArray[np.float64]:
        """Return the member's logits.

        Parameters
        ----------
        images : as for `Detector.predict_proba`

        Returns
        -------
        logit : ndarray of shape (n,), float64
            Positive means synthetic.

        Raises
        ------
        ImageError
            If an image cannot be used.
        NotFittedError
            If there is no trained member.
        """
        logits, _ = self._ready().logits(images, limits=self.limits, workers=self.workers)
        return np.ascontiguousarray(logits[:, 0])

    def predict_proba(self, images: Any) -> NDArray[np.float64]:
        """Return the sigmoid of the logit as P(synthetic); errors are those of the logit.

        Parameters
        ----------
        images : as for `Detector.predict_proba`

        Returns
        -------
        proba : ndarray of shape (n, 2), float64
            P(real), P(synthetic).
        """
        p = sigmoid(self.decision_function(images))
        return np.column_stack([1 - p, p])

    def predict(self, images: Any) -> NDArray[np.str_]:
        """Return `synthetic` where the logit is at least 0; errors are those of the logit.

        Parameters
        ----------
        images : as for `Detector.predict_proba`

        Returns
        -------
        labels : ndarray of shape (n,), str
        """
        return np.where(self.decision_function(images) >= 0, *reversed(CLASSES))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "member_") or isinstance(self.member, TrainedMember)

    def _ready(self) -> Panel:
        trained = getattr(self, "member_", self.member)
        if not isinstance(trained, TrainedMember):
            raise UnfittedError("this MemberClassifier has no trained member; fit it")
        panel = getattr(self, "_panel", None)
        if panel is None or panel.precision != self.precision or panel.members[0] is not trained:
            self._panel = Panel([trained], precision=self.precision)
        return self._panel
