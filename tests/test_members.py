"""Member cards: who is good enough, and who is worse than the best by more than noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.errors import DataError
from synthdetect.evaluation.evaluate import evaluate
from synthdetect.evaluation.members import MemberCard, against_best, select

Y = np.arange(200) % 2


def card(name, n_flagged=0, n_missed=0, y=Y):
    """A card whose first real images are flagged and whose first synthetic ones are missed."""
    p = np.where(y == 1, 0.9, 0.1) + np.linspace(0, 0.05, len(y))
    p[np.flatnonzero(y == 0)[:n_flagged]] = 0.97
    p[np.flatnonzero(y == 1)[:n_missed]] = 0.02
    return MemberCard(
        name=name,
        kind="spectral",
        n_parameters=10,
        size_bytes=1000,
        ms_per_image=1.5,
        threshold_from="logit above 0",
        evaluation=evaluate(y, p, 0.5, groups={"source": np.where(y, "gan", "cam")}, n_bootstrap=9),
    )


def test_select_needs_precision_and_recall_of_both_classes():
    cards = [card("good", 5, 5), card("flags", 20, 0), card("misses", 0, 20), card("best", 1, 1)]
    assert [one.name for one in select(cards)] == ["best", "good"]
    # 20 of 100 real images flagged: their recall is 0.80, the precision of alarms 100 of 120.
    assert [one.name for one in select(cards, min_recall=0.8)] == ["best", "good"]
    assert len(select(cards, min_precision=0.8, min_recall=0.8)) == 4


def test_select_by_the_lower_end_is_stricter():
    barely = card("barely", 14, 14)
    assert select([barely]) == (barely,)
    assert select([barely], by="low") == ()


def test_select_of_nothing_is_empty():
    assert select([]) == ()
    assert select([card("poor", 60, 60)]) == ()


def test_a_class_that_is_not_there_is_never_enough():
    assert (
        select([card("one class", y=np.ones(50, dtype=int))], min_precision=0, min_recall=0) == ()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_precision": 1.2}, "min_precision is 1.2"),
        ({"min_recall": -0.1}, "min_recall is -0.1"),
        ({"by": "high"}, "by is 'high'; use 'value' or 'low'"),
    ],
)
def test_select_refuses_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        select([], **options)


POOL = tuple(card(f"{i}", *wrong) for i, wrong in enumerate([(0, 0), (4, 30), (30, 4), (50, 90)]))


@given(st.sets(st.sampled_from(POOL)), st.floats(0, 1), st.sampled_from(["value", "low"]))
def test_select_gives_those_and_only_those_that_reach_the_least(cards, least, by):
    chosen = select(list(cards), min_precision=least, min_recall=least, by=by)
    assert [one.evaluation.auroc.value for one in chosen] == sorted(
        (one.evaluation.auroc.value for one in chosen), reverse=True
    )
    for one in cards:
        of = (one.evaluation.real, one.evaluation.synthetic)
        worst = min(getattr(figure, by) for c in of for figure in (c.precision, c.recall))
        assert (one in chosen) == (worst >= least)


def test_the_test_is_against_the_most_accurate_and_cards_stand_by_auroc():
    cards = against_best([card("poor", 30, 0), card("best", 2, 0), card("near", 3, 0)])
    assert [one.name for one in cards] == ["best", "near", "poor"]
    best, near, poor = (one.against_best for one in cards)
    assert best is None
    assert (near.n_only_a, near.n_only_b, near.p_value) == (0, 1, 1.0)
    # 28 images that only the best judged rightly: 2 / 2^28.
    assert (poor.n_only_a, poor.n_only_b) == (0, 28)
    assert poor.p_value == pytest.approx(2 / 2**28)


def test_cards_of_other_images_or_one_name_cannot_be_compared():
    with pytest.raises(DataError, match="two members share a name"):
        against_best([card("a"), card("a")])
    with pytest.raises(DataError, match="the labels differ"):
        against_best([card("a"), card("b", y=Y[:100])])
    with pytest.raises(DataError, match="no member to compare"):
        against_best([])


def test_the_error_at_a_source_is_its_wrong_decisions():
    error = card("a", n_flagged=10).error_at_sources()
    assert error["cam"].value == pytest.approx(0.1)
    assert error["cam"].n == 100
    assert error["cam"].low < 0.1 < error["cam"].high < 0.2
    assert error["gan"].value == 0
