"""Groups have their own figures, and only real gaps count as more than noise."""

import numpy as np
import pytest

from synthdetect.evaluation.groups import FIGURES, group_figures


def measured(y, called, cluster=None, seed=0, **groups):
    return group_figures(
        y,
        called,
        {name: np.asarray(group, dtype=str) for name, group in groups.items()},
        rng=np.random.default_rng(seed),
        cluster=cluster,
    )


def coin(n, seed, p=0.9):
    """Labels, and decisions that are right with probability `p` (one, or one for each image)."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return y, (rng.random(n) < p) == (y == 1)


def test_each_group_has_its_own_rates():
    y = np.array([0, 0, 1, 1, 1])
    called = np.array([True, False, True, True, False])
    groups = measured(y, called, place=["a", "a", "a", "b", "b"])["place"].groups
    assert list(groups) == ["a", "b"]
    assert (groups["a"].n, groups["a"].n_real, groups["a"].n_synthetic) == (3, 2, 1)
    assert groups["a"].false_positive_rate.value == 0.5
    assert groups["b"].false_negative_rate.value == 0.5
    assert groups["b"].accuracy.value == 0.5
    assert groups["b"].false_positive_rate.n == 0


def test_images_without_a_group_do_not_make_one():
    place = np.repeat(["dark", "light", ""], 200)
    y, called = coin(600, 0, np.where(place == "", 0.1, 0.9))
    found = measured(y, called, skin=place, unknown=np.full(600, ""))
    assert list(found["skin"].groups) == ["dark", "light"]
    assert found["skin"].gaps["accuracy"].difference.n == 400
    assert found["skin"].gaps["accuracy"].p_value > 0.01
    assert not found["unknown"].groups
    assert not found["unknown"].gaps


def test_a_real_gap_is_found_and_told():
    place = np.repeat(["dark", "light"], 400)
    y, called = coin(800, 0, np.where(place == "dark", 0.8, 0.95))
    gap = measured(y, called, skin=place)["skin"].gaps["accuracy"]
    assert (gap.lowest, gap.highest) == ("dark", "light")
    assert gap.p_value < 0.01
    assert 0 < gap.difference.low < 0.15 < gap.difference.high
    assert gap.difference.n == 800


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True], ids=["images", "clusters"])
def test_gaps_of_chance_have_evenly_spread_p_values(clustered):
    p_values = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        person = np.arange(240) // 4
        # All images of a person go right or wrong together.
        ok = (rng.random(60) < 0.8)[person] if clustered else rng.random(240) < 0.8
        y = rng.integers(0, 2, 60)[person]
        called = ok == (y == 1)
        group = rng.choice(["a", "b", "c"], 60)[person]
        found = measured(y, called, person if clustered else None, seed, who=group)
        p_values.append(found["who"].gaps["accuracy"].p_value)
    assert np.mean(np.array(p_values) <= 0.1) <= 0.25
    assert 0.35 < np.mean(p_values) < 0.65


def persons_of_both_classes(seed, n_persons=40, n_images=8):
    """Labels and decisions; a person's images of both classes go wrong together, or do not."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_persons), n_images)
    y = np.arange(len(person)) % 2
    wrong = rng.random(len(person)) < rng.beta(0.5, 1.5, n_persons)[person]
    group = np.array(["a", "b"])[rng.permutation(np.arange(n_persons) % 2)[person]]
    return y, (y == 1) ^ wrong, person, group


def test_images_of_a_person_keep_together_whatever_their_class():
    # Two persons: whichever of them is "a", the gap is the same.
    y, person = np.tile([0, 1], 40), np.repeat([0, 1], 40)
    gap = measured(y, (y == 1) ^ (person == 1), person, who=person)["who"].gaps["accuracy"]
    assert gap.difference.value == 1
    assert gap.p_value == 1


@pytest.mark.slow
def test_persons_of_both_classes_raise_no_more_false_alarms_than_stated():
    p_values = []
    for seed in range(300):
        y, called, person, group = persons_of_both_classes(seed)
        gaps = measured(y, called, person, seed, who=group)["who"].gaps
        p_values.append([gap.p_value for gap in gaps.values()])
    # 300 data sets know 5 % to 1.3 %, one standard error.
    assert (np.mean(np.array(p_values) <= 0.05, axis=0) < 0.08).all()


def test_the_share_of_synthetic_images_alone_makes_no_gap():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 500)
    group = np.where(rng.random(1000) < 0.2 + 0.6 * y, "many", "few")
    called = np.where(y == 1, rng.random(1000) < 0.6, rng.random(1000) < 0.02)
    gap = measured(y, called, group=group)["group"].gaps["accuracy"]
    assert gap.difference.value > 0.15
    assert gap.p_value > 0.05


def test_many_groupings_are_allowed_for():
    y, called = coin(400, 0)
    rng = np.random.default_rng(1)
    found = measured(y, called, **{f"g{i}": rng.choice(["a", "b"], 400) for i in range(6)})
    gaps = [gap for one in found.values() for gap in one.gaps.values()]
    assert len(gaps) == 6 * len(FIGURES)
    assert all(gap.p_adjusted >= gap.p_value for gap in gaps)
    assert min(gap.p_adjusted for gap in gaps) > min(gap.p_value for gap in gaps)


def test_one_group_has_no_gap():
    y, called = coin(20, 0)
    assert measured(y, called, who=["all"] * 20)["who"].gaps == {}


def test_groups_of_one_class_each_are_compared_within_the_class():
    y, called = coin(400, 0)
    source = np.where(y == 1, "gan", "camera")
    source[(y == 1) & (np.arange(400) < 200)] = "flux"
    gaps = measured(y, called, source=source)["source"].gaps
    assert "false_positive_rate" not in gaps
    assert {gaps["false_negative_rate"].highest, gaps["false_negative_rate"].lowest} == {
        "gan",
        "flux",
    }
