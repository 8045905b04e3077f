"""Splits keep groups whole, and classes and sources in proportion."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.data.dataset import SPLITS, from_arrays
from synthdetect.data.splits import split
from synthdetect.errors import DataError


def labelled(y, groups=None, source=None):
    data = from_arrays([b""] * len(y), y, groups=groups)
    return data if source is None else replace(data, source=np.array(source))


def shares(data, rows):
    return np.array([np.mean(data.split[rows] == name) for name in SPLITS])


@given(st.integers(20, 60), st.integers(20, 60), st.integers(0, 2**32 - 1))
def test_classes_are_in_proportion_to_within_an_image_or_two(n_real, n_synthetic, seed):
    whole = labelled([0] * n_real + [1] * n_synthetic)
    data = split(whole, seed=seed)
    for label in (0, 1):
        rows = data.y == label
        assert np.abs(shares(data, rows) - (0.7, 0.1, 0.2)).max() * rows.sum() <= 2
    assert split(whole, seed=seed).split.tolist() == data.split.tolist()


@given(st.lists(st.integers(1, 6), min_size=30, max_size=60), st.integers(0, 2**32 - 1))
def test_groups_stay_whole_also_where_they_span_classes(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    y = (np.arange(len(groups)) % 3 == 0).astype(int)
    data = split(labelled(y, groups.tolist()), seed=seed)
    for group in np.unique(groups):
        assert len(set(data.split[groups == group].tolist())) == 1
    assert np.abs(shares(data, slice(None)) - (0.7, 0.1, 0.2)).max() * len(y) <= 2 * max(sizes)


def test_sources_are_in_proportion_whatever_the_sizes_of_their_groups():
    # One source has large groups only, which are dealt first.
    y = [0] * 300 + [1] * 300
    source = ["a"] * 100 + ["b"] * 200 + ["c"] * 300
    groups = [str(i // 5) if i < 100 else None for i in range(600)]
    data = split(labelled(y, groups, source), seed=0)
    for name in "abc":
        rows = data.source == name
        assert np.abs(shares(data, rows) - (0.7, 0.1, 0.2)).max() * rows.sum() <= 6, name


def test_many_small_sources_do_not_spoil_the_whole():
    y = np.arange(200) % 2
    data = split(labelled(y, source=[str(i // 2) for i in range(200)]), seed=1)
    assert np.abs(shares(data, slice(None)) - (0.7, 0.1, 0.2)).max() <= 0.02


def test_a_share_of_zero_is_no_split():
    data = split(labelled([0, 1] * 10), (0.8, 0.0, 0.2), seed=0)
    assert set(data.split.tolist()) == {"train", "test"}


def test_seeds_differ():
    data = labelled([0, 1] * 50)
    assert split(data, seed=0).split.tolist() != split(data, seed=1).split.tolist()


@pytest.mark.parametrize("fractions", [(0.7, 0.2), (0.7, 0.7, -0.4), (0.5, 0.1, 0.1)])
def test_what_is_no_share_is_refused(fractions):
    with pytest.raises(DataError, match="give the shares of train, val and test, 1 in sum"):
        split(labelled([0, 1] * 10), fractions, seed=0)


@pytest.mark.parametrize(
    ("y", "groups", "message"),
    [
        ([0] * 20, None, "no synthetic image for split 'train', as there are 0 in all"),
        ([0] * 20 + [1] * 2, None, "no synthetic image for split .*, as there are 2 in all"),
        ([0, 1] * 10, ["one"] * 20, "as there are 1 in all .a group counts once."),
        ([], None, "no real image for split 'train'"),
    ],
)
def test_a_split_without_a_class_is_refused(y, groups, message):
    with pytest.raises(DataError, match=message):
        split(labelled(y, groups), seed=0)
