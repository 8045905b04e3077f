"""Labels and probabilities for the tests of what chooses thresholds."""

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

# Few drawn images are meant; tests of the warnings themselves ask for them again.
few_images_are_meant = pytest.mark.filterwarnings(
    "ignore:the threshold is learned on",
    "ignore:the threshold is judged on",
    "ignore:all scores",
    "ignore:the classes are separated",
    "ignore:the threshold has no interval",
)

# A coarse grid, so that ties are common, and any float.
scores = st.one_of(st.integers(0, 8).map(lambda k: k / 8), st.floats(0, 1))


def labelled(max_size=25):
    """Draw pairs of a label and a probability."""
    return st.lists(st.tuples(st.integers(0, 1), scores), min_size=2, max_size=max_size)


def columns(drawn):
    """Labels and probabilities of what `labelled` drew; both classes are there."""
    y, p = (np.array(column) for column in zip(*drawn, strict=True))
    assume(0 < y.sum() < len(y))
    return y, p.astype(float)


def rates(y, p, value):
    """False positive and false negative rate at a threshold."""
    called = p >= value
    return called[y == 0].mean(), 1 - called[y == 1].mean()


def many(n, seed=0, strength=1.0):
    """Labels and probabilities of n images, half of them of each class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return y, 1 / (1 + np.exp(-rng.normal(strength * (2 * y - 1), 1.0)))
