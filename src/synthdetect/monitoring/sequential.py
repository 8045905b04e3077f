"""Watch a stream image by image, with a bound on the chance of ever raising a false alarm."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.checks import Floats
from synthdetect.monitoring.bins import bin_edges

# A new stake is made every so many images, so that a change is bet on soon after it began.
BLOCK = 64
_N_BINS = 256
# Values that are compared with each other at once: the fastest number, and no other effect.
_RANKED = 192
_BEFORE = np.tri(_RANKED, k=-1, dtype=bool)

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class _Bet:
    """Pays 1 + gain where the conformal p-value is in a region, and so much less elsewhere.

    The region is from `low` to `high`, and its mirror image about 1/2 too if `both`; p-values near
    0 are high values of the quantity. The gain is at least -1; the expected payment is 1 whatever
    it is.
    """

    low: float
    high: float
    gain: float
    both: bool = False

    def __call__(self, p: Floats) -> Floats:
        """Return the payments at p-values of shape (n,)."""
        inside = (p >= self.low) & (p < self.high)
        share = self.high - self.low
        if self.both:
            inside |= (p > 1 - self.high) & (p <= 1 - self.low)
            share *= 2
        outside = 1 - self.gain * share / (1 - share)
        return np.where(inside, 1 + self.gain, outside)


# Small regions at the ends for few images that are new (a rare generator), large ones for all that
# move a little (heavier compression); gains near the best where the share of images in a region
# doubles, or multiplies by five. Negative gains at both ends bet that values draw together.
_ENDS = ((0.01, 1.0), (0.01, 4.0), (0.03, 1.0), (0.03, 4.0), (0.1, 0.5), (0.1, 2.0))
_HALVES = ((0.5, 0.15), (0.5, 0.5))
# Sixteenths, for values that come between those known: neither quite real nor quite synthetic.
_BETWEEN = 16
# One end that empties, while all else grows by little: known generators give way to one that the
# detector takes for real.
_EMPTIED = (0.01, 0.03, 0.1, 0.25)
# A stored state has its stakes by place here, so new bets come at the end.
BETS: tuple[_Bet, ...] = (
    *(_Bet(0.0, share, gain) for share, gain in _ENDS + _HALVES),
    *(_Bet(1 - share, 1.0, gain) for share, gain in _ENDS + _HALVES),
    _Bet(0.0, 0.05, 1.0, both=True),
    _Bet(0.0, 0.25, 0.3, both=True),
    _Bet(0.0, 0.25, -0.3, both=True),
    *(_Bet(i / _BETWEEN, (i + 1) / _BETWEEN, 0.75) for i in range(_BETWEEN)),
    *(_Bet(0.0, share, -0.5) for share in _EMPTIED),
    *(_Bet(1 - share, 1.0, -0.5) for share in _EMPTIED),
)


@dataclass(frozen=True)
class Evidence:
    """A conformal test martingale: money that grows only if images are no longer like before.

    Each image's value is ranked among all before it, the reference included. If all of these are
    exchangeable (independent images from one source are), the ranks, smoothed by chance where
    values tie, are independent and uniform p-values (Vovk et al. 2003). Bets on them that pay 1
    on average keep the expected wealth of a gambler at 1, so by Ville's inequality the probability
    that the wealth *ever* reaches 1/alpha is at most alpha, over a stream of any length:

    1. Let f_k be the bets, E f_k(U) = 1 for uniform U, f_k >= 0. At the start of block b,
       b = 0, 1, ..., the gambler takes w_b = 1 / ((b + 1)(b + 2)) from the purse and stakes
       w_b / K on each of K bets; all that is staked stays staked. The sum of all w_b is 1, so
       after block b the purse still has 1 / (b + 2): nothing is borrowed.
    2. S_k(t) = S_k(t - 1) f_k(p_t) within a block, with w_b / K added at its start. Given the past,
       p_t is uniform, so E[S_k(t)] is S_k after the stake, and wealth = purse + sum of S_k is a
       martingale that starts at 1 and is never negative.
    3. Ville: P(sup over t of wealth(t) >= 1/alpha) <= alpha.

    If images change in block b, what was staked from b on grows exponentially, and the alarm comes
    when log(w_b / K) + growth * images passes log(1/alpha). The delay thus grows with the logarithm
    of the age of the stream and not with the age.

    Values are put into some 256 bins with equal shares of the reference. A function of an image
    alone leaves images exchangeable, so this costs some power and no validity, and the state is
    small.

    Parameters
    ----------
    edges : ndarray of shape (bins - 1,), float64
    counts : ndarray of shape (bins,), int64
        Values seen so far, those of the reference included.
    stakes : ndarray of shape (bets,), float64
    n : int
        Values of the stream so far; the reference is not counted.
    peak : float
        The most the wealth has been.
    alarm : int or None
        The value, counted from 1, with which the wealth reached `limit`. The stream then rests.
    limit : float
        1/alpha.
    seed : int
        Of the smoothing.

    References
    ----------
    .. [1] Vovk, Nouretdinov and Gammerman, "Testing exchangeability on-line", ICML 2003.
    .. [2] Ville, "Etude critique de la notion de collectif", 1939.
    .. [3] Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change
       detection", New England Journal of Statistics in Data Science 2(2), 2024.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> evidence = Evidence.start(rng.normal(size=2000), alpha=0.01)
    >>> evidence = evidence.after(rng.normal(size=5000))
    >>> evidence.alarm is None
    True
    >>> 5000 < evidence.after(rng.normal(0.5, 1, size=1000)).alarm < 5500
    True
    """

    edges: Floats
    counts: Counts = field(repr=False)
    stakes: Floats = field(repr=False)
    n: int
    peak: float
    alarm: int | None
    limit: float
    seed: int

    @classmethod
    def start(cls, reference: Floats, *, alpha: float, seed: int = 0) -> "Evidence":
        """Start before the first image of a stream.

        Parameters
        ----------
        reference : ndarray of shape (m,), float64
            Finite values of images like those to come.
        alpha : float
            Between 0 and 1: bound on the probability of ever raising a false alarm.
        seed : int

        Raises
        ------
        ValueError
            If `alpha` is out of range.
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha is {alpha!r}; use a probability between 0 and 1")
        edges = bin_edges(reference, _N_BINS)
        bins = np.searchsorted(edges, reference, side="right")
        counts = np.bincount(bins, minlength=len(edges) + 1)
        return cls(edges, counts, np.zeros(len(BETS)), 0, 1.0, None, 1 / alpha, seed)

    @property
    def wealth(self) -> float:
        """What the gambler has now, the purse included."""
        return float(self.stakes.sum()) + 1 / (_blocks_begun(self.n) + 1)

    def after(self, values: Floats) -> "Evidence":
        """Return the state after more values of the stream.

        Parameters
        ----------
        values : ndarray of shape (n,), float64
            Finite, in the order of the stream. How a stream is cut into calls makes no difference.

        Returns
        -------
        evidence : Evidence
        """
        if self.alarm is not None or not len(values):
            return self
        p, bins = self._ranks(values)
        payments = np.array([bet(p) for bet in BETS])
        stakes, peak, begin = self.stakes, self.peak, 0
        while begin < len(p):
            n = self.n + begin
            if n % BLOCK == 0:
                block = n // BLOCK
                stakes = stakes + 1 / ((block + 1) * (block + 2)) / len(BETS)
            end = min(len(p), begin + BLOCK - n % BLOCK)
            growth = np.cumprod(payments[:, begin:end], axis=1)
            wealth = stakes @ growth + 1 / (_blocks_begun(n + 1) + 1)
            most = float(wealth.max())
            if most >= self.limit:
                at = int(np.argmax(wealth >= self.limit))
                n, stakes, peak = n + at + 1, stakes * growth[:, at], float(wealth[at])
                # Without what came after the alarm, as if it had come in another call.
                counts = self._counts_with(bins[: begin + at + 1])
                return replace(self, counts=counts, stakes=stakes, n=n, peak=peak, alarm=n)
            stakes, peak, begin = stakes * growth[:, -1], max(peak, most), end
        counts = self._counts_with(bins)
        return replace(self, counts=counts, stakes=stakes, n=self.n + len(p), peak=peak)

    def _counts_with(self, bins: NDArray[np.int16]) -> Counts:
        return self.counts + np.bincount(bins, minlength=len(self.counts))

    def _ranks(self, values: Floats) -> tuple[Floats, NDArray[np.int16]]:
        """Smoothed p-value of each value among all before it, and the bin of each.

        p = (number above + chance * number in the same bin, itself included) / number so far.
        """
        bins = np.searchsorted(self.edges, values, side="right").astype(np.int16)
        chance = _uniforms(self.seed, self.n, len(values))
        p, counts = np.empty(len(values)), self.counts.copy()
        for begin in range(0, len(values), _RANKED):
            part = bins[begin : begin + _RANKED]
            # Row i looks at the columns before i: what this part itself has brought so far.
            before = _BEFORE[: len(part), : len(part)]
            n_same = _counted((part == part[:, np.newaxis]) & before)
            n_above = _counted((part > part[:, np.newaxis]) & before)
            above_or_same = np.cumsum(counts[::-1])[::-1]
            above = n_above + above_or_same[part] - counts[part]
            number = above_or_same[0] + np.arange(1, len(part) + 1)
            places = slice(begin, begin + len(part))
            p[places] = (above + chance[places] * (n_same + counts[part] + 1)) / number
            counts += np.bincount(part, minlength=len(counts))
        return p, bins

    def to_json(self) -> str:
        """Return the state as text, the inverse of `from_json`."""
        state = {name: getattr(self, name) for name in ("n", "peak", "alarm", "limit", "seed")}
        arrays = {name: getattr(self, name).tolist() for name in ("edges", "counts", "stakes")}
        return json.dumps(state | arrays)

    @classmethod
    def from_json(cls, text: str) -> "Evidence":
        """Build a state from its text; one of an earlier version has nothing on later bets yet."""
        read = json.loads(text)
        read["edges"] = np.array(read["edges"], dtype=np.float64)
        read["counts"] = np.array(read["counts"], dtype=np.int64)
        staked = np.array(read["stakes"], dtype=np.float64)
        read["stakes"] = np.r_[staked, np.zeros(len(BETS) - len(staked))]
        return cls(**read)


def _blocks_begun(n: int) -> int:
    return -(-n // BLOCK)


def _counted(where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Count the true ones of each row of fewer than 256; twice as fast as `np.count_nonzero`."""
    counted: NDArray[np.uint8] = where.view(np.uint8).sum(axis=1, dtype=np.uint8)
    return counted


def _uniforms(seed: int, first: int, n: int) -> Floats:
    """Return numbers `first` to `first + n` of an endless sequence of uniform ones."""
    # Philox counts in fours of 64 bits, so it can start anywhere.
    generator = np.random.Philox(key=seed)
    generator.advance(first)
    return np.random.Generator(generator).random(4 * n)[::4]


def combined_alpha(alpha: float, quantities: Sequence[str]) -> float:
    """Return the alpha of each of several streams that together keep `alpha` (Bonferroni)."""
    return alpha / max(1, len(quantities))
