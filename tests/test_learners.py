import doctest

import numpy as np
import pytest

from synthdetect.ensemble import learners
from synthdetect.ensemble.learn import learn_decision
from synthdetect.ensemble.learners import (
    CALIBRATORS,
    COMBINERS,
    calibrator_learner,
    combiner_learner,
)
from synthdetect.ensemble.voting import SoftVote, TrimmedMean


@pytest.mark.parametrize("combiner", [name for name in COMBINERS if name != "stacking"])
@pytest.mark.parametrize("calibrator", ["temperature", "platt"])
def test_every_name_learns(combiner, calibrator):
    y = np.arange(60) % 2
    logits = np.random.default_rng(0).normal(2 * y[:, None] - 1, 1.0, (60, 3))
    learned = learn_decision(
        logits,
        y,
        combiner=combiner_learner(combiner),
        calibrator=calibrator_learner(calibrator),
        n_folds=3,
        seed=0,
    )
    assert (learned.decision(logits) == y).mean() > 0.8
    assert learned.calibrator.to_dict()["kind"] == calibrator


@pytest.mark.parametrize(
    ("name", "kind"), [("stacking", "Stacking"), ("trimmed-mean", "TrimmedMean"), ("best", "Best")]
)
def test_a_name_stands_for_its_learner(name, kind):
    assert type(combiner_learner(name)).__name__ == kind


def test_all_calibrators_have_a_name():
    kinds = {type(calibrator_learner(name)).__name__ for name in CALIBRATORS}
    assert kinds == {
        "TemperatureScaling",
        "PlattScaling",
        "IsotonicCalibration",
        "BetaCalibration",
        "AutoCalibration",
    }


def test_learners_and_nothing_pass_through():
    learner = TrimmedMean(cut=0.1)
    assert combiner_learner(learner) is learner
    assert combiner_learner(None) is None


@pytest.mark.parametrize("given", ["soft_vote", 3, SoftVote])
def test_what_is_no_learner_is_refused_with_the_names(given):
    with pytest.raises(ValueError, match=r"combiner is .*use 'soft-vote', 'stacking', 'median'"):
        combiner_learner(given)
    with pytest.raises(ValueError, match=r"calibrator is .* or a learner such as Temperature"):
        calibrator_learner(given)


def test_docstring_examples_run():
    assert doctest.testmod(learners).failed == 0
