"""Results one by one, for streams of any length; and of images in other forms beside them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.errors import ImageError
from synthdetect.evaluation.stability import Stability
from synthdetect.images.limits import Limits
from synthdetect.images.perturbations import RESHIPPINGS, UNTOUCHED
from synthdetect.scoring.judge import Judge
from synthdetect.scoring.panel import OnError, Panel, check_on_error

_FORMS = (UNTOUCHED, *RESHIPPINGS)
FORMS = tuple(form.name for form in _FORMS)


class Streams:
    """Gives a `Predictor` `stream` and `stability`."""

    limits: Limits | None
    workers: int | None
    errors_: dict[int, ImageError]

    def _judge(self) -> Judge:
        raise NotImplementedError

    def _ready(self) -> Panel:
        raise NotImplementedError

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
        judge = self._judge()
        for scored in self._ready().stream(
            images, limits=self.limits, workers=self.workers, turns=judge.turns
        ):
            p = float(judge.probability(scored.logits[np.newaxis])[0])
            yield scored.name, p, scored.error

    def stability(self, images: Any, *, on_error: OnError = "raise") -> Stability:
        """Judge each image as it is and in five other forms: does the decision stay?

        The forms are JPEG of quality 60, half the size, a thumbnail of 128 pixels and back, WebP of
        quality 75, and the middle 90 % of both sides. Six times the cost of `predict`.

        Parameters
        ----------
        images : as for `predict_proba`
        on_error : {"raise", "nan"}, default="raise"
            With "nan", a bad image has a row of NaN and its reason in `errors_`.

        Returns
        -------
        stability : Stability
            Of each image the six probabilities and decisions, and whether it is `stable`. Where a
            form is outside the limits (half of an image under 64 pixels), its probability is NaN
            and the image not stable.

        Raises
        ------
        ImageError
            If an image cannot be used and `on_error` is "raise".
        NotFittedError
            If the detector was neither loaded nor fitted.
        ValueError
            If `on_error` is something else.

        Examples
        --------
        >>> from synthdetect import Detector
        >>> photo = (np.indices((200, 200)).sum(axis=0) % 256).astype("uint8")
        >>> Detector.load("ensemble-v1").stability([photo]).p.shape
        (1, 6)
        """
        check_on_error(on_error)
        judge = self._judge()
        self.errors_ = {}
        rows: list[NDArray[np.float64]] = []
        errors: dict[int, ImageError] = {}
        for index, (_, p, error) in enumerate(self._in_all_forms(images, judge)):
            if error is not None:
                if on_error == "raise":
                    raise error
                errors[index] = error
            rows.append(p)
        self.errors_ = errors
        p = np.stack(rows) if rows else np.empty((0, len(FORMS)))
        return Stability.of(FORMS, p, judge.threshold.decide)

    def stream_stability(
        self, images: Any
    ) -> Iterator[tuple[str, NDArray[np.float64], ImageError | None]]:
        """Yield results one by one, in order, for streams of any length.

        Parameters
        ----------
        images : as for `predict_proba`

        Yields
        ------
        name : str
            The image's path, or `image 3`.
        p : ndarray of shape (6,), float64
            P(synthetic) of the image and of its five other forms; NaN as in `stability`.
        error : ImageError or None
            Why it is bad.
        """
        yield from self._in_all_forms(images, self._judge())

    def _in_all_forms(
        self, images: Any, judge: Judge
    ) -> Iterator[tuple[str, NDArray[np.float64], ImageError | None]]:
        stream = self._ready().stream_variants(
            images, _FORMS, limits=self.limits, workers=self.workers, turns=judge.turns
        )
        for scored in stream:
            yield scored.name, judge.probability(scored.logits), scored.error
