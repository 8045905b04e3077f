"""Does a decision stay when an image is shipped again? Images one by one, and the share that flips.

Whoever re-encodes, scales or crops an image does not make it more or less real. A decision that
such a thing turns is not one to act on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.ensemble.checks import Floats, check_labels
from synthdetect.ensemble.threshold import SYNTHETIC, UNCERTAIN
from synthdetect.errors import DataError
from synthdetect.evaluation.interval import Estimate, Rate, json_ready, rate_of
from synthdetect.evaluation.metrics import mean_estimate

Decide = Callable[[ArrayLike], NDArray[np.str_]]


@dataclass(frozen=True, eq=False)
class Stability:
    """Probabilities and decisions of images as they are, and of what re-shipping makes of them.

    Parameters
    ----------
    names : tuple of str
        Of the columns; the first is the image as it is.
    p : ndarray of shape (n, columns), float64
        P(synthetic). NaN where the image could not be read, or what became of it could not be
        judged.
    decisions : ndarray of shape (n, columns), str
        `real`, `synthetic` or `uncertain`, which stands for NaN too.
    """

    names: tuple[str, ...]
    p: Floats
    decisions: NDArray[np.str_]

    @classmethod
    def of(cls, names: Sequence[str], p: ArrayLike, decide: Decide) -> "Stability":
        """Decide on each probability.

        Parameters
        ----------
        names : sequence of str
        p : array-like of shape (n, columns), float
        decide : callable
            Such as `Threshold.decide`.

        Raises
        ------
        DataError
            If `p` has another number of columns than there are names.
        """
        scores = np.asarray(p, dtype=np.float64)
        if scores.ndim != 2 or scores.shape[1] != len(names):
            raise DataError(
                f"stability: p has shape {scores.shape}; give one column for each of {len(names)} "
                "names"
            )
        return cls(tuple(names), scores, decide(scores.ravel()).reshape(scores.shape))

    def __len__(self) -> int:
        return len(self.p)

    @property
    def stable(self) -> NDArray[np.bool_]:
        """Where all decisions are the same and none is missing, of shape (n,)."""
        same = np.all(self.decisions == self.decisions[:, :1], axis=1)
        return np.asarray(same & ~np.isnan(self.p).any(axis=1))

    @property
    def decided(self) -> NDArray[np.str_]:
        """The decision where it is stable, else `uncertain`, of shape (n,)."""
        return np.where(self.stable, self.decisions[:, 0], UNCERTAIN)

    @property
    def change(self) -> Floats:
        """|p of a re-shipping - p of the image|, of shape (n, columns - 1)."""
        return np.abs(self.p[:, 1:] - self.p[:, :1])


@dataclass(frozen=True)
class Flips:
    """How often re-shipping turns decisions; every share has a Clopper-Pearson interval.

    Parameters
    ----------
    n : int
        Images that could be judged in all forms.
    n_left_out : int
        Images that could not, such as those that half of is too small.
    any : Rate
        Share of images with another decision in any form.
    real_flagged : Rate
        Share of the photographs not called synthetic as they are that some form is.
    synthetic_lost : Rate
        Share of the synthetic images called so as they are that some form is not.
    by_form : mapping of str to Rate
        Share of images that this re-shipping alone turns.
    change : Estimate
        Mean of |change of P(synthetic)| over images and re-shippings.
    change_by_form : mapping of str to Estimate
    groups : mapping of str to mapping of str to Rate
        `any` within each group, by the grouping's name.
    """

    n: int
    n_left_out: int
    any: Rate
    real_flagged: Rate
    synthetic_lost: Rate
    by_form: Mapping[str, Rate]
    change: Estimate
    change_by_form: Mapping[str, Estimate]
    groups: Mapping[str, Mapping[str, Rate]]

    def to_dict(self) -> dict[str, Any]:
        """Return every figure as JSON takes it, NaN as None."""
        return {name: json_ready(value) for name, value in vars(self).items()}


def flips(
    stability: Stability,
    y: ArrayLike,
    *,
    groups: Mapping[str, ArrayLike] | None = None,
    confidence: float = 0.95,
) -> Flips:
    """Count the decisions that re-shipping turns.

    Parameters
    ----------
    stability : Stability
        Of n images.
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real.
    groups : mapping of str to array-like of shape (n,), optional
        A name for each image, such as its source.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    flips : Flips

    Raises
    ------
    DataError
        If labels or groups do not fit, or no image could be judged in all forms.

    Examples
    --------
    >>> from synthdetect.ensemble.threshold import Threshold
    >>> p = [[0.1, 0.2], [0.4, 0.7], [0.9, 0.8], [0.9, 0.9]]
    >>> one = Stability.of(["untouched", "jpeg-60"], p, Threshold(0.5, "by hand").decide)
    >>> print(one.decided.tolist(), flips(one, [0, 0, 1, 1]).any.value)
    ['real', 'uncertain', 'synthetic', 'synthetic'] 0.25
    """
    labels = check_labels(y, len(stability))
    whole = np.asarray(~np.isnan(stability.p).any(axis=1))
    if not whole.any():
        raise DataError(f"stability: none of {len(stability)} images could be judged in all forms")
    kept = Stability(stability.names, stability.p[whole], stability.decisions[whole])
    turned = ~kept.stable
    first = kept.decisions[:, 0]
    called = kept.decisions == SYNTHETIC
    cleared = (labels[whole] == 0) & ~called[:, 0]
    found = (labels[whole] == 1) & called[:, 0]
    forms = kept.names[1:]
    return Flips(
        n=int(whole.sum()),
        n_left_out=int((~whole).sum()),
        any=rate_of(turned, confidence=confidence),
        real_flagged=rate_of(called[cleared].any(axis=1), confidence=confidence),
        synthetic_lost=rate_of(~called[found].all(axis=1), confidence=confidence),
        by_form={
            name: rate_of(kept.decisions[:, i] != first, confidence=confidence)
            for i, name in enumerate(forms, start=1)
        },
        change=mean_estimate(kept.change.mean(axis=1), 1.0, confidence),
        change_by_form={
            name: mean_estimate(kept.change[:, i], 1.0, confidence) for i, name in enumerate(forms)
        },
        groups={
            name: _by_group(name, values, whole, turned, confidence)
            for name, values in (groups or {}).items()
        },
    )


def _by_group(
    name: str,
    values: ArrayLike,
    whole: NDArray[np.bool_],
    turned: NDArray[np.bool_],
    confidence: float,
) -> dict[str, Rate]:
    named = np.asarray(values)
    if named.shape != whole.shape:
        raise DataError(f"groups {name!r}: shape {named.shape}; give one for each of {len(whole)}")
    kept = named[whole].astype(np.str_)
    return {
        str(one): rate_of(turned[kept == one], confidence=confidence) for one in np.unique(kept)
    }
