"""A cascade: asks no further where the answer is clear, and says what the whole ensemble says."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthdetect.ensemble.band import Band
from synthdetect.ensemble.cascade import Cascade, learn_cascade
from synthdetect.ensemble.learn import learn_decision
from synthdetect.ensemble.policies import Fixed
from synthdetect.errors import DataError


def examples(n=2000, seed=0, strength=(2.0, 1.5, 1.0)):
    """Logits of members of different strength on n images, half of them synthetic."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    columns = [s * rng.normal((2 * y - 1) * s, 1.0) for s in strength]
    return np.column_stack(columns), y


LOGITS, Y = examples()
DECISION = learn_decision(LOGITS, Y, seed=0)
CASCADE = learn_cascade(DECISION, LOGITS, Y, order=[0, 1], seed=0)


def changed(cascade, logits, decision=DECISION):
    p = cascade.probability(decision, cascade.masked(decision.combiner, logits))
    wanted = decision.threshold.decide(decision.probability(logits))
    return float((decision.threshold.decide(p) != wanted).mean())


def test_clear_images_ask_no_further_and_unclear_ones_ask_all():
    asked = (~np.isnan(CASCADE.masked(DECISION.combiner, LOGITS))).sum(axis=1)
    assert set(asked.tolist()) == {1, 2, 3}
    for side in (LOGITS[:, 0] > 0, LOGITS[:, 0] < 0):
        clear = np.abs(LOGITS[:, 0])
        assert clear[side & (asked == 1)].min() > clear[side & (asked > 1)].max()


def test_new_images_are_decided_as_by_the_whole_ensemble():
    fresh, _ = examples(40_000, seed=1)
    # Four standard deviations above the share that was asked for.
    assert changed(CASCADE, fresh) <= 0.001 + 4 * np.sqrt(0.001 / 40_000) + 0.001
    assert CASCADE.changed.low <= changed(CASCADE, fresh) <= CASCADE.changed.high


def test_stated_share_that_stops_is_that_of_new_images():
    fresh, _ = examples(40_000, seed=2)
    seen = CASCADE.masked(DECISION.combiner, fresh)
    stops = float(np.isnan(seen).any(axis=1).mean())
    assert abs(stops - sum(share.value for share in CASCADE.stopped)) < 0.02


def test_more_changes_allowed_stop_more_images():
    shares = [
        learn_cascade(DECISION, LOGITS, Y, order=[0], max_changed=share, seed=0).stopped[0].value
        for share in (0.0, 0.002, 0.02)
    ]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_whole_ensemble_answers_where_all_were_asked():
    p = CASCADE.probability(DECISION, LOGITS)
    np.testing.assert_array_equal(p, DECISION.probability(LOGITS))


def test_image_that_nobody_saw_has_no_probability():
    assert np.isnan(CASCADE.probability(DECISION, np.full((1, 3), np.nan))).all()


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["cutoff", "band"]))
def test_images_that_stop_are_never_within_the_cut_offs(seed, kind):
    logits, y = examples(400, seed=seed)
    policy = Fixed(0.6) if kind == "cutoff" else Band(review=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        decision = learn_decision(logits, y, policy=policy, seed=0)
    cascade = learn_cascade(decision, logits, y, order=[0, 2], max_changed=0.02, seed=0)
    cut = decision.threshold
    for stage in cascade.stages:
        assert stage.low < getattr(cut, "low", cut.value)
        assert stage.high >= cut.value
    assert "uncertain" not in set(
        cut.decide(
            np.concatenate(
                [p for s in cascade.stages for p in ([s.low], [s.high])],
            )
        )
    )


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_description_round_trip(seed):
    logits, y = examples(300, seed=seed)
    decision = learn_decision(logits, y, seed=0)
    cascade = learn_cascade(decision, logits, y, order=[0, 1], max_changed=0.02, seed=seed)
    again = Cascade.from_dict(cascade.to_dict(), n_members=3)
    assert again == cascade


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": []}, "at least one stage"),
        ({"stages": 3}, "stages is no list"),
        ({"changed": None}, "rate"),
        ({"more": 1}, "more is not known"),
    ],
)
def test_wrong_descriptions_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Cascade.from_dict(CASCADE.to_dict() | change, n_members=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": [0, 1, 2]}, "1 to 2 members"),
        ({"columns": [7]}, "there are 3 members"),
        ({"columns": [1, 0]}, "needs those of the one before"),
        ({"low": 0.9, "high": 0.1}, "low < high"),
        ({"high": float("nan")}, "finite"),
    ],
)
def test_wrong_stages_are_refused(change, message):
    description = CASCADE.to_dict()
    description["stages"][0] |= change
    with pytest.raises(ValueError, match=message):
        Cascade.from_dict(description, n_members=3)


@pytest.mark.parametrize("order", [[], [0, 0], [3], [-1]])
def test_impossible_orders_are_refused(order):
    with pytest.raises(ValueError, match="order is"):
        learn_cascade(DECISION, LOGITS, Y, order=order, seed=0)


def test_one_member_is_no_cascade():
    decision = learn_decision(LOGITS[:, :1], Y, seed=0)
    with pytest.raises(ValueError, match="at least two members"):
        learn_cascade(decision, LOGITS[:, :1], Y, order=[0], seed=0)


def test_member_without_a_say_cannot_be_first():
    """A vote gives a member of pure noise no weight."""
    rng = np.random.default_rng(0)
    logits = np.column_stack([rng.normal(size=len(Y)), LOGITS[:, 0], LOGITS[:, 1]])
    decision = learn_decision(logits, Y, seed=0)
    with pytest.raises(DataError, match="no say in the combiner"):
        learn_cascade(decision, logits, Y, order=[0], seed=0)
