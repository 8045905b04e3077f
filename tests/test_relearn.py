"""Only what was asked for is learned, and no image has a say in its own probability."""

import doctest
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthdetect.ensemble import relearn as module
from synthdetect.ensemble.calibrate import Temperature
from synthdetect.ensemble.cascade import Cascade, learn_cascade
from synthdetect.ensemble.combine import LinearCombiner
from synthdetect.ensemble.learn import Decision, deal_folds, learn_decision
from synthdetect.ensemble.policies import CostWeighted, Fixed, Youden
from synthdetect.ensemble.prevalence import Shifted
from synthdetect.ensemble.relearn import (
    ForPrevalence,
    check_what,
    policy_at,
    relearn,
    relearn_cascade,
)
from synthdetect.ensemble.scaling import PlattScaling, TemperatureScaling
from synthdetect.ensemble.threshold import Threshold
from synthdetect.ensemble.voting import SoftVote
from synthdetect.errors import DataError

BEFORE = Decision(LinearCombiner((0.9, 0.1)), Temperature(3.0), Threshold(0.5, "by hand"))


def shifted_images(n, seed=0):
    """Logits of two members, both 2 too high, and labels; the second member is the better."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return rng.normal(2 + np.outer(2 * y - 1, [0.5, 1.5]), 1.0), y


class Recorded:
    """A policy that keeps what it saw."""

    def fit(self, y, p):
        self.y, self.p = np.asarray(y), np.asarray(p)
        return Fixed(0.5).fit(y, p)


def test_the_threshold_alone_leaves_the_probabilities():
    logits, y = shifted_images(200)
    learned = relearn(BEFORE, logits, y, policy=Youden(), seed=0)
    assert learned.combiner is BEFORE.combiner
    assert learned.calibrator is BEFORE.calibrator
    assert learned.threshold == Youden().fit(y, BEFORE.probability(logits))


def test_the_probability_keeps_the_combiner_and_becomes_calibrated():
    logits, y = shifted_images(4000)
    learned = relearn(BEFORE, logits, y, what="probability", calibrator=PlattScaling(), seed=0)
    assert learned.combiner is BEFORE.combiner
    others, labels = shifted_images(4000, seed=1)
    p = learned.probability(others)
    for low in (0.2, 0.4, 0.6):
        inside = (p >= low) & (p < low + 0.2)
        assert abs(p[inside].mean() - labels[inside].mean()) < 0.07
    assert learned.threshold.policy == repr(Youden())


@pytest.mark.parametrize("what", ["combiner", "all"])
def test_the_combiner_is_learned_with_what_follows_it(what):
    logits, y = shifted_images(400)
    learned = relearn(BEFORE, logits, y, what=what, calibrator=PlattScaling(), seed=4)
    assert learned == learn_decision(logits, y, calibrator=PlattScaling(), seed=4)
    assert learned.combiner != BEFORE.combiner


@settings(max_examples=15)
@given(row=st.integers(0, 59), seed=st.integers(0, 100))
def test_the_label_of_an_image_has_no_influence_on_the_probability_it_is_judged_at(row, seed):
    logits, y = shifted_images(60, seed)
    seen = []
    for calibrator in (PlattScaling(), _Turned(PlattScaling(), logits[row] @ [0.9, 0.1])):
        policy = Recorded()
        relearn(
            BEFORE, logits, y, what="probability", calibrator=calibrator, policy=policy, seed=seed
        )
        seen.append(policy.p[row])
    assert seen[0] == seen[1]


class _Turned:
    """Learns as another learner does, but with the label of one logit turned over."""

    def __init__(self, learner, logit):
        self.learner, self.logit = learner, logit

    def fit(self, logit, y):
        turned = np.isclose(logit, self.logit)
        return self.learner.fit(logit, np.where(turned, 1 - np.asarray(y), y))


def test_the_check_of_leaks_can_fail():
    logits, y = shifted_images(60)
    combined = BEFORE.combiner(logits)
    learned = [
        learner.fit(combined, y)(combined)[0]
        for learner in (PlattScaling(), _Turned(PlattScaling(), combined[0]))
    ]
    assert learned[0] != learned[1]


def test_the_threshold_is_chosen_on_calibrators_of_other_folds():
    logits, y = shifted_images(90)
    policy = Recorded()
    relearn(BEFORE, logits, y, what="probability", policy=policy, n_folds=3, seed=7)
    combined, fold = BEFORE.combiner(logits), deal_folds(y, n_folds=3, seed=7)
    for k in range(3):
        other = TemperatureScaling().fit(combined[fold != k], y[fold != k])
        np.testing.assert_array_equal(policy.p[fold == k], other(combined[fold == k]))


def test_groups_stay_in_one_fold():
    logits, y = shifted_images(90)
    groups = np.arange(90) // 6
    policy = Recorded()
    relearn(BEFORE, logits, y, what="probability", policy=policy, groups=groups, n_folds=3, seed=7)
    fold = deal_folds(y, groups=groups, n_folds=3, seed=7)
    combined = BEFORE.combiner(logits)
    held = fold == 0
    np.testing.assert_array_equal(
        policy.p[held], TemperatureScaling().fit(combined[~held], y[~held])(combined[held])
    )


def test_a_prevalence_reaches_a_policy_that_has_none_and_a_calibrator_that_is_learned():
    logits, y = shifted_images(400)
    moved = relearn(BEFORE, logits, y, policy=CostWeighted(), prevalence=0.02, seed=0)
    assert moved.threshold.policy.endswith("prevalence=0.02)")
    learned = relearn(
        BEFORE, logits, y, what="probability", calibrator=PlattScaling(), prevalence=0.02, seed=0
    )
    assert isinstance(learned.calibrator, Shifted)
    assert learned.probability(logits).mean() < 0.1
    assert abs(learned.calibrator.calibrator(BEFORE.combiner(logits)).mean() - 0.5) < 0.02
    assert learned.threshold.policy == "Youden()"


def cascade_again(what, *, prevalence=None, seed=1):
    """A cascade learned again on images unlike its own; before and after, and the new decision."""
    rng = np.random.default_rng(seed)
    y = (rng.random(4000) < 0.5).astype(int)
    logits = rng.normal((2 * y - 1)[:, np.newaxis] * [3.0, 2.0, 1.0], 2.0)
    decision = learn_decision(logits, y, seed=0)
    cascade = learn_cascade(decision, logits, y, order=[0], max_changed=0.02, seed=0)
    other = 2 * logits + 1
    learned = relearn(decision, other, y, what=what, prevalence=prevalence, seed=0)
    again = relearn_cascade(cascade, learned, other, y, what=what, prevalence=prevalence, seed=0)
    return cascade, again, learned, other, y


def test_a_new_threshold_leaves_the_probabilities_of_a_cascade():
    cascade, again, *_ = cascade_again("threshold")
    assert again.stages[0].calibrator == cascade.stages[0].calibrator
    assert again.stages[0] != cascade.stages[0]


def test_a_cascade_s_probabilities_are_for_the_prevalence_too():
    _, again, learned, logits, y = cascade_again("probability", prevalence=0.01)
    rare = np.where(y == 1, 0.01 / y.mean(), 0.99 / (1 - y.mean()))
    p = again.probability(learned, again.masked(learned.combiner, logits))
    stopped = np.isnan(again.masked(learned.combiner, logits)).any(axis=1)
    assert stopped.mean() > 0.3
    expected = np.average(y[stopped], weights=rare[stopped])
    assert np.average(p[stopped], weights=rare[stopped]) == pytest.approx(expected, rel=0.3)


def test_a_stage_that_adds_several_members_is_learned_again():
    rng = np.random.default_rng(0)
    y = np.arange(1000) % 2
    logits = rng.normal((2 * y - 1)[:, np.newaxis] * [3.0, 2.0, 1.0], 1.0)
    decision = learn_decision(logits, y, seed=0)
    one = learn_cascade(decision, logits, y, order=[0, 1], seed=0)
    both = Cascade(one.stages[1:], one.changed, one.stopped[1:])
    again = relearn_cascade(both, decision, logits, y, what="threshold", seed=0)
    assert [stage.columns for stage in again.stages] == [(0,), (0, 1)]
    assert again.stages[1].calibrator == both.stages[0].calibrator


def test_a_policy_s_own_prevalence_stays():
    assert policy_at(CostWeighted(prevalence=0.3), 0.02).prevalence == 0.3


def test_a_prevalence_that_nothing_depends_on_is_refused():
    logits, y = shifted_images(60)
    with pytest.raises(ValueError, match=r"does not change the threshold by Youden\(\)"):
        relearn(BEFORE, logits, y, prevalence=0.02, seed=0)
    with pytest.raises(ValueError, match=r"prevalence is 1\.5; use a share between 0 and 1"):
        relearn(BEFORE, logits, y, policy=CostWeighted(), prevalence=1.5, seed=0)
    with pytest.raises(ValueError, match="prevalence is 0; use a share"):
        ForPrevalence(PlattScaling(), 0)


def test_unknown_steps_are_refused_with_the_known_ones():
    logits, y = shifted_images(60)
    with pytest.raises(ValueError, match="what is 'calibrator'; use one of 'threshold', 'prob"):
        relearn(BEFORE, logits, y, what="calibrator", seed=0)


@pytest.mark.parametrize("policy", ["cost", Youden, 0.5])
def test_what_is_no_policy_is_refused_before_anything_is_learned(policy):
    with pytest.raises(ValueError, match=r"policy is .*; give one such as Youden\(\)"):
        check_what("threshold", policy)
    with pytest.raises(ValueError, match="policy is"):
        relearn(None, None, None, policy=policy, seed=0)


def test_few_images_are_enough_for_a_threshold_and_too_few_for_folds():
    logits, y = shifted_images(6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert relearn(BEFORE, logits, y, seed=0).threshold.n == 6
    with pytest.raises(DataError, match="3 real images, too few for 5 folds"):
        relearn(BEFORE, logits, y, what="probability", seed=0)


def test_cross_fitting_learns_each_combiner_once():
    class Counted:
        n_fits = 0

        def fit(self, logits, y):
            self.n_fits += 1
            return SoftVote().fit(logits, y)

    combiner = Counted()
    relearn(BEFORE, *shifted_images(60), what="combiner", combiner=combiner, seed=0)
    assert combiner.n_fits == 1 + 5 + 10  # all folds, one left out, two left out


def test_docstring_examples_run():
    assert doctest.testmod(module).failed == 0
