"""What the steps of an ensemble check of their arguments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.ensemble.checks import check_labels, check_logits, check_vector
from synthdetect.ensemble.policies import Youden
from synthdetect.errors import DataError
from synthdetect.evaluation.ranking import auroc

KINDS = (int, float, bool, np.uint8, np.int64, np.float32, object)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=20), st.sampled_from(KINDS))
def test_labels_of_any_kind_of_number_are_taken(y, kind):
    labels = check_labels(np.array(y, dtype=kind), len(y))
    assert labels.dtype == np.int64
    assert labels.tolist() == y


def test_labels_in_a_column_of_objects_mean_what_they_mean_elsewhere():
    y, p = [0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8]
    objects = np.array(y, dtype=object)
    assert auroc(objects, p) == auroc(y, p)
    assert Youden().fit(objects, p) == Youden().fit(y, p)


@pytest.mark.parametrize(
    ("y", "told"),
    [
        ([0, None, 1], "y of row 1 is None"),
        ([0, 1, "x"], "y of row 0 is '0'"),
        (np.array([0, 1, "x"], dtype=object), "use 0 for real and 1 for synthetic"),
        ([0, 1, 2], "y of row 2 is 2"),
        ([0, 1, np.nan], "y of row 2 is nan"),
        (np.array([0, 10**400, 1], dtype=object), "use 0 for real"),
        ([0, 1], r"y has shape \(2,\); use \(3,\)"),
        ([[0], [1, 2], [3]], "y is no flat list"),
    ],
    ids=str,
)
def test_other_labels_are_refused_by_row(y, told):
    with pytest.raises(DataError, match=told):
        check_labels(y, 3)


@pytest.mark.parametrize("values", [[10**400, 1], [[1], [2, 3]], ["a", "b"], [{}, 1]])
def test_what_is_no_number_is_refused_by_name(values):
    with pytest.raises(DataError, match="p is not an array of numbers"):
        check_vector("p", values)
    with pytest.raises(DataError, match="logits"):
        check_logits(values)
