"""The facade: images in, P(synthetic) out. It owns the order of the steps and no algorithm."""

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.bundle.assemble import cascade_of, take_apart
from synthdetect.bundle.format import Bundle
from synthdetect.bundle.hub import open_bundle
from synthdetect.bundle.model_card import ModelCard
from synthdetect.bundle.origin import Origin, described
from synthdetect.bundle.save import save_bundle
from synthdetect.data.dataset import CLASSES, from_arrays, group_names, labels_to_y
from synthdetect.ensemble.calibrate import CalibratorLearner
from synthdetect.ensemble.cascade import Cascade
from synthdetect.ensemble.combine import CombinerLearner
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.learners import calibrator_learner, combiner_learner
from synthdetect.ensemble.relearn import What, check_what, relearn, relearn_cascade
from synthdetect.ensemble.threshold import Policy
from synthdetect.errors import DataError, ImageError
from synthdetect.evaluation.evaluate import evaluate
from synthdetect.evaluation.figures import Evaluation
from synthdetect.evaluation.placement import score_quantiles
from synthdetect.images.batches import iter_sources
from synthdetect.images.limits import Limits
from synthdetect.images.perturb import Augmentation
from synthdetect.members.base import Member, TrainedMember
from synthdetect.scoring.panel import OnError, Panel
from synthdetect.scoring.predictor import Predictor

if TYPE_CHECKING:
    from synthdetect.training.fit import TrainedEnsemble


