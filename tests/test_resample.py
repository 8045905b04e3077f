"""The stratified bootstrap keeps what it must keep."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from synthdetect.evaluation import resample
from synthdetect.evaluation.resample import replicate_counts

labels = st.lists(st.integers(0, 1), min_size=1, max_size=30).map(np.array)


def drawn(y, cluster=None, n=20, seed=0):
    return np.vstack(list(replicate_counts(y, cluster, n, np.random.default_rng(seed))))


@settings(max_examples=40)
@given(y=labels)
def test_each_class_keeps_its_size(y):
    counts = drawn(y)
    assert counts.shape == (20, len(y))
    np.testing.assert_array_equal(counts @ y, np.full(20, y.sum()))
    np.testing.assert_array_equal(counts.sum(axis=1), np.full(20, len(y)))


@settings(max_examples=40)
@given(y=labels, seed=st.integers(0, 99))
def test_images_of_a_cluster_are_drawn_together_and_no_class_is_lost(y, seed):
    cluster = np.random.default_rng(seed).integers(0, 4, len(y))
    counts = drawn(y, cluster)
    for one in np.unique(cluster):
        assert (np.ptp(counts[:, cluster == one], axis=1) == 0).all()
    for label in np.unique(y):
        assert (counts[:, y == label].sum(axis=1) > 0).all()


def test_the_same_seed_draws_the_same_in_blocks_of_any_number(monkeypatch):
    y = np.arange(30) % 2
    whole = drawn(y)
    np.testing.assert_array_equal(whole, drawn(y))
    monkeypatch.setattr(resample, "_BLOCK", 200)
    assert drawn(y).shape == whole.shape
    assert len(list(replicate_counts(y, None, 20, np.random.default_rng(0)))) == 4


def test_counts_vary_as_a_bootstrap_does():
    counts = drawn(np.zeros(50, dtype=int), n=4000)
    assert abs(counts.mean() - 1) < 1e-12
    assert abs(counts.var() - (1 - 1 / 50)) < 0.02
