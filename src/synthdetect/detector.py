"""The facade: images in, P(synthetic) out. It owns the order of the steps and no algorithm."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.bundle.assemble import assemble, environment, take_apart
from synthdetect.bundle.format import Bundle, write_bundle
from synthdetect.bundle.hub import open_bundle
from synthdetect.bundle.origin import Origin, described
from synthdetect.data.dataset import CLASSES, from_arrays, group_names, labels_to_y
from synthdetect.ensemble.calibrate import CalibratorLearner
from synthdetect.ensemble.combine import CombinerLearner
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.learners import calibrator_learner, combiner_learner
from synthdetect.ensemble.relearn import What, check_what, relearn
from synthdetect.ensemble.threshold import Policy
from synthdetect.errors import ImageError
from synthdetect.evaluation.evaluate import Evaluation, evaluate
from synthdetect.images.batches import iter_sources
from synthdetect.images.decode import Limits
from synthdetect.images.perturb import Augmentation
from synthdetect.members.base import Member, TrainedMember
from synthdetect.scoring.estimator import ImageClassifier, UnfittedError
from synthdetect.scoring.panel import OnError, Panel

if TYPE_CHECKING:
    from synthdetect.training.fit import TrainedEnsemble

UNREADABLE = "unreadable"


class Detector(ImageClassifier):
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
        self.workers = workers
        self.limits = limits
        self.random_state = random_state

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str], **options: Any) -> "Detector":
        """Load a detector that ships with the package, or a bundle on disk.

        Parameters
        ----------
        name_or_path : str or path-like
            `"ensemble-v1"`, or the path of a folder or zip that `save` wrote.
        **options
            Keyword options of `Detector`, such as `precision` and `workers`.

        Returns
        -------
        detector : Detector

        Raises
        ------
        BundleError
            If there is no such bundle, or it is damaged, unsafe or of an unknown version.
        """
        bundle = open_bundle(name_or_path)
        members, decision = take_apart(bundle)
        detector = cls(**options)
        detector._adopt(members, decision, Origin.of(bundle))
        detector._bundle = bundle
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
        from synthdetect.training.fit import Learners, train_ensemble
        from synthdetect.training.recipe import Recipe

        recipe = Recipe(
            members=tuple(self.members or ()),  # type: ignore[arg-type]
            augmentation=self.augmentation or Augmentation(),
            seed=self.random_state,
        )
        learners = Learners(**self._learners(), policy=self.policy)
        dataset = from_arrays(iter_sources(images), y, groups=groups)
        with tempfile.TemporaryDirectory() as temporary:
            ensemble = train_ensemble(
                dataset, recipe, out=Path(out or temporary), resume=resume, learners=learners
            )
        return self._adopt_training(ensemble)

    def predict_proba(self, images: Any, *, on_error: OnError = "raise") -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        images : path, bytes, PIL image, array, directory, or an iterable of those
            Arrays are uint8, (h, w), (h, w, 3) or (h, w, 4); a uint8 array of shape (n, h, w, c) is
            n images. Generators are read as they are needed.
        on_error : {"raise", "nan"}, default="raise"
            What a bad image does: raise `ImageError`, or give a row of NaN and its reason in
            `errors_`.

        Returns
        -------
        proba : ndarray of shape (n, 2), float64
            P(real), P(synthetic).

        Raises
        ------
        ImageError
            If an image cannot be used and `on_error` is "raise".
        NotFittedError
            If the detector was neither loaded nor fitted.
        """
        p = self._probabilities(images, on_error)
        return np.column_stack([1 - p, p])

    def decision_function(self, images: Any, *, on_error: OnError = "raise") -> NDArray[np.float64]:
        """Return log-odds of P(synthetic) above those of the threshold.

        Parameters
        ----------
        images, on_error
            As for `predict_proba`.

        Returns
        -------
        margin : ndarray of shape (n,), float64
            At least 0 where the decision is synthetic.

        Raises
        ------
        ImageError, NotFittedError
            As `predict_proba`.
        """
        p = self._probabilities(images, on_error)
        with np.errstate(divide="ignore"):
            return np.log(p) - np.log1p(-p) - _log_odds(self.threshold_)

    def predict(self, images: Any, *, on_error: OnError = "raise") -> NDArray[np.str_]:
        """Return the decision at `threshold_`.

        Parameters
        ----------
        images, on_error
            As for `predict_proba`.

        Returns
        -------
        labels : ndarray of shape (n,), str
            `real` or `synthetic`, `uncertain` where the threshold is a band; `unreadable` where
            `on_error="nan"` kept a bad image.

        Raises
        ------
        ImageError, NotFittedError
            As `predict_proba`.
        """
        decision = self._fitted()  # once: another thread may learn a new one meanwhile
        p = decision.probability(self._logits(images, on_error))
        return np.where(np.isnan(p), UNREADABLE, decision.threshold.decide(p))

    def member_logits(self, images: Any, *, on_error: OnError = "raise") -> NDArray[np.float64]:
        """Return what each member says, before the combiner.

        Parameters
        ----------
        images, on_error
            As for `predict_proba`.

        Returns
        -------
        logits : ndarray of shape (n, members), float64
            Columns as `members_`; positive means synthetic.

        Raises
        ------
        ImageError, NotFittedError
            As `predict_proba`.
        """
        return self._logits(images, on_error)

    def stream(self, images: Any) -> Iterator[tuple[str, float, ImageError | None]]:
        """Yield results one by one, in order, for streams of any length.

        Parameters
        ----------
        images : as for `predict_proba`

        Yields
        ------
        name : str
            The image's path, or `image 3`.
        p : float
            P(synthetic); NaN for a bad image.
        error : ImageError or None
            Why it is bad.
        """
        decision = self._fitted()
        for scored in self._ready().stream(images, limits=self.limits, workers=self.workers):
            p = float(decision.probability(scored.logits[np.newaxis])[0])
            yield scored.name, p, scored.error

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
            If the images say little of the threshold; `decision_.threshold.notes` keeps why.

        Raises
        ------
        DataError
            If labels or groups do not fit the images, are of one class, or are too few for the
            folds or for what the policy guarantees; the message says how many are needed.
        ValueError
            If an option is none of these, or nothing depends on `prevalence`.
        ImageError, NotFittedError
            As `predict_proba`.
        """
        decision = self._fitted()
        check_what(what)
        learners = self._learners()
        labels_to_y(y)  # before a long look at the images
        logits = self._logits(images, on_error, remember=True)
        rows = from_arrays(range(len(logits)), y, groups=groups)
        good = ~np.isnan(logits).all(axis=1)
        learned = relearn(
            decision,
            logits[good],
            rows.y[good],
            what=what,
            **learners,
            policy=policy or self.policy,
            prevalence=prevalence,
            groups=None if groups is None else group_names(rows)[good],
            seed=self.random_state,
        )
        errors = self.errors_
        self._adopt(self.members_, learned, self._origin.changed(what))
        self.errors_ = errors
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

        As in `calibrate`, the logits of these images are kept in memory.

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
        self._fitted()
        labels_to_y(y)  # before a long look at the images
        p = self._probabilities(images, on_error, remember=True)
        return evaluate(
            labels_to_y(y, n=len(p)),
            p,
            self.threshold_,
            groups=groups,
            cluster=cluster,
            prevalence=prevalence,
            drop_nan=on_error == "nan",
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the detector as a bundle: a folder, or one file if `path` ends in `.zip`.

        Parameters
        ----------
        path : path-like
            A bundle that is there is replaced at once, when the new one is whole.

        Returns
        -------
        path : Path

        Raises
        ------
        BundleError
            If something else is there, or the disk refuses; what was there stays as it was. Or if
            the combiner is a classifier of your own, which works in memory only.
        NotFittedError
            If the detector was neither loaded nor fitted.
        """
        decision, bundle = self._fitted(), self._bundle
        if bundle is not None:
            manifest, files = bundle.manifest, bundle.files
        else:
            origin = self._origin
            manifest, files = assemble(
                self.members_,
                decision,
                name=origin.name,
                license_name=origin.license,
                facts=origin.facts,
            )
        write_bundle(path, manifest, files)
        return Path(path)

    @property
    def digest_(self) -> str:
        """SHA-256 of the bundle that was loaded, or `unsaved` once anything was learned since."""
        return self._origin.digest

    def describe(self) -> str:
        """Return what the detector is, what it learned on and how it measured, as text."""
        return described(self.members_, self._fitted(), self._origin)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "decision_"):
            return str(super().__repr__(N_CHAR_MAX))
        names = ", ".join(member.name for member in self.members_)
        return f"<Detector {self._origin.name}: {names}; threshold {self.threshold_:.4f}>"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "decision_")

    def _adopt_training(self, ensemble: "TrainedEnsemble") -> "Detector":
        facts = {
            "figures": ensemble.figures,
            "recipe": ensemble.recipe,
            "training_data": ensemble.training_data,
            "environment": environment(trained=True),
            "created": datetime.now(UTC).date().isoformat(),
        }
        self._adopt(ensemble.members, ensemble.decision, Origin(ensemble.name, facts))
        return self

    def _adopt(
        self, members: tuple[TrainedMember, ...], decision: Decision, origin: Origin
    ) -> None:
        self.classes_ = np.array(CLASSES)
        self.threshold_ = decision.threshold.value
        if getattr(self, "members_", None) is not members:
            self._panel = Panel(members, precision=self.precision)
        self.members_ = members
        self.decision_ = decision
        self.errors_ = {}
        self._origin = origin
        self._bundle = None

    def _learners(self) -> dict[str, Any]:
        return {
            "combiner": combiner_learner(self.combiner),
            "calibrator": calibrator_learner(self.calibrator),
        }

    def _fitted(self) -> Decision:
        if not hasattr(self, "decision_"):
            raise UnfittedError(
                "this Detector has no trained members; use Detector.load('ensemble-v1') or fit it"
            )
        return self.decision_

    def _ready(self) -> Panel:
        self._fitted()
        if not hasattr(self, "_panel") or self.precision != self._panel.precision:
            self._panel = Panel(self.members_, precision=self.precision)
        return self._panel

    def _logits(
        self, images: Any, on_error: OnError, *, remember: bool = False
    ) -> NDArray[np.float64]:
        panel = self._ready()
        self.errors_ = {}
        logits, self.errors_ = panel.logits(
            images,
            limits=self.limits,
            workers=self.workers,
            on_error=on_error,
            remember=remember,
        )
        return logits

    def _probabilities(
        self, images: Any, on_error: OnError, *, remember: bool = False
    ) -> NDArray[np.float64]:
        decision = self._fitted()
        return decision.probability(self._logits(images, on_error, remember=remember))


def _log_odds(p: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(p) - np.log1p(-p))
