"""What policies with one cut-off share: how a choice becomes a threshold with its rates."""

import warnings
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.bounds import ExpectedRate, counted_rate, lower_limit, upper_limit
from synthdetect.ensemble.checks import Floats, check_scores
from synthdetect.ensemble.cuts import Cuts, Indices, at, cuts_of, resampled, spread
from synthdetect.ensemble.threshold import Threshold
from synthdetect.errors import DataError

N_REPLICATES = 200

_FEW = 20

NO_INTERVAL = (
    "the threshold has no interval: nearly all bootstrap replicates choose the same, or none; how "
    "far it would move for other images is not known"
)


class CutoffPolicy(ABC):
    """Base of the policies that choose one cut-off; a policy says which cut, by counts."""

    def fit(
        self, y: ArrayLike, p: ArrayLike, *, n_replicates: int = N_REPLICATES, seed: int = 0
    ) -> Threshold:
        """Choose the threshold.

        Parameters
        ----------
        y : array-like of shape (n,), int
            1 = synthetic, 0 = real; both must occur.
        p : array-like of shape (n,), float
            P(synthetic), 0 to 1, of images that the steps before did not learn from.
        n_replicates : int, default=200
            Bootstrap replicates for the threshold's interval and the optimism of its rates;
            0 leaves both out.
        seed : int, default=0
            Of the bootstrap.

        Returns
        -------
        threshold : Threshold

        Warns
        -----
        UserWarning
            For each of the threshold's notes: fewer than 20 images of a class, scores that are all
            equal, classes that are separated perfectly, or a bootstrap that gives no interval.

        Raises
        ------
        DataError
            If one class is missing, a label is not 0 or 1, a probability is not in 0..1, or the
            images are too few for what the policy guarantees.
        """
        labels, scores = check_scores(y, p)
        cuts = cuts_of(labels, scores)
        cut = self._choose(cuts)
        self._check_choice(cuts, cut)
        interval = None
        optimism: tuple[float | None, float | None] = (None, None)
        if n_replicates:
            cells, replicates = resampled(cuts, n_replicates, seed)
            chosen = self._choose(replicates)
            values = self._place(replicates, chosen)
            interval = spread(values[chosen >= 0])
            optimism = _optimism(cells, replicates, chosen, values)
        notes = data_notes(cuts)
        if n_replicates and interval is None:
            notes += (NO_INTERVAL,)
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        n_real, n_synthetic = cuts.n_real, cuts.n_synthetic
        false_positives = int(n_real - cuts.real_below[cut])
        misses = int(cuts.synthetic_below[cut])
        return Threshold(
            value=float(self._place(cuts, cut)),
            policy=repr(self),
            n_real=n_real,
            n_synthetic=n_synthetic,
            interval=interval,
            false_positive_rate=counted_rate(false_positives, n_real, optimism[0]),
            false_negative_rate=counted_rate(misses, n_synthetic, optimism[1]),
            precision=expected_precision(
                false_positives,
                n_real,
                n_synthetic - misses,
                n_synthetic,
                prevalence_of(self, cuts),
            ),
            notes=notes,
        )

    @abstractmethod
    def _choose(self, cuts: Cuts) -> Indices:
        """Return the cut, or one for each replicate; -1 where no cut does what is asked."""

    def _place(self, cuts: Cuts, cut: Indices) -> Floats:
        """Return the threshold at each cut."""
        return cuts.middle(cut)

    def _check_choice(self, cuts: Cuts, cut: Indices) -> None:  # noqa: B027 - most always find one
        """Raise DataError if no cut does what is asked."""


def check_cost(owner: str, field: str, cost: float) -> None:
    """Raise ValueError unless `cost` is finite and at least 0."""
    if not (np.isfinite(cost) and cost >= 0):
        raise ValueError(f"{owner}: {field} is {cost!r}; use a finite cost, 0 or more")


def all_at_1(bound: float) -> DataError:
    """Return the error for real images above a bound that no threshold leaves out."""
    return DataError(
        f"too many real images have a probability of exactly 1 to bound the false-positive "
        f"rate at {percent(bound)}; give probabilities below 1"
    )


def percent(share: float) -> str:
    """Return a share as text."""
    return f"{100 * share:.6g} %"


def data_notes(cuts: Cuts) -> tuple[str, ...]:
    """Return what to know of the images before a threshold learned on them is used."""
    notes = list(few_notes(cuts.n_real, cuts.n_synthetic, "the threshold is learned"))
    if cuts.n_cuts == 2:
        notes.append("all scores are equal: no threshold tells the classes apart")
    elif np.any((cuts.real_below == cuts.n_real) & (cuts.synthetic_below == 0)):
        notes.append(
            "the classes are separated perfectly on these images: a whole range of thresholds "
            "does the same here, and errors of 0 are only as sure as their intervals"
        )
    return tuple(notes)


def few_notes(n_real: int, n_synthetic: int, what: str) -> tuple[str, ...]:
    """Return a note for each class of which there are too few images."""
    return tuple(
        f"{what} on {n} {name} images, fewer than {_FEW}: "
        "its rates are next to unknown; use hundreds"
        for n, name in ((n_real, "real"), (n_synthetic, "synthetic"))
        if n < _FEW
    )


def prevalence_of(policy: object, cuts: Cuts) -> float:
    """Return the policy's prevalence, or the share of synthetic images."""
    given = getattr(policy, "prevalence", None)
    return cuts.n_synthetic / (cuts.n_real + cuts.n_synthetic) if given is None else float(given)


def expected_precision(
    false_positives: int, n_real: int, hits: int, n_synthetic: int, prevalence: float
) -> ExpectedRate | None:
    """Return the precision at a prevalence; limits of both rates hold together at 95 %."""
    if not false_positives + hits:
        return None
    # Two-sided, so a quarter of 5 % is left to each end of each rate.
    sure = 1 - 0.05 / 4
    alarms = np.array([false_positives / n_real, *_ends(false_positives, n_real, sure)])
    recall = np.array([hits / n_synthetic, *_ends(hits, n_synthetic, sure)[::-1]])
    found = prevalence * recall
    value, high, low = found / (found + (1 - prevalence) * alarms)
    return ExpectedRate(float(value), float(low), float(high), n_real + n_synthetic)


def _optimism(
    cells: Cuts, replicates: Cuts, chosen: Indices, values: Floats
) -> tuple[float | None, float | None]:
    """Return by how much rates of new images exceed those of the images that chose the cut.

    A replicate is to the images as the images are to all that there are; so the mean, over
    replicates, of the rate on the images minus that on the replicate estimates it.
    """
    found = chosen >= 0
    if not found.any():
        return None, None
    cut = cells.cut_of(values)

    def excess(of_images: Floats, of_replicates: Floats) -> float:
        return float((of_images[cut] - at(of_replicates, chosen))[found].mean())

    return (
        excess(cells.false_positive_rate, replicates.false_positive_rate),
        excess(cells.false_negative_rate, replicates.false_negative_rate),
    )


def _ends(successes: int, n: int, confidence: float) -> tuple[float, float]:
    return float(lower_limit(successes, n, confidence)), float(
        upper_limit(successes, n, confidence)
    )
