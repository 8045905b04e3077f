"""A sample looks like the whole, and a seed decides it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.data.dataset import Dataset
from synthdetect.data.sample import sample
from synthdetect.errors import DataError


def dataset(counts):
    """Images of a source each: `counts` of (class, source, n)."""
    y = np.concatenate([np.full(n, label) for label, _, n in counts]).astype(np.int64)
    source = np.concatenate([np.full(n, name, dtype="<U9") for _, name, n in counts])
    blank = np.full(len(y), "", dtype=np.str_)
    return Dataset(tuple(range(len(y))), y, source, blank, blank)


WHOLE = dataset([(0, "camera", 60), (0, "phone", 20), (1, "gan", 20), (1, "diffusion", 100)])


@given(st.integers(1, 250), st.integers(0, 50))
def test_classes_and_sources_are_in_proportion_to_an_image(n, seed):
    drawn = sample(WHOLE, n, seed=seed)
    assert len(drawn) == min(n, 200)
    for name, size in (("camera", 60), ("phone", 20), ("gan", 20), ("diffusion", 100)):
        assert abs(np.sum(drawn.source == name) - size * len(drawn) / 200) <= 2


def test_order_is_kept_and_no_image_comes_twice():
    drawn = sample(WHOLE, 50, seed=1).images
    assert list(drawn) == sorted(set(drawn))


def test_a_seed_draws_the_same_and_another_others():
    assert sample(WHOLE, 30, seed=1).images == sample(WHOLE, 30, seed=1).images
    assert sample(WHOLE, 30, seed=1).images != sample(WHOLE, 30, seed=2).images


def test_a_larger_sample_holds_the_smaller():
    assert set(sample(WHOLE, 30, seed=1).images) <= set(sample(WHOLE, 90, seed=1).images)


def test_none_is_refused():
    with pytest.raises(DataError, match="n is 0; use 1 or more"):
        sample(WHOLE, 0, seed=0)
