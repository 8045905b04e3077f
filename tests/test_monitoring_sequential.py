"""The sequential test: its bound holds, its alarm comes soon, its state is exact."""

import doctest
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from monitored import traffic
from synthdetect.monitoring import sequential
from synthdetect.monitoring.sequential import BETS, BLOCK, Evidence


def score(p):
    """The logit of P(synthetic)."""
    return np.log(p) - np.log1p(-p)


def delay(before, after, alpha=0.01 / 9, seed=0):
    """Images from a change to its alarm; None without one."""
    evidence = Evidence.start(before[:10_000], alpha=alpha, seed=seed).after(before[10_000:])
    assert evidence.alarm is None
    alarm = evidence.after(after).alarm
    return None if alarm is None else alarm - (len(before) - 10_000)


@pytest.mark.parametrize("bet", BETS, ids=str)
def test_every_bet_is_fair_and_never_takes_more_than_was_staked(bet):
    payments = bet((np.arange(100_000) + 0.5) / 100_000)
    assert payments.min() >= 0
    assert payments.mean() == pytest.approx(1, abs=1e-4)


def test_ranks_are_uniform_whatever_the_ties():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=6000), rng.integers(0, 3, 6000), np.zeros(6000)):
        p, _ = Evidence.start(values[:1000].astype(float), alpha=0.01)._ranks(values[1000:])
        assert kstest(p, "uniform").pvalue > 1e-3
        # ... and independent of the one before.
        assert abs(np.corrcoef(p[1:], p[:-1])[0, 1]) < 4 / np.sqrt(len(p))


def test_ranks_count_what_came_before_and_nothing_else():
    evidence = Evidence.start(np.array([1.0, 2.0, 3.0, 4.0] * 50), alpha=0.1)
    values = np.random.default_rng(1).normal(2.5, 2, 500)
    p, _ = evidence._ranks(values)
    bins = np.searchsorted(evidence.edges, np.r_[[1.0, 2.0, 3.0, 4.0] * 50, values], side="right")
    for i in (0, 1, 191, 192, 193, 499):
        past, here = bins[: 201 + i], bins[200 + i]
        low, high = np.sum(past > here) / len(past), np.sum(past >= here) / len(past)
        assert low <= p[i] <= high


def test_wealth_starts_at_one_and_without_bets_the_purse_is_what_is_left():
    evidence = Evidence.start(np.arange(100.0), alpha=0.01)
    assert evidence.wealth == 1
    # All that is staked at first is half; fair bets on one image move it a little.
    assert 0.5 < evidence.after(np.array([50.0])).wealth < 1.6


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 700), max_size=5), seed=st.integers(0, 100))
def test_how_a_stream_is_cut_makes_no_difference(cuts, seed):
    rng = np.random.default_rng(seed)
    start = Evidence.start(rng.normal(size=300), alpha=0.01)
    values = rng.normal(0.4, 1, 700)
    whole, parts = start.after(values), start
    for part in np.split(values, sorted(cuts)):
        parts = Evidence.from_json(parts.to_json()).after(part)
    assert parts.alarm == whole.alarm
    assert parts.n == whole.n
    np.testing.assert_allclose(parts.stakes, whole.stakes, rtol=1e-9)
    assert parts.peak == pytest.approx(whole.peak, rel=1e-9)
    np.testing.assert_array_equal(parts.counts, whole.counts)


def test_false_alarms_are_as_rare_as_stated():
    # 80 streams of 3,000 images at alpha = 0.1.
    n_alarms = 0
    for seed in range(80):
        values = np.random.default_rng(seed).normal(size=3500)
        evidence = Evidence.start(values[:500], alpha=0.1, seed=seed).after(values[500:])
        n_alarms += evidence.alarm is not None
    assert n_alarms <= binom.ppf(0.999, 80, 0.1)


def test_no_change_for_100_000_images_raises_no_alarm():
    p = traffic(110_000, 0.01, seed=0)[1]
    evidence = Evidence.start(score(p[:10_000]), alpha=0.01).after(score(p[10_000:]))
    assert evidence.alarm is None
    assert evidence.peak < 100


@pytest.mark.slow
def test_no_change_for_100_000_images_raises_at_most_the_stated_false_alarms():
    n_alarms = 0
    for seed in range(100):
        p = traffic(105_000, 0.01, seed=seed)[1]
        evidence = Evidence.start(score(p[:5000]), alpha=0.05, seed=seed)
        n_alarms += evidence.after(score(p[5000:])).alarm is not None
    assert n_alarms <= binom.ppf(0.999, 100, 0.05)


def test_a_jump_of_the_prevalence_from_1_to_5_percent_is_found():
    for seed in range(4):
        before, after = traffic(40_000, 0.01, seed)[1], traffic(3000, 0.05, 100 + seed)[1]
        assert delay(score(before), score(after), seed=seed) < 2000


def test_a_new_generator_that_looks_half_real_is_found():
    # A tenth of the traffic is synthetic; then a new generator makes another tenth, and its scores
    # lie between the classes.
    for seed in range(4):
        before = traffic(40_000, 0.1, seed)[1]
        rng = np.random.default_rng(200 + seed)
        after = score(traffic(6000, 0.1, 100 + seed)[1])
        new = rng.random(6000) < 0.1
        after[new] = rng.normal(0, 3, new.sum())
        assert delay(score(before), after, seed=seed) < 4000


def test_heavier_compression_is_found_by_jpeg_quality():
    rng = np.random.default_rng(0)
    before = np.round(rng.normal(88, 5, 40_000))
    after = np.round(rng.normal(78, 6, 2000))
    assert delay(before, after) < 200


def test_a_wider_spread_with_the_same_middle_is_found():
    rng = np.random.default_rng(0)
    assert delay(rng.normal(size=40_000), rng.normal(0, 1.3, 4000)) < 2000


def test_a_value_that_never_changes_is_no_alarm():
    evidence = Evidence.start(np.full(100, 7.0), alpha=0.01).after(np.full(20_000, 7.0))
    assert evidence.alarm is None


def test_an_end_that_empties_is_found():
    # The known generator made a tenth of the images, at the upper end; its place is taken by one
    # whose images cannot be told from photographs.
    rng = np.random.default_rng(0)
    before = rng.normal(np.where(rng.random(40_000) < 0.1, 6, 0), 1)
    assert delay(before, rng.normal(size=2000)) < 1000


def test_a_state_from_before_some_bets_goes_on():
    values = np.random.default_rng(0).normal(size=3000)
    early = json.loads(Evidence.start(values[:1000], alpha=0.01).after(values[1000:]).to_json())
    early["stakes"] = early["stakes"][:-8]
    state = Evidence.from_json(json.dumps(early))
    assert len(state.stakes) == len(BETS)
    assert state.after(values[:BLOCK]).stakes[-1] > 0


def test_after_an_alarm_the_state_rests():
    evidence = Evidence.start(np.arange(1000.0), alpha=0.01).after(np.full(2000, 5000.0))
    assert evidence.alarm is not None
    assert evidence.after(np.arange(10.0)) is evidence


@pytest.mark.parametrize("alpha", [0, 1, -0.1, float("nan")])
def test_an_impossible_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha is"):
        Evidence.start(np.arange(10.0), alpha=alpha)


def test_the_examples_of_the_docstrings_hold():
    assert doctest.testmod(sequential, extraglobs={"np": np}).failed == 0
