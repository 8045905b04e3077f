"""Members that are ready to look at images, together."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synthdetect.errors import ImageError
from synthdetect.images.limits import DEFAULT_LIMITS, Limits
from synthdetect.images.perturbations import Perturbation
from synthdetect.members.base import TrainedMember
from synthdetect.members.registry import load_scorer
from synthdetect.members.score import (
    Scored,
    ScoredVariants,
    Turn,
    score_stream,
    score_variants,
)
from synthdetect.scoring.cache import ScoreCache, remembered

OnError = Literal["raise", "nan"]


class Panel:
    """Scorers of trained members, and the logits of what they saw last.

    Parameters
    ----------
    members : sequence of TrainedMember
    precision : {"f32", "bf16"}
        Arithmetic of networks.

    Raises
    ------
    BundleError
        If a member is not what its kind needs.
    """

    def __init__(self, members: Sequence[TrainedMember], *, precision: str) -> None:
        self.members = tuple(members)
        self.precision = precision
        self._views = [member.view for member in members]
        self._scorers = [load_scorer(member, precision=precision) for member in members]
        self._cache = ScoreCache()

    def stream(
        self,
        images: Any,
        *,
        limits: Limits | None = None,
        workers: int | None = None,
        turns: Sequence[Turn] = (),
    ) -> Iterator[Scored]:
        """Yield the logits of each image, in order; parameters are those of `score_stream`."""
        return score_stream(
            images,
            self._views,
            self._scorers,
            limits=limits or DEFAULT_LIMITS,
            workers=workers,
            turns=turns,
        )

    def stream_variants(
        self,
        images: Any,
        perturbations: Sequence[Perturbation],
        *,
        limits: Limits | None = None,
        workers: int | None = None,
        turns: Sequence[Turn] = (),
    ) -> Iterator[ScoredVariants]:
        """Yield the logits of all that perturbations make of each image; see `score_variants`."""
        return score_variants(
            images,
            perturbations,
            self._views,
            self._scorers,
            limits=limits or DEFAULT_LIMITS,
            workers=workers,
            turns=turns,
        )

    def logits(
        self,
        images: Any,
        *,
        limits: Limits | None = None,
        workers: int | None = None,
        on_error: OnError = "raise",
        remember: bool = False,
        turns: Sequence[Turn] = (),
    ) -> tuple[NDArray[np.float64], dict[int, ImageError]]:
        """Return the logits of all images, and why some have none.

        Parameters
        ----------
        images, limits, workers
            As for `score_stream`.
        on_error : {"raise", "nan"}, default="raise"
            What a bad image does: raise `ImageError`, or give a row of NaN.
        remember : bool, default=False
            Keep the logits in memory, by the content of each image (SHA-256), for later calls.
            What was kept is used in any case.
        turns : sequence of Turn, optional
            As for `score_stream`; nothing is kept or used then, as logits are not of all members.

        Returns
        -------
        logits : ndarray of shape (n, members), float64
        errors : dict of int to ImageError
            By position.

        Raises
        ------
        ImageError
            If an image cannot be used and `on_error` is "raise".
        ValueError
            If `on_error` is something else.
        """
        check_on_error(on_error)
        limits = limits or DEFAULT_LIMITS

        def score(sources: Any) -> Iterator[Scored]:
            return self.stream(sources, limits=limits, workers=workers, turns=turns)

        stream = score(images)
        if not turns and (remember or len(self._cache)):
            stream = remembered(images, score, self._cache, limits=limits, keep=remember)
        rows, errors = [], {}
        for scored in stream:
            if scored.error is not None:
                if on_error == "raise":
                    raise scored.error
                errors[scored.index] = scored.error
            rows.append(np.broadcast_to(scored.logits, len(self._scorers)))
        return np.stack(rows) if rows else np.empty((0, len(self._scorers))), errors


def check_on_error(on_error: str) -> None:
    """Raise `ValueError` for what `on_error` cannot be."""
    if on_error not in ("raise", "nan"):
        raise ValueError(f"on_error is {on_error!r}; use 'raise' or 'nan'")
