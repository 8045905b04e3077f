import numpy as np
import pytest

from synthdetect.ensemble.trees import MOST_LEVELS, MOST_NODES, MOST_TREES, BoostedCombiner, Tree

STUMP = {
    "feature": [0, -1, -1],
    "threshold": [0.5, 0.0, 0.0],
    "left": [1, -1, -1],
    "right": [2, -1, -1],
    "value": [0.0, -1.0, 2.0],
}


def described(**changed):
    tree = STUMP | changed
    return {"kind": "boosting", "bias": 0.5, "fill": [0.0], "trees": [tree]}


def test_rows_go_left_up_to_the_threshold_and_trees_add_to_the_start():
    combiner = BoostedCombiner.from_dict(described())
    np.testing.assert_array_equal(combiner([[0.5], [0.6], [-np.inf]]), [-0.5, 2.5, -0.5])


def test_logits_too_large_for_float32_are_still_compared():
    with np.errstate(all="raise"):
        assert BoostedCombiner.from_dict(described())([[1e300], [-1e300]]).tolist() == [2.5, -0.5]


def test_no_trees_give_the_start():
    assert BoostedCombiner(0.5, (), (0.0,))([[1.0]]).tolist() == [0.5]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"left": [0, -1, -1]}, "node 0 asks for column 0 and goes on to 0 and 2"),
        ({"left": [1, 1, -1], "feature": [0, 0, -1]}, "node 1"),
        ({"right": [3, -1, -1]}, "goes on to 1 and 3"),
        ({"right": [-5, -1, -1]}, "goes on to 1 and -5"),
        ({"feature": [1, -1, -1]}, "asks for column 1, there are 1 members"),
        ({"feature": [-2, -1, -1]}, "node 0 asks for column -2"),
        ({"feature": [0, 0, -1]}, "node 1 asks for column 0"),
        ({"feature": [0.0, -1, -1]}, "feature is not a list of whole numbers"),
        ({"left": [True, -1, -1]}, "left is not a list of whole numbers"),
        ({"value": [0.0, 1.0]}, "with every field of each"),
        ({"value": [0.0, 1.0, float("nan")]}, r"value\[2\] is nan"),
        ({"feature": [], "threshold": [], "left": [], "right": [], "value": []}, "use 1 to"),
        ({"feature": [-1] * (MOST_NODES + 1)}, f"has {MOST_NODES + 1} numbers"),
        ({"extra": []}, "extra is not known"),
    ],
)
def test_a_tree_that_could_loop_or_read_out_of_range_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        BoostedCombiner.from_dict(described(**changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trees": [STUMP] * (MOST_TREES + 1)}, "not a list of at most"),
        ({"trees": {}}, "not a list of at most"),
        ({"trees": [3]}, "tree: 3 is not a mapping"),
        ({"bias": "x"}, "bias is 'x'"),
        ({"fill": []}, "asks for column 0, there are 0 members"),
    ],
)
def test_description_is_refused_by_field(changed, message):
    with pytest.raises(ValueError, match=message):
        BoostedCombiner.from_dict(described() | changed)


def chain(levels):
    n = 2 * levels + 1
    inner = [i % 2 == 0 and i < n - 1 for i in range(n)]
    return {
        "feature": [0 if node else -1 for node in inner],
        "threshold": [0.0] * n,
        "left": [i + 1 if node else -1 for i, node in enumerate(inner)],
        "right": [i + 2 if node else -1 for i, node in enumerate(inner)],
        "value": [float(i) for i in range(n)],
    }


def test_a_long_chain_ends():
    tree = Tree(**{name: tuple(values) for name, values in chain(MOST_LEVELS).items()})
    rows = np.array([[1.0], [-1.0]], dtype=np.float32)
    assert tree(rows).tolist() == [2.0 * MOST_LEVELS, 1.0]


def test_a_chain_so_long_that_one_row_takes_its_time_is_refused():
    with pytest.raises(ValueError, match="it has 65 levels below the root; use 64 at most"):
        BoostedCombiner.from_dict(described(**chain(MOST_LEVELS + 1)))
