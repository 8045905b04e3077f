import doctest
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from synthdetect.ensemble import combine
from synthdetect.ensemble.combine import LinearCombiner, TrimmedCombiner
from synthdetect.errors import DataError

# Products that are subnormal lose bits where weights are scaled by a power of two.
logit = st.floats(-60, 60, allow_nan=False).map(lambda x: x if abs(x) > 1e-300 else 0.0)


@settings(deadline=None, max_examples=60)
@given(
    rows=arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=logit),
    order=st.randoms(),
)
def test_combined_logit_is_bit_equal_whatever_the_batch(rows, order):
    combiner = LinearCombiner(weights=(0.2, 0.7, 0.1))
    whole = combiner(rows)
    place = list(range(len(rows)))
    order.shuffle(place)
    alone = np.concatenate([combiner(rows[i : i + 1]) for i in range(len(rows))])
    assert whole.tobytes() == alone.tobytes()
    assert combiner(rows[place]).tobytes() == whole[place].tobytes()
    assert combiner(np.asfortranarray(rows)).tobytes() == whole.tobytes()


def test_combined_logit_is_the_weighted_sum():
    rows = np.array([[1.0, 2.0], [-4.0, 0.5]])
    np.testing.assert_allclose(LinearCombiner((0.3, 0.7))(rows), rows @ [0.3, 0.7], rtol=1e-15)


def test_the_vote_renormalises_over_the_members_that_looked():
    combiner = LinearCombiner((0.2, 0.3, 0.5))
    combined = combiner([[1.0, np.nan, 3.0], [np.nan, np.nan, 3.0], [1.0, 2.0, 3.0]])
    np.testing.assert_allclose(combined, [(0.2 + 1.5) / 0.7, 3.0, 2.3], rtol=1e-15)


def test_a_row_that_no_member_with_a_weight_looked_at_gives_nan():
    combined = LinearCombiner((1.0, 0.0))([[np.nan, 1.0], [np.nan, np.nan], [2.0, np.nan]])
    np.testing.assert_array_equal(combined, [np.nan, np.nan, 2.0])


def test_a_member_without_a_weight_spoils_nothing_were_it_infinite():
    rows = [[np.inf, 2.0, 1.0], [-np.inf, 2.0, np.nan], [np.inf, np.nan, np.nan]]
    combined = LinearCombiner((0.0, 1.0, 0.0), kind="best")(rows)
    np.testing.assert_array_equal(combined, [2.0, 2.0, np.nan])
    assert LinearCombiner((0.5, 0.5))([[np.inf, 1.0]]).tolist() == [np.inf]


def test_a_tiny_weight_is_enough_where_it_is_alone():
    combined = LinearCombiner((1.0, 5e-324))([[np.nan, 3.0], [2.0, np.nan], [2.0, 3.0]])
    np.testing.assert_array_equal(combined, [3.0, 2.0, 2.0])


@settings(deadline=None, max_examples=60)
@given(
    rows=arrays(np.float64, st.tuples(st.integers(1, 20), st.just(4)), elements=logit),
    weights=st.lists(st.just(0.0) | st.floats(0.01, 1), min_size=4, max_size=4),
    absent=st.integers(0, 3),
)
def test_votes_of_finite_logits_keep_the_bits_of_a_plain_sum(rows, weights, absent):
    combiner = LinearCombiner(tuple(weights))
    products = rows * weights
    plain = products[:, 0] + products[:, 1] + products[:, 2] + products[:, 3]
    assert combiner(rows).tobytes() == plain.tobytes()
    others = [j for j in range(4) if j != absent]
    weight = sum(weights[j] for j in others)
    if weight:
        rows[:, absent] = np.nan
        scaled = sum(products[:, j] for j in others) * (sum(weights) / weight)
        np.testing.assert_array_equal(combiner(rows), scaled)


some_missing = arrays(
    np.float64, st.tuples(st.integers(1, 20), st.just(4)), elements=logit | st.just(np.nan)
)


@settings(deadline=None, max_examples=60)
@given(
    rows=some_missing,
    combiner=st.sampled_from(
        [
            LinearCombiner((0.2, 0.7, 0.0, 0.1)),
            TrimmedCombiner((1.0, 0.5, 2.0, 1.0), cut=0.5),
            TrimmedCombiner((1.0, 0.5, 2.0, 1.0), cut=0.25),
        ]
    ),
)
def test_combined_logit_is_bit_equal_whatever_the_batch_with_members_missing(rows, combiner):
    whole = combiner(rows)
    alone = np.concatenate([combiner(rows[i : i + 1]) for i in range(len(rows))])
    assert whole.tobytes() == alone.tobytes()
    assert combiner(rows[::-1])[::-1].tobytes() == whole.tobytes()


