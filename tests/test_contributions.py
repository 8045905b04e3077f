"""What members add is the combined logit, whatever the combiner."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.ensemble.combine import LinearCombiner, TrimmedCombiner
from synthdetect.ensemble.stacked import EstimatorCombiner, StackedCombiner
from synthdetect.ensemble.stacking import Stacking
from synthdetect.explanation.contributions import (
    EXACT,
    FOR_THIS_IMAGE,
    SHAPLEY,
    contributions,
)

LOGITS = st.lists(st.floats(-20, 20) | st.just(float("nan")), min_size=3, max_size=3)
ONE = (1.0, 1.0, 1.0)
COMBINERS = {
    "vote": LinearCombiner((0.5, 0.2, 0.3)),
    "vote without one": LinearCombiner((0.5, 0.0, 0.5)),
    "median": TrimmedCombiner(ONE, cut=0.5),
    "trimmed": TrimmedCombiner((1.0, 2.0, 0.5), cut=0.34),
    "logistic": StackedCombiner((1.0, -0.5, 2.0), 0.3, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), ONE),
    "pairwise": StackedCombiner(
        (1.0, 0.5, 2.0), 0.3, (0.0, 0.0, 0.0), ONE, ONE, pairs=(1.0, -2.0, 0.5)
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", COMBINERS)
@given(logits=LOGITS)
def test_start_and_parts_add_up_to_the_combined_logit(name, logits):
    combiner, row = COMBINERS[name], np.array(logits)
    combined = combiner(row[np.newaxis])[0]
    found = contributions(combiner, row)
    if not np.isnan(combined):
        assert found.start + sum(found.adds) == pytest.approx(combined, abs=1e-9)


def test_of_a_vote_they_are_weight_times_logit():
    found = contributions(LinearCombiner((0.75, 0.25)), np.array([4.0, -2.0]))
    assert found.adds == (3.0, -0.5)
    assert (found.weights, found.method) == ((0.75, 0.25), EXACT)


def test_the_weight_of_a_member_that_did_not_look_goes_to_the_others():
    found = contributions(LinearCombiner((0.75, 0.25)), np.array([np.nan, 2.0]))
    assert found.weights == (0.0, 1.0)
    assert found.adds == (0.0, 2.0)


def test_of_a_median_one_member_counts():
    found = contributions(TrimmedCombiner(ONE, cut=0.5), np.array([1.0, 99.0, 2.0]))
    assert found.adds == (0.0, 0.0, 2.0)
    assert found.method == FOR_THIS_IMAGE


def test_of_logistic_stacking_they_are_the_distance_from_the_usual_logit_times_the_weight():
    combiner = StackedCombiner((2.0, 1.0), 0.5, (0.0, 0.0), (1.0, 2.0), (1.0, -1.0))
    found = contributions(combiner, np.array([3.0, 3.0]))
    assert found.adds == pytest.approx((4.0, 2.0))
    assert found.weights == pytest.approx((2.0, 0.5))
    assert found.method == SHAPLEY


def test_of_trees_they_add_up_too():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    logits = rng.normal(size=(200, 3)) + y[:, np.newaxis]
    combiner = Stacking("boosting").fit(logits, y)
    found = contributions(combiner, logits[1])
    assert found.weights is None
    assert found.start + sum(found.adds) == pytest.approx(combiner(logits[1:2])[0])


def test_of_many_members_orders_are_drawn_and_still_add_up():
    class Product:
        def decision_function(self, columns):
            return columns.prod(axis=1)

    combiner = EstimatorCombiner(Product(), fill=(0.5,) * 9)
    row = np.linspace(0.5, 1.5, 9)
    found = contributions(combiner, row)
    assert "random orders" in found.method
    assert found.start + sum(found.adds) == pytest.approx(row.prod())
    assert found == contributions(combiner, row)
