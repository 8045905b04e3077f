"""Does a window of images look like the reference? One test and three distances a quantity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from synthdetect.ensemble.checks import Floats
from synthdetect.evaluation.interval import json_ready
from synthdetect.monitoring.bins import bin_edges
from synthdetect.monitoring.quantities import FEWEST

FORMAT = "format"
# Ten bins are what the rules of thumb for PSI (0.1 to look at, 0.25 to act on) were made with.
_N_BINS = 10
# Added to each count, so that an empty bin is rare and not impossible.
_PSEUDO = 0.5


@dataclass(frozen=True)
class Drift:
    """How far one quantity of a window is from the reference.

    Parameters
    ----------
    quantity : str
    n, n_reference : int
        Values of the window and of the reference.
    test : str
        `KS` (Kolmogorov and Smirnov) for numbers, `chi-square` for formats.
    statistic : float
        Of the test: the largest gap between the two distributions, or chi-square.
    p_value : float
        If nothing has changed and images are independent, below x with a probability of at most x.
    p_adjusted : float
        With false discoveries controlled over all tests of a report (Benjamini and Hochberg 1995).
    psi : float
        Population stability index over ten bins with equal shares of the reference.
    jensen_shannon : float
        Jensen-Shannon distance over the same bins, to base 2: 0 the same, 1 nothing in common.
    wasserstein : float
        How far values must move on average, in standard deviations of the reference; NaN for
        formats.
    median, reference_median : float
        NaN for formats.

    References
    ----------
    .. [1] Benjamini and Hochberg, "Controlling the false discovery rate", Journal of the Royal
       Statistical Society B 57(1), 1995.
    .. [2] Yurdakul and Naranjo, "Statistical properties of the population stability index",
       Journal of Risk Model Validation 14(4), 2020.
    """

    quantity: str
    n: int
    n_reference: int
    test: str
    statistic: float
    p_value: float
    p_adjusted: float
    psi: float
    jensen_shannon: float
    wasserstein: float
    median: float
    reference_median: float

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return {name: json_ready(value) for name, value in vars(self).items()}


def number_drift(quantity: str, values: Floats, reference: Floats) -> Drift:
    """Compare numbers with a reference.

    Parameters
    ----------
    quantity : str
    values : ndarray of shape (n,), float64
        Finite, n >= 1.
    reference : ndarray of shape (m,), float64
        Finite and sorted, m >= 1.

    Returns
    -------
    drift : Drift
        Its `p_adjusted` is the p-value. With ties the test errs towards no drift.
    """
    from scipy.stats import ks_2samp, wasserstein_distance

    test = ks_2samp(values, reference, method="asymp")
    edges = bin_edges(reference, _N_BINS)
    n_bins = len(edges) + 1
    counts, expected = (
        np.bincount(np.searchsorted(edges, x, side="right"), minlength=n_bins)
        for x in (values, reference)
    )
    spread = float(np.std(reference)) or 1.0
    return Drift(
        quantity=quantity,
        n=len(values),
        n_reference=len(reference),
        test="KS",
        statistic=float(test.statistic),
        p_value=float(test.pvalue),
        p_adjusted=float(test.pvalue),
        psi=stability_index(counts, expected),
        jensen_shannon=_jensen_shannon(counts, expected),
        wasserstein=float(wasserstein_distance(values, reference)) / spread,
        median=float(np.median(values)),
        reference_median=float(np.median(reference)),
    )


def format_drift(counts: Mapping[str, int], reference: Mapping[str, int]) -> Drift | None:
    """Compare counts of formats by the chi-square test of homogeneity.

    Parameters
    ----------
    counts, reference : mapping of str to int

    Returns
    -------
    drift : Drift or None
        None where one of them is empty. With one format in both there is no drift, p = 1.
    """
    from scipy.stats import chi2_contingency

    names = sorted({*counts, *reference})
    observed, expected = (np.array([x.get(name, 0) for name in names]) for x in (counts, reference))
    if not observed.sum() or not expected.sum():
        return None
    statistic, p_value = 0.0, 1.0
    if len(names) > 1:
        test = chi2_contingency(np.stack([observed, expected]), correction=False)
        statistic, p_value = float(test.statistic), float(test.pvalue)
    nothing = float("nan")
    return Drift(
        quantity=FORMAT,
        n=int(observed.sum()),
        n_reference=int(expected.sum()),
        test="chi-square",
        statistic=statistic,
        p_value=p_value,
        p_adjusted=p_value,
        psi=stability_index(observed, expected),
        jensen_shannon=_jensen_shannon(observed, expected),
        wasserstein=nothing,
        median=nothing,
        reference_median=nothing,
    )


def drifts(
    values: Mapping[str, Floats],
    formats: Mapping[str, int],
    reference: Mapping[str, Floats],
    reference_formats: Mapping[str, int],
) -> tuple[Drift, ...]:
    """Compare all quantities that both the window and the reference have.

    Parameters
    ----------
    values, reference : mapping of str to ndarray of float64
        NaN in `values` is left out; a quantity with fewer than 50 values is not compared.
    formats, reference_formats : mapping of str to int

    Returns
    -------
    drifts : tuple of Drift
        Not yet adjusted; see `adjusted`.
    """
    found = []
    for name, sample in reference.items():
        known = values[name][np.isfinite(values[name])]
        if len(known) >= FEWEST:
            found.append(number_drift(name, known, sample))
    if sum(formats.values()) >= FEWEST and (one := format_drift(formats, reference_formats)):
        found.append(one)
    return tuple(found)


def adjusted(windows: Sequence[Sequence[Drift]]) -> list[tuple[Drift, ...]]:
    """Adjust the p-values of all quantities of all windows together (Benjamini and Hochberg)."""
    from scipy.stats import false_discovery_control

    p_values = [one.p_value for window in windows for one in window]
    if not p_values:
        return [() for _ in windows]
    following = iter(false_discovery_control(p_values).tolist())
    return [tuple(replace(one, p_adjusted=next(following)) for one in w) for w in windows]


def stability_index(counts: Any, expected: Any) -> float:
    """Return the population stability index of two arrays of counts, of shape (bins,)."""
    p, q = _shares(counts), _shares(expected)
    return float(np.sum((p - q) * np.log(p / q)))


def _jensen_shannon(counts: Any, expected: Any) -> float:
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(_shares(counts), _shares(expected), base=2))


def _shares(counts: Any) -> Floats:
    smoothed = np.asarray(counts, dtype=np.float64) + _PSEUDO
    return np.asarray(smoothed / smoothed.sum(), dtype=np.float64)
