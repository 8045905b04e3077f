"""The facade: images in, P(synthetic) out. It owns the order of the steps and no algorithm."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from synthdetect.bundle.assemble import assemble, environment, take_apart
from synthdetect.bundle.format import Bundle, write_bundle
from synthdetect.bundle.hub import open_bundle
from synthdetect.data.dataset import CLASSES, from_arrays, labels_to_y
from synthdetect.ensemble.combine import LinearCombiner
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.policies import Youden
from synthdetect.ensemble.threshold import BandThreshold, Policy
from synthdetect.errors import ImageError, NotFittedError
from synthdetect.evaluation.evaluate import Evaluation, evaluate
from synthdetect.evaluation.report import as_lines
from synthdetect.images.decode import Limits
from synthdetect.images.perturb import Augmentation
from synthdetect.members.base import Member, Scorer, TrainedMember
from synthdetect.members.registry import load_scorer
from synthdetect.members.score import Scored, score_stream

if TYPE_CHECKING:
    from synthdetect.training.fit import TrainedEnsemble

OnError = Literal["raise", "nan"]
UNREADABLE = "unreadable"


class Detector(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Tells real photographs from synthetic images by an ensemble of members.

    Parameters
    ----------
    members : sequence of members, optional
        What `fit` trains, for example `[MobileNetV2(), SpectralMember()]`. Not needed by a loaded
        detector.
    policy : policy, optional
        How `fit` and `calibrate` choose the threshold; by default `Youden()`.
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
        Seed of `fit`.

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

    _bundle: Bundle
    _scorers: list[Scorer]
    _scorers_precision: str

    def __init__(
        self,
        members: Sequence[Member] | None = None,
        *,
        policy: Policy | None = None,
        augmentation: Augmentation | None = None,
        precision: str = "f32",
        workers: int | None = None,
        limits: Limits | None = None,
        random_state: int = 0,
    ) -> None:
        self.members = members
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
        detector._adopt(members, decision)
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
            Paths, bytes, PIL images or arrays.
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
        """
        from synthdetect.training.fit import Learners, train_ensemble
        from synthdetect.training.recipe import Recipe

        recipe = Recipe(
            members=tuple(self.members or ()),  # type: ignore[arg-type]
            augmentation=self.augmentation or Augmentation(),
            seed=self.random_state,
        )
        dataset = from_arrays(images, y, groups=groups)
        with tempfile.TemporaryDirectory() as temporary:
            ensemble = train_ensemble(
                dataset,
                recipe,
                out=Path(out or temporary),
                resume=resume,
                learners=Learners(policy=self.policy),
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
        p = self._probabilities(images, on_error)
        return np.where(np.isnan(p), UNREADABLE, self._fitted().threshold.decide(p))

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
        self.errors_: dict[int, ImageError] = {}
        errors: dict[int, ImageError] = {}
        rows = []
        for scored in self._stream(images, on_error):
            rows.append(scored.logits)
            if scored.error is not None:
                errors[scored.index] = scored.error
        self.errors_ = errors
        return np.stack(rows) if rows else np.empty((0, len(self.members_)))

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
        for scored in self._stream(images, "nan"):
            p = float(decision.probability(scored.logits[np.newaxis])[0])
            yield scored.name, p, scored.error

    def calibrate(
        self,
        images: Any,
        y: ArrayLike,
        *,
        policy: Policy | None = None,
        on_error: OnError = "raise",
    ) -> "Detector":
        """Choose the threshold on your own labelled images; probabilities stay as they are.

        Parameters
        ----------
        images : as for `predict_proba`
            Not those that it was trained on. Figures taken on them afterwards are optimistic.
        y : array-like of shape (n,)
            `real`/`synthetic` or 0/1 with 1 = synthetic.
        policy : policy, optional
            By default the detector's own, or `Youden()`.
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
            If labels do not fit the images, are of one class, or are too few for what the policy
            guarantees; the message says how many are needed.
        ImageError, NotFittedError
            As `predict_proba`.
        """
        self._fitted()
        labels_to_y(y)  # before a long look at the images
        p = self._probabilities(images, on_error)
        labels = labels_to_y(y, n=len(p))
        good = ~np.isnan(p)
        threshold = (policy or self.policy or Youden()).fit(labels[good], p[good])
        decision, errors = replace(self._fitted(), threshold=threshold), self.errors_
        self._adopt(self.members_, decision)
        self.errors_ = errors
        self._bundle = self._seal(self._bundle.manifest.name, _facts_before(self._bundle))
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
        p = self._probabilities(images, on_error)
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
            If something else is there, or the disk refuses; what was there stays as it was.
        NotFittedError
            If the detector was neither loaded nor fitted.
        """
        self._fitted()
        write_bundle(path, self._bundle.manifest, self._bundle.files)
        return Path(path)

    def describe(self) -> str:
        """Return what the detector is, what it learned on and how it measured, as text."""
        decision, manifest = self._fitted(), self._bundle.manifest
        lines = [f"{manifest.name} ({self._bundle.digest[:12]}), licence {manifest.license}"]
        combiner, threshold = decision.combiner, decision.threshold
        weights = [""] * len(self.members_)
        if isinstance(combiner, LinearCombiner):
            weights = [f", weight {weight:.3f}" for weight in combiner.weights]
        for member, weight in zip(self.members_, weights, strict=True):
            lines.append(f"  member {member.name}: {member.kind}, {member.view}{weight}")
        if not isinstance(combiner, LinearCombiner):
            lines.append(f"  combined by {type(combiner).__name__}")
        cut = f"{threshold.value:.4f}"
        if isinstance(threshold, BandThreshold):
            cut = f"{threshold.low:.4f} to {threshold.high:.4f}, uncertain between,"
        lines.append(f"  threshold {cut} by {threshold.policy}, learned on n = {threshold.n}")
        lines.extend(f"  {line}" for line in as_lines(manifest.figures))
        if created := manifest.created:
            lines.append(f"  trained {created} on data {_short_hash(manifest.training_data)}")
        return "\n".join(lines)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "decision_"):
            return str(super().__repr__(N_CHAR_MAX))
        names = ", ".join(member.name for member in self.members_)
        name = self._bundle.manifest.name
        return f"<Detector {name}: {names}; threshold {self.threshold_:.4f}>"

    def _adopt_training(self, ensemble: "TrainedEnsemble") -> "Detector":
        self._adopt(ensemble.members, ensemble.decision)
        self._bundle = self._seal(
            ensemble.name,
            {
                "figures": ensemble.figures,
                "recipe": ensemble.recipe,
                "training_data": ensemble.training_data,
                "environment": environment(trained=True),
                "created": datetime.now(UTC).date().isoformat(),
            },
        )
        return self

    def _adopt(self, members: tuple[TrainedMember, ...], decision: Decision) -> None:
        self.classes_ = np.array(CLASSES)
        self.threshold_ = decision.threshold.value
        if getattr(self, "members_", None) is not members:
            self._make_ready(members)
        self.members_ = members
        self.decision_ = decision
        self.errors_ = {}

    def _make_ready(self, members: tuple[TrainedMember, ...]) -> None:
        precision = self.precision
        self._scorers = [load_scorer(member, precision=precision) for member in members]
        self._scorers_precision = precision

    def _seal(self, name: str, facts: Mapping[str, Any]) -> Bundle:
        manifest, files = assemble(
            self.members_, self.decision_, name=name, license_name="Apache-2.0", facts=facts
        )
        return Bundle(manifest, files, digest="unsaved")

    def _fitted(self) -> Decision:
        if not hasattr(self, "decision_"):
            raise NotFittedError(
                "this Detector has no trained members; use Detector.load('ensemble-v1') or fit it"
            )
        return self.decision_

    def _stream(self, images: Any, on_error: OnError) -> Iterator[Scored]:
        if on_error not in ("raise", "nan"):
            raise ValueError(f"on_error is {on_error!r}; use 'raise' or 'nan'")
        self._fitted()
        if self.precision != self._scorers_precision:
            self._make_ready(self.members_)
        stream = score_stream(
            images,
            [member.view for member in self.members_],
            self._scorers,
            limits=self.limits or Limits(),
            workers=self.workers,
        )
        for scored in stream:
            if scored.error is not None and on_error == "raise":
                raise scored.error
            yield scored

    def _probabilities(self, images: Any, on_error: OnError) -> NDArray[np.float64]:
        decision = self._fitted()
        return decision.probability(self.member_logits(images, on_error=on_error))


def _facts_before(bundle: Bundle) -> dict[str, Any]:
    """Keep what a manifest says, and say that its figures were taken at another threshold."""
    names = ("training_data", "recipe", "figures", "environment", "created")
    facts = {name: getattr(bundle.manifest, name) for name in names}
    if facts["figures"]:
        note = "measured before the threshold was changed; AUROC holds, rates do not"
        facts["figures"] = {**facts["figures"], "note": note}
    return facts


def _log_odds(p: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(p) - np.log1p(-p))


def _short_hash(training_data: Mapping[str, Any]) -> str:
    return str(training_data.get("manifest_sha256") or "")[:12] or "without a manifest"