class Detector(Predictor):
    """Tells real photographs from synthetic images by an ensemble of members.

    Parameters
    ----------
    members : sequence of members, optional
        What `fit` trains, for example `[MobileNetV2(), SpectralMember()]`. Not needed by a loaded
        detector.
    combiner : learner or str, optional
        How `fit` and `calibrate` make one logit of the members': `SoftVote()`, the default, or
        another, or "soft-vote", "stacking", "median", "trimmed-mean" or "best".
    calibrator : learner or str, optional
        How they make a probability of it: `TemperatureScaling()`, the default, or another, or
        "temperature", "platt", "isotonic", "beta" or "auto".
    policy : policy, optional
        How they choose the threshold; by default `Youden()`.
    augmentation : Augmentation, optional
        What `fit` does to training images.
    precision : {"f32", "bf16"}, default="f32"
        Arithmetic of networks. bf16 is faster on CPUs that have it; logits then differ by about 1 %
        and depend on the machine.
    mode : {"full", "cascade"}, default="full"
        "cascade" asks members in turn, and the rest only about images that are not clear yet:
        faster, with another probability where it stops and, rarely, another decision
        (`cascade_.changed` says how rarely). It needs a detector that has a cascade.
    workers : int, optional
        Threads that decode; by default one a core.
    limits : Limits, optional
        What the decoder accepts.
    random_state : int, default=0
        Seed of `fit`, and of the folds of `calibrate`.

    Attributes
    ----------
    classes_ : ndarray of shape (2,), str
        `["real", "synthetic"]`, the columns of `predict_proba`.
    threshold_ : float
        An image with P(synthetic) at or above it is called synthetic.
    members_ : tuple of TrainedMember
    decision_ : Decision
        Combiner, calibrator and threshold.
    cascade_ : Cascade or None
        What `mode="cascade"` goes by.
    errors_ : dict of int to ImageError
        Of the last call with `on_error="nan"`: why an image has no result, by its position. Calls
        from several threads at once overwrite each other's.

    Examples
    --------
    >>> detector = Detector.load("ensemble-v1")
    >>> photo = (np.indices((200, 200)).sum(axis=0) % 256).astype("uint8")
    >>> detector.predict_proba([photo]).shape
    (1, 2)
    """

    errors_: dict[int, ImageError]
    cascade_: Cascade | None
    _origin: Origin
    # What was loaded, as long as it is what the detector is.
    _bundle: Bundle | None
    _panel: Panel

    def __init__(
        self,
        members: Sequence[Member] | None = None,
        *,
        combiner: CombinerLearner | str | None = None,
        calibrator: CalibratorLearner | str | None = None,
        policy: Policy | None = None,
        augmentation: Augmentation | None = None,
        precision: str = "f32",
        mode: str = "full",
        workers: int | None = None,
        limits: Limits | None = None,
        random_state: int = 0,
    ) -> None:
        self.members = members
        self.combiner = combiner
        self.calibrator = calibrator
        self.policy = policy
        self.augmentation = augmentation
        self.precision = precision
        self.mode = mode
        self.workers = workers
        self.limits = limits
        self.random_state = random_state

    @classmethod
    def load(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        require_signature: Any = None,
        **options: Any,
    ) -> "Detector":
        """Load a detector that ships with the package, a bundle on disk, or one on the net.

        Parameters
        ----------
        name_or_path : str or path-like
            `"ensemble-v1"`, the path of a folder or zip that `save` wrote, or the address of a
            download, which is kept: `"https://host/bundle.zip#sha256=..."` (extra `hub`) or
            `"hf://owner/repo[@revision][/folder]"` (extra `hf`).
        require_signature : public key, or list of public keys, optional
            Load only what one of these Ed25519 keys has signed: an object of the package
            cryptography, 32 bytes, a PEM, or the path of a file with either (extra `sign`).
        **options
            Keyword options of `Detector`, such as `precision` and `workers`.

        Returns
        -------
        detector : Detector

        Raises
        ------
        BundleError
            If there is no such bundle, or it is damaged, unsafe, of an unknown version, or not
            signed as required.
        MissingExtraError
            If what a download or a signature needs is not installed.
        """
        bundle = open_bundle(name_or_path, require_signature=require_signature)
        members, decision = take_apart(bundle)
        cascade = cascade_of(bundle, decision.combiner)
        detector = cls(**options)
        detector._adopt(members, decision, Origin.of(bundle), cascade)
        detector._bundle = bundle
        detector._judge()  # or a mode that it does not have would be told at the first image
        return detector

    @classmethod
    def from_training(cls, ensemble: "TrainedEnsemble", **options: Any) -> "Detector":
        """Make a detector of what `synthdetect.training.fit.train_ensemble` returns."""
        return cls(**options)._adopt_training(ensemble)

    def fit(
        self,
        images: Any,
        y: ArrayLike,
        *,
        groups: Sequence[Any] | None = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> "Detector":
        """Train the members and learn combiner, calibrator and threshold.

        A fifth of the images is held out of the members' training for that, stratified by class.

        Parameters
        ----------
        images : sequence of n images
            Paths, bytes, PIL images or arrays; also an array of paths, or one of images, of shape
            (n, h, w, c).
        y : array-like of shape (n,)
            `real`/`synthetic` or 0/1 with 1 = synthetic.
        groups : sequence of shape (n,), optional
            Images of one group (one person, say) are never on both sides of a split.
        out : path-like, optional
            Keeps checkpoints and the log; by default a temporary folder.
        resume : bool, default=False
            Go on with an earlier call's `out`.

        Returns
        -------
        self : Detector

        Raises
        ------
        DataError
            If labels do not fit the images, or a class has too few.
        MissingExtraError
            If a member needs Keras and it is not installed.
        ValueError
            If `combiner` or `calibrator` is no learner and no name of one.
        """
        from synthdetect.training.decide import Learners
        from synthdetect.training.fit import train_ensemble
        from synthdetect.training.recipe import Recipe

        members: tuple[Any, ...] = tuple(self.members or ())
        augmentation = self.augmentation or Augmentation()
        recipe = Recipe(members=members, augmentation=augmentation, seed=self.random_state)
        learners = Learners(**self._learners(), policy=self.policy)
        dataset = from_arrays(iter_sources(images), y, groups=groups)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(out or temporary)
            trained = train_ensemble(dataset, recipe, out=folder, resume=resume, learners=learners)
        return self._adopt_training(trained)

    def calibrate(
        self,
        images: Any,
        y: ArrayLike,
        *,
        policy: Policy | None = None,
        what: What = "threshold",
        groups: Sequence[Any] | None = None,
        prevalence: float | None = None,
        on_error: OnError = "raise",
    ) -> "Detector":
        """Learn the threshold, or more, on your own labelled images; members stay as they are.

        The logits of these images are kept in memory, by content, so that another call on them
        (this one with another policy, `evaluate`, `predict`) does not score them again.

        Parameters
        ----------
        images : as for `predict_proba`
            Not those that it was trained on. Figures taken on them afterwards are optimistic.
        y : array-like of shape (n,)
            `real`/`synthetic` or 0/1 with 1 = synthetic.
        policy : policy, optional
            By default the detector's own, or `Youden()`.
        what : {"threshold", "probability", "combiner", "all"}, default="threshold"
            "threshold" leaves probabilities as they are. "probability" learns `calibrator`, and
            the threshold with it. "combiner" and "all" learn `combiner`, on which both of the
            others depend, and these. What is learned before the threshold is cross-fitted: no image
            has a say in the probability at which it helps to choose the threshold.
        groups : sequence of shape (n,), optional
            Images of one group (one person, say) stay in one fold of the cross-fitting; None is of
            no group. The threshold alone has no folds.
        prevalence : float, optional
            Share of synthetic images where the detector will be used, between 0 and 1. A
            calibrator that is learned gives probabilities for it, and a policy that depends on it
            takes it if it has none of its own.
        on_error : {"raise", "nan"}, default="raise"
            With "nan", bad images are left out and told in `errors_`.

        Returns
        -------
        self : Detector

        Warns
        -----
        UserWarning
            If the images say little of the threshold; `decision_.threshold.notes` keeps why. Or if
            they are too few to learn the cascade again and `mode` is "full": it is then dropped.

        Raises
        ------
        DataError
            If labels or groups do not fit the images, are of one class, or are too few for the
            folds or for what the policy guarantees; the message says how many are needed. The
            detector is then as it was.
        ValueError
            If an option is none of these, or nothing depends on `prevalence`.
        ImageError, NotFittedError
            As `predict_proba`.
        """
        decision = self._fitted()
        check_what(what, policy or self.policy)
        learners = self._learners()
        labels_to_y(y)  # before a long look at the images
        logits = self._logits(images, on_error, remember=True)
        rows = from_arrays(range(len(logits)), y, groups=groups)
        good = ~np.isnan(logits).all(axis=1)
        names = None if groups is None else group_names(rows)[good]
        how: dict[str, Any] = {"what": what, "prevalence": prevalence, "groups": names}
        how |= {"calibrator": learners["calibrator"], "seed": self.random_state}
        learned = relearn(
            decision,
            logits[good],
            rows.y[good],
            combiner=learners["combiner"],
            policy=policy or self.policy,
            **how,
        )
        cascade = self._cascade_again(learned, logits[good], rows.y[good], how)
        scores = score_quantiles(
            logits[good],
            rows.y[good],
            learned.combiner,
            [member.name for member in self.members_],
            on="the images of the last calibration, which chose the threshold",
        )
        origin = self._origin.changed(what).with_scores(scores)
        self._adopt(self.members_, learned, origin, cascade, errors=self.errors_)
        return self

    def evaluate(
        self,
        images: Any,
        y: ArrayLike,
        *,
        groups: Mapping[str, ArrayLike] | ArrayLike | None = None,
        cluster: ArrayLike | None = None,
        prevalence: float | None = None,
        on_error: OnError = "raise",
    ) -> Evaluation:
        """Measure probabilities and decisions on labelled images, every figure with its interval.

        As in `calibrate`, logits are kept in memory; not those of `mode="cascade"`.

        Parameters
        ----------
        images : as for `predict_proba`
            Not those that it was trained or calibrated on, or the figures are optimistic.
        y : array-like of shape (n,)
            `real`/`synthetic` or 0/1 with 1 = synthetic.
        groups, cluster, prevalence
            As for `synthdetect.evaluate`; one value for each image.
        on_error : {"raise", "nan"}, default="raise"
            With "nan", bad images are left out, told in `errors_`, and counted in the note.

        Returns
        -------
        evaluation : Evaluation
            Print it, or see its `to_html`.

        Raises
        ------
        DataError
            If labels, groups or clusters do not fit the images.
        ImageError, NotFittedError
            As `predict_proba`.
        """
        judge = self._judge()
        labels_to_y(y)  # before a long look at the images
        p = self._probabilities(images, on_error, judge, remember=True)
        return evaluate(
            labels_to_y(y, n=len(p)),
            p,
            judge.threshold.value,
            groups=groups,
            cluster=cluster,
            prevalence=prevalence,
            drop_nan=on_error == "nan",
        )

    def save(self, path: str | os.PathLike[str], *, sign: Any = None) -> Path:
        """Write the detector as a bundle: a folder, or one file if `path` ends in `.zip`.

        Parameters
        ----------
        path : path-like
            A bundle that is there is replaced at once, when the new one is whole.
        sign : private key, optional
            Sign the bundle with this Ed25519 key, given in one of the forms of `load`'s public keys
            (extra `sign`). Without it, a detector that was loaded and not changed keeps the
            signature that it came with.

        Returns
        -------
        path : Path

        Raises
        ------
        BundleError
            If something else is there, or the disk refuses; what was there stays as it was. Or if
            the combiner is a classifier of your own, which works in memory only.
        MissingExtraError
            If `sign` is given and the package cryptography is not installed.
        NotFittedError
            If the detector was neither loaded nor fitted.
        """
        decision = self._fitted()
        save_bundle(
            path,
            self.members_,
            decision,
            self._origin,
            cascade=self.cascade_,
            loaded=self._bundle,
            sign=sign,
        )
        return Path(path)

    @property
    def facts_(self) -> Mapping[str, Any]:
        """What its bundle says of it: `training_data`, `recipe`, `figures` and more, JSON-ready."""
        self._fitted()
        return self._origin.facts

    @property
    def digest_(self) -> str:
        """SHA-256 of the bundle that was loaded, or `unsaved` once anything was learned since."""
        return self._origin.digest

    @property
    def card_(self) -> ModelCard | None:
        """Its model card: what it is for, what not, and how it measured; None if it has none."""
        self._fitted()
        return self._origin.card

    def describe(self) -> str:
        """Return what the detector is, what it learned on and how it measured, as text."""
        decision = self._fitted()
        return described(self.members_, decision, self._origin, self.cascade_)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "decision_"):
            return str(super().__repr__(N_CHAR_MAX))
        names = ", ".join(member.name for member in self.members_)
        return f"<Detector {self._origin.name}: {names}; threshold {self.threshold_:.4f}>"

    def _adopt_training(self, ensemble: "TrainedEnsemble") -> "Detector":
        origin = Origin.of_training(ensemble)
        self._adopt(ensemble.members, ensemble.decision, origin, ensemble.cascade)
        return self

    def _adopt(
        self,
        members: tuple[TrainedMember, ...],
        decision: Decision,
        origin: Origin,
        cascade: Cascade | None = None,
        errors: dict[int, ImageError] | None = None,
    ) -> None:
        learned = {
            "classes_": np.array(CLASSES),
            "threshold_": decision.threshold.value,
            "members_": members,
            "decision_": decision,
            "cascade_": cascade,
            "errors_": errors or {},
            "_origin": origin,
            "_bundle": None,
        }
        if getattr(self, "members_", None) is not members:
            learned["_panel"] = Panel(members, precision=self.precision)
        self.__dict__.update(learned)  # one step, for threads that predict meanwhile

    def _cascade_again(
        self,
        decision: Decision,
        logits: NDArray[np.float64],
        y: NDArray[np.int64],
        how: Mapping[str, Any],
    ) -> Cascade | None:
        """Learn the bands of the cascade, if there is one, for another decision."""
        if self.cascade_ is None:
            return None
        try:
            return relearn_cascade(self.cascade_, decision, logits, y, **how)
        except DataError as error:
            if self.mode == "cascade":
                raise
            warnings.warn(
                f"the cascade cannot be learned again ({error}); the detector has none now",
                stacklevel=3,
            )
            return None

    def _learners(self) -> dict[str, Any]:
        return {
            "combiner": combiner_learner(self.combiner),
            "calibrator": calibrator_learner(self.calibrator),
        }
