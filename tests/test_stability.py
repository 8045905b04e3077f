"""Stability: an image counts as stable where every form is judged, and judged alike."""

import doctest
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from synthdetect.ensemble.threshold import BandThreshold, Threshold
from synthdetect.errors import DataError
from synthdetect.evaluation import stability as module
from synthdetect.evaluation.interval import rate
from synthdetect.evaluation.stability import Stability, flips

HALF = Threshold(0.5, "by hand")
NAMES = ("untouched", "jpeg", "half")
P = [
    [0.1, 0.2, 0.3],  # real, cleared in all forms
    [0.1, 0.2, 0.9],  # real, flagged at half the size
    [0.9, 0.8, 0.7],  # synthetic, found in all forms
    [0.9, 0.1, 0.1],  # synthetic, lost in two forms
    [0.9, 0.9, np.nan],  # synthetic, too small for one form
]
Y = [0, 0, 1, 1, 1]


def seen(p=P, threshold=HALF):
    return Stability.of(NAMES[: np.shape(p)[1]], p, threshold.decide)


def test_decisions_stay_where_all_forms_agree_and_are_uncertain_elsewhere():
    assert seen().stable.tolist() == [True, False, True, False, False]
    assert seen().decided.tolist() == ["real", "uncertain", "synthetic", "uncertain", "uncertain"]


def test_a_band_is_stable_within_itself():
    band = BandThreshold(0.2, 0.8, "by hand")
    one = seen([[0.5, 0.4, 0.6], [0.5, 0.9, 0.5]], band)
    assert one.stable.tolist() == [True, False]
    assert one.decided.tolist() == ["uncertain", "uncertain"]


def test_columns_must_have_names():
    with pytest.raises(DataError, match="one column for each of 2"):
        Stability.of(("a", "b"), P, HALF.decide)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.just(4)), elements=st.floats(0, 1)))
def test_the_order_of_the_other_forms_does_not_matter(p):
    one = Stability.of("abcd", p, HALF.decide)
    other = Stability.of("adcb", p[:, [0, 3, 2, 1]], HALF.decide)
    np.testing.assert_array_equal(one.decided, other.decided)
    assert set(one.decided) <= {"real", "synthetic", "uncertain"}


def test_shares_are_of_the_images_that_were_judged_in_all_forms():
    found = flips(seen(), Y)
    assert (found.n, found.n_left_out) == (4, 1)
    assert found.any == rate(2, 4)
    assert found.real_flagged == rate(1, 2)
    assert found.synthetic_lost == rate(1, 2)
    assert found.by_form == {"jpeg": rate(1, 4), "half": rate(2, 4)}


def test_mean_change_is_over_images_and_forms():
    found = flips(seen([[0.1, 0.2, 0.4], [0.9, 0.9, 0.8]]), [0, 1])
    assert found.change.value == pytest.approx((0.1 + 0.3 + 0.0 + 0.1) / 4)
    assert found.change_by_form["half"].value == pytest.approx(0.2)


def test_groups_are_counted_on_their_own():
    found = flips(seen(), Y, groups={"source": ["a", "b", "a", "b", "c"]})
    assert found.groups == {"source": {"a": rate(0, 2), "b": rate(2, 2)}}


def test_figures_survive_json():
    told = json.loads(json.dumps(flips(seen(), Y).to_dict(), allow_nan=False))
    assert told["any"]["value"] == 0.5
    assert told["by_form"]["jpeg"]["n"] == 4


def test_nothing_to_judge_is_an_error():
    with pytest.raises(DataError, match="none of 1 images could be judged in all forms"):
        flips(seen([[0.1, np.nan]]), [0])


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="groups 'source'"):
        flips(seen(), Y, groups={"source": ["a"]})


def test_the_example_runs():
    assert doctest.testmod(module).failed == 0