@settings(deadline=None, max_examples=60)
@given(
    rows=arrays(
        np.float64, st.tuples(st.integers(1, 9), st.integers(1, 7)), elements=st.floats(-9, 9)
    ),
    share=st.sampled_from([0.0, 0.1, 0.25, 0.4]),
)
def test_trimmed_means_are_those_of_scipy_and_the_median_that_of_numpy(rows, share):
    from scipy.stats import trim_mean

    ones = (1.0,) * rows.shape[1]
    trimmed, median = (TrimmedCombiner(ones, cut)(rows) for cut in (share, 0.5))
    np.testing.assert_allclose(trimmed, trim_mean(rows, share, axis=1), atol=1e-12)
    np.testing.assert_allclose(median, np.median(rows, axis=1), atol=1e-12)


def test_the_median_is_of_the_members_that_looked():
    combiner = TrimmedCombiner((1.0,) * 3, cut=0.5)
    combined = combiner([[1.0, np.nan, 5.0], [np.nan, 2.0, np.nan], [np.nan] * 3])
    np.testing.assert_array_equal(combined, [3.0, 2.0, np.nan])


def test_no_rows_give_no_logits():
    assert LinearCombiner((0.5, 0.5))(np.empty((0, 2))).shape == (0,)


@pytest.mark.parametrize("logits", [[[1.0, 2.0, 3.0]], [1.0, 2.0], np.empty((3, 0))])
def test_combiner_refuses_another_number_of_members(logits):
    with pytest.raises(DataError, match="logits has"):
        LinearCombiner((0.5, 0.5))(logits)


@settings(deadline=None, max_examples=60)
@given(weights=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6))
def test_combiner_survives_json(weights):
    combiner = LinearCombiner(tuple(weights), kind="soft_vote")
    assert LinearCombiner.from_dict(json.loads(json.dumps(combiner.to_dict()))) == combiner


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"kind": "soft_vote"}, "combiner: weights is missing"),
        ({"kind": "soft_vote", "weights": [1.0], "bias": 1}, "combiner: bias is not known"),
        ({"kind": "soft_vote", "weights": [0.5, "x"]}, r"weights\[1\] is 'x'"),
        ({"kind": "soft_vote", "weights": [True]}, r"weights\[0\] is True"),
        ({"kind": "soft_vote", "weights": [float("nan")]}, r"weights\[0\] is nan"),
        ({"kind": "soft_vote", "weights": [10**400]}, r"weights\[0\] is 1000"),
        ({"kind": "soft_vote", "weights": []}, "weights is empty"),
        ({"kind": "soft_vote", "weights": "11"}, "weights is '11'; use a list"),
        ({"kind": 3, "weights": [1.0]}, "combiner: kind is 3"),
        ([1.0], "not a mapping"),
    ],
)
def test_combiner_description_is_refused_by_field(description, message):
    with pytest.raises(ValueError, match=message):
        LinearCombiner.from_dict(description)


APPLY = """
import sys
from synthdetect.ensemble.combine import LinearCombiner
from synthdetect.ensemble.calibrate import Temperature
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.threshold import Threshold
import synthdetect.evaluation.metrics
decision = Decision(LinearCombiner((1.0,)), Temperature(1.0), Threshold(0.5, "by hand"))
assert decision.decision([[1.0]]).tolist() == [1.0]
"""
REPORT = "print(sorted({'scipy', 'sklearn', 'keras', 'PIL'} & set(sys.modules)))"


def modules_after(script):
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_applying_the_three_steps_imports_numpy_alone():
    assert modules_after(APPLY + REPORT) == "[]"


def test_the_import_check_can_fail():
    learn = "from synthdetect.ensemble.voting import SoftVote\n"
    learn += "SoftVote().fit([[-1.0, 1.0], [1.0, 2.0]], [0, 1])\n"
    assert modules_after(APPLY + learn + REPORT) == "['scipy']"


def test_docstring_examples_run():
    assert doctest.testmod(combine).failed == 0
