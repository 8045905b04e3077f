"""A trained ensemble that looks at images: probabilities, decisions, logits, streams."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.ensemble.cascade import Cascade
from synthdetect.ensemble.learn import Decision
from synthdetect.errors import BundleError, ImageError
from synthdetect.images.limits import Limits
from synthdetect.members.base import TrainedMember
from synthdetect.members.score import Turn
from synthdetect.scoring.estimator import ImageClassifier, UnfittedError
from synthdetect.scoring.judge import Judge
from synthdetect.scoring.panel import OnError, Panel
from synthdetect.scoring.streams import Streams

UNREADABLE = "unreadable"


class Predictor(Streams, ImageClassifier):
    """What a detector does with images once it has members and a decision.

    A subclass sets `members_`, `decision_`, `cascade_`, `threshold_`, `_panel` and the options
    `precision`, `mode`, `limits` and `workers`.
    """

    members_: tuple[TrainedMember, ...]
    decision_: Decision
    cascade_: Cascade | None
    threshold_: float
    errors_: dict[int, ImageError]
    precision: str
    mode: str
    limits: Limits | None
    workers: int | None
    _panel: Panel

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
        p = self._probabilities(images, on_error, self._judge())
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
        judge = self._judge()
        p = self._probabilities(images, on_error, judge)
        with np.errstate(divide="ignore"):
            return np.log(p) - np.log1p(-p) - _log_odds(judge.threshold.value)

    def predict(
        self, images: Any, *, on_error: OnError = "raise", stability: bool = False
    ) -> NDArray[np.str_]:
        """Return the decision at `threshold_`.

        Parameters
        ----------
        images, on_error
            As for `predict_proba`.
        stability : bool, default=False
            Judge each image in the five other forms of `stability` too, at six times the cost.

        Returns
        -------
        labels : ndarray of shape (n,), str
            `real` or `synthetic`; `uncertain` where the threshold is a band, or `stability` was
            asked for and the decision is not the same in all forms; `unreadable` where
            `on_error="nan"` kept a bad image.

        Raises
        ------
        ImageError, NotFittedError
            As `predict_proba`.
        """
        if stability:
            seen = self.stability(images, on_error=on_error)
            return np.where(np.isnan(seen.p[:, 0]), UNREADABLE, seen.decided)
        judge = self._judge()
        p = self._probabilities(images, on_error, judge)
        return np.where(np.isnan(p), UNREADABLE, judge.threshold.decide(p))

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

    def probability_of(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that `predict_proba` gives images with these logits.

        Parameters
        ----------
        logits : array-like of shape (n, members), float
            As `member_logits` returns them. With `mode="cascade"` the logits of members that would
            not have been asked are not looked at.

        Returns
        -------
        p : ndarray of shape (n,), float64
            P(synthetic).

        Raises
        ------
        BundleError
            If `mode` is "cascade" and the detector has none.
        NotFittedError
            If the detector was neither loaded nor fitted.
        ValueError
            If logits or `mode` are not as above.
        """
        judge = self._judge()
        given = np.asarray(logits, dtype=np.float64)
        if judge.cascade is not None:
            given = judge.cascade.masked(judge.decision.combiner, given)
        return judge.probability(given)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "decision_")

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

    def _judge(self) -> Judge:
        """Return what the mode asks for, all of one moment."""
        self._fitted()
        # One step, as `_adopt` is: attribute by attribute, one could be of before and one of after.
        now = self.__dict__.copy()
        mode, decision, cascade = now["mode"], now["decision_"], now["cascade_"]
        if mode not in ("full", "cascade"):
            raise ValueError(f"mode is {mode!r}; use 'full' or 'cascade'")
        if mode == "full":
            return Judge(decision, None)
        if cascade is None:
            raise BundleError(
                "this detector has no cascade; use mode='full', or name members in the key "
                "'cascade' of the recipe and train"
            )
        return Judge(decision, cascade)

    def _logits(
        self,
        images: Any,
        on_error: OnError,
        *,
        remember: bool = False,
        turns: tuple[Turn, ...] = (),
    ) -> NDArray[np.float64]:
        panel = self._ready()
        self.errors_ = {}
        logits, self.errors_ = panel.logits(
            images,
            limits=self.limits,
            workers=self.workers,
            on_error=on_error,
            remember=remember,
            turns=turns,
        )
        return logits

    def _probabilities(
        self, images: Any, on_error: OnError, judge: Judge, *, remember: bool = False
    ) -> NDArray[np.float64]:
        logits = self._logits(images, on_error, remember=remember, turns=judge.turns)
        return judge.probability(logits)


def _log_odds(p: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(p) - np.log1p(-p))
