"""Simulated traffic for the tests of monitoring: probabilities that mean what they say."""

import numpy as np

from synthdetect.ensemble.calibrate import Temperature
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.threshold import Threshold
from synthdetect.ensemble.voting import SoftVote
from synthdetect.monitoring.monitor import Monitor

# Distance of the classes in standard deviations of the score.
D = 4.0


class Named:
    """A member's name, which is all that a monitor of scores asks of it."""

    def __init__(self, name):
        self.name = name


class ScoresOnly:
    """The learned half of a detector: a decision over two members, and no images."""

    def __init__(self, cut=0.5, names=("a", "b")):
        rng = np.random.default_rng(0)
        y = np.arange(400) % 2
        logits = rng.normal(D * (2 * y - 1)[:, np.newaxis] / 2, 1, (400, len(names)))
        combiner = SoftVote().fit(logits, y)
        self.decision_ = Decision(combiner, Temperature(1.0), Threshold(cut, "by hand", 200, 200))
        self.members_ = [Named(name) for name in names]
        self.limits = self.workers = None


def traffic(n, prevalence, seed, d=D):
    """Labels and P(synthetic), calibrated where half of the images are synthetic."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < prevalence).astype(int)
    return y, 1 / (1 + np.exp(-d * rng.normal(d * (2 * y - 1) / 2, 1)))


def two_members(n, prevalence, seed):
    """Logits of shape (n, 2)."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < prevalence
    return rng.normal(np.where(y, D, -D)[:, np.newaxis] / 2, 1, (n, 2))


def started(path, reference=None, **options):
    """A monitor of two members in a new store."""
    normal = two_members(3000, 0.05, 1) if reference is None else reference
    return Monitor.for_detector(ScoresOnly(), reference=normal, store=path, **options)
