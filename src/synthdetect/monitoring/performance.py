"""How well a detector does in use: with labels that came later, and without any."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from synthdetect.ensemble.checks import Floats
from synthdetect.ensemble.prevalence import estimate_prevalence, shift_prevalence
from synthdetect.evaluation.interval import Estimate, Rate, json_ready, rate, square_and_add
from synthdetect.monitoring.events import Events

# EM looks at every image hundreds of times; as many as these give an interval of a tenth of a
# percent, and more would say nothing that the calibration's own error does not drown.
_MOST_FOR_EM = 50_000
# Shares at which odds are still finite.
_EDGE = 1e-6


@dataclass(frozen=True)
class Performance:
    """Rates of decisions, on images in use; those that stay `uncertain` count as not flagged.

    Parameters
    ----------
    n : int
        Images that it speaks of.
    n_known : int
        Images that it was learned from: labelled ones, or all where probabilities stand in.
    accuracy : Estimate
    precision : Estimate
        Share of synthetic images among those called synthetic.
    false_omission_rate : Estimate
        Share of synthetic images among the others.
    recall, false_positive_rate : Estimate
        Share of the synthetic images, and of the real ones, that is called synthetic.
    prevalence : Estimate
        Share of synthetic images.
    """

    n: int
    n_known: int
    accuracy: Estimate
    precision: Estimate
    false_omission_rate: Estimate
    recall: Estimate
    false_positive_rate: Estimate
    prevalence: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return {name: json_ready(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Labelled:
    """Rates counted on labelled images alone, with Clopper-Pearson intervals.

    Parameters
    ----------
    n : int
        Labelled images.
    n_flagged : int
        Of these, called synthetic.
    accuracy, precision, recall, false_positive_rate, false_negative_rate : Rate
        As counted. Where flagged images are labelled more often than others, all but `precision`
        are of a mixture that is not that of the traffic; `weighted` is.
    weighted : Performance
        Of all images in the window, if those that were labelled are a fair sample of the flagged
        ones and of the others, each by itself (Begg and Greenes 1983).

    References
    ----------
    .. [1] Begg and Greenes, "Assessment of diagnostic tests when disease verification is subject to
       selection bias", Biometrics 39(1), 1983.
    """

    n: int
    n_flagged: int
    accuracy: Rate
    precision: Rate
    recall: Rate
    false_positive_rate: Rate
    false_negative_rate: Rate
    weighted: Performance

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return {
            name: value.to_dict() if isinstance(value, Performance) else json_ready(value)
            for name, value in vars(self).items()
        }


def labelled(events: Events) -> Labelled | None:
    """Measure decisions on the images that have a label.

    Parameters
    ----------
    events : Events
        Readable ones of one window.

    Returns
    -------
    labelled : Labelled or None
        None without labels.
    """
    known = events.take(~np.isnan(events.label))
    if not len(known):
        return None
    synthetic, flagged = known.label == 1, known.flagged
    tp, fp = _count(synthetic & flagged), _count(~synthetic & flagged)
    fn, tn = _count(synthetic & ~flagged), _count(~synthetic & ~flagged)
    return Labelled(
        n=len(known),
        n_flagged=tp + fp,
        accuracy=rate(tp + tn, len(known)),
        precision=rate(tp, tp + fp),
        recall=rate(tp, tp + fn),
        false_positive_rate=rate(fp, fp + tn),
        false_negative_rate=rate(fn, tp + fn),
        weighted=_of_strata(
            rate(tp, tp + fp), rate(fn, fn + tn), _count(events.flagged), len(events)
        ),
    )


def expected(events: Events, *, training: float, prevalence: Estimate) -> Performance:
    """Estimate decisions' rates from the probabilities alone.

    A calibrated P(synthetic) says how likely a decision is right; its mean over the flagged images
    is their precision, and so on. Probabilities are first moved to the estimated share of synthetic
    images. The intervals are those of as many labels drawn with these probabilities; that the
    probabilities are wrong, as for a generator that is new, is not in them, and cannot be seen
    without labels.

    Parameters
    ----------
    events : Events
        Readable ones of one window, at least one.
    training : float
        Share of synthetic images that the probabilities were calibrated for, between 0 and 1.
    prevalence : Estimate
        Of these images.

    Returns
    -------
    performance : Performance

    References
    ----------
    .. [1] Guillory et al., "Predicting with confidence on unseen distributions", ICCV 2021.
    """
    share = min(max(prevalence.value, _EDGE), 1 - _EDGE)
    p = shift_prevalence(events.p, training=training, deployed=share)
    flagged = events.flagged
    found = _of_strata(_mean_rate(p[flagged]), _mean_rate(p[~flagged]), _count(flagged), len(p))
    return replace(found, prevalence=prevalence)


def prevalence_of(events: Events, *, training: float, seed: int = 0) -> Estimate:
    """Estimate the share of synthetic images by EM, on at most 50,000 of them drawn at random.

    Parameters
    ----------
    events : Events
        Readable ones, at least one.
    training : float
        As in `synthdetect.estimate_prevalence`.
    seed : int
    """
    p = events.p
    if len(p) > _MOST_FOR_EM:
        p = np.random.default_rng(seed).choice(p, _MOST_FOR_EM, replace=False)
    one = estimate_prevalence(p, training=training, tolerance=1e-6)
    return Estimate(one.value, one.low, one.high, one.n)


def _of_strata(flagged: Rate, rest: Rate, n_flagged: int, n: int) -> Performance:
    """Rates of all images from the share of synthetic ones among the flagged and the rest."""
    share = n_flagged / n
    # Of all images: flagged and synthetic, flagged and real, and so on.
    strata = [flagged, rest]
    n_known = flagged.n + rest.n

    def of(figure: Any) -> Estimate:
        with np.errstate(invalid="ignore", divide="ignore"):
            return square_and_add(figure, strata, n=n_known)

    def recall(a: float, b: float) -> Any:
        return np.float64(a * share) / (a * share + b * (1 - share))

    def false_positive_rate(a: float, b: float) -> Any:
        return np.float64((1 - a) * share) / ((1 - a) * share + (1 - b) * (1 - share))

    # A stratum without images has no rate, and a weight of 0.
    if not n_flagged:
        strata[0] = replace(flagged, value=0.0, low=0.0, high=0.0)
    if n_flagged == n:
        strata[1] = replace(rest, value=0.0, low=0.0, high=0.0)
    return Performance(
        n=n,
        n_known=n_known,
        accuracy=of(lambda a, b: a * share + (1 - b) * (1 - share)),
        precision=flagged,
        false_omission_rate=rest,
        recall=of(recall),
        false_positive_rate=of(false_positive_rate),
        prevalence=of(lambda a, b: a * share + b * (1 - share)),
    )


def _mean_rate(p: Floats) -> Rate:
    """The mean of probabilities, with the interval of as many labels that were drawn with them."""
    if not len(p):
        return rate(0, 0)
    counted = rate(round(float(p.sum())), len(p))
    return replace(counted, value=float(np.mean(p)))


def _count(where: Any) -> int:
    return int(np.count_nonzero(where))
