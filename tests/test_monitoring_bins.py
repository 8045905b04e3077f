"""Bins of a quantity: equal shares, and a bin of its own for a value that is frequent."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.monitoring import bins
from synthdetect.monitoring.bins import bin_edges
from synthdetect.monitoring.drift import number_drift
from synthdetect.monitoring.sequential import Evidence


def test_without_ties_each_bin_has_the_same_share():
    reference = np.random.default_rng(0).normal(size=1000)
    edges = bin_edges(reference, 10)
    counts = np.bincount(np.searchsorted(edges, reference, side="right"))
    assert counts.tolist() == [100] * 10


@given(
    st.lists(st.sampled_from([0.0, 0.1, 12.192768, 95.0, 1e300]), min_size=1, max_size=300),
    st.integers(2, 256),
)
def test_a_frequent_value_shares_its_bin_with_no_other(reference, n_bins):
    values, times = np.unique(reference, return_counts=True)
    edges = bin_edges(np.array(reference), n_bins)
    assert (np.diff(edges) > 0).all()
    for value in values[times > max(1, len(reference) / n_bins)]:
        around = [np.nextafter(value, -np.inf), value, np.nextafter(value, np.inf)]
        below, at, above = np.searchsorted(edges, around, side="right")
        assert below < at < above


@pytest.mark.parametrize(("before", "after"), [(1.0, 12.0), (12.0, 1.0), (95.0, 95.5)])
def test_a_constant_that_moves_is_drift_in_either_direction(before, after):
    reference = np.full(2000, before)
    drift = number_drift("x", np.full(3000, after), reference)
    assert drift.psi > 1
    assert Evidence.start(reference, alpha=0.01).after(np.full(3000, after)).alarm < 50
    assert number_drift("x", np.full(3000, before), reference).psi < 0.01
    assert Evidence.start(reference, alpha=0.01).after(np.full(3000, before)).alarm is None


def test_one_quality_that_most_files_have_may_rise():
    reference = np.sort(np.r_[np.full(1400, 95.0), np.arange(500, 1100) / 12])
    moved = np.where(reference == 95.0, 100.0, reference)
    assert number_drift("x", moved, reference).psi > 0.25


def test_the_examples_of_the_docstrings_hold():
    assert doctest.testmod(bins, extraglobs={"np": np}).failed == 0
