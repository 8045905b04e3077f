"""What validation images teach: untouched, and worked over."""

import numpy as np
import pytest

from conftest import labelled_arrays
from synthdetect.data.dataset import from_arrays
from synthdetect.ensemble.policies import Fixed
from synthdetect.ensemble.scaling import PlattScaling, TemperatureScaling
from synthdetect.ensemble.voting import Median, SoftVote
from synthdetect.errors import ImageError, RecipeError
from synthdetect.images.perturb import Augmentation
from synthdetect.images.views import Crops
from synthdetect.members.spectrum import SpectralMember
from synthdetect.training.decide import DecisionPlan, Learners, all_logits, lesson
from synthdetect.training.fit import train_ensemble
from synthdetect.training.log import TrainingLog
from synthdetect.training.recipe import Recipe

SMALLER = Augmentation(flip=0, jpeg=0, blur=0, resize=1, resize_scale=(0.5, 0.6))
NOTHING = Augmentation(flip=0, jpeg=0, blur=0, resize=0)
MEMBER = SpectralMember(view=Crops(1, 128), copies=0, n_nets=1, n_hidden=4, n_epochs=20)


@pytest.fixture(scope="module")
def val():
    images, y = labelled_arrays(12, seed=5)
    return from_arrays(images, y, groups=[f"person {i // 2}" for i in range(len(y))])


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    images, y = labelled_arrays(30, seed=0)
    recipe = Recipe(members=(MEMBER,), seed=1)
    return train_ensemble(
        from_arrays(images, y), recipe, out=tmp_path_factory.mktemp("run")
    ).members


@pytest.fixture
def log(tmp_path):
    return TrainingLog(tmp_path)


def test_without_copies_the_images_teach_as_they_are(val, members, log):
    taught = lesson(val, members, DecisionPlan(), seed=0, log=log)
    np.testing.assert_array_equal(taught.logits, all_logits(val.images, members, log=log))
    np.testing.assert_array_equal(taught.y, val.y)
    assert taught.n_untouched == len(val)


def test_copies_follow_the_untouched_images_in_their_groups(val, members, log):
    taught = lesson(val, members, DecisionPlan(copies=2, augmentation=SMALLER), seed=0, log=log)
    n = len(val)
    assert len(taught.logits) == 3 * n
    np.testing.assert_array_equal(taught.untouched, all_logits(val.images, members, log=log))
    np.testing.assert_array_equal(taught.y, np.tile(val.y, 3))
    np.testing.assert_array_equal(taught.groups[:n], taught.groups[n : 2 * n])
    assert np.all(taught.logits[n:] != np.tile(taught.untouched, (2, 1)))
    assert np.any(taught.logits[n : 2 * n] != taught.logits[2 * n :])


def test_images_without_a_group_share_one_with_their_copies(members, log):
    images, y = labelled_arrays(5, seed=5)
    plan = DecisionPlan(copies=1, augmentation=NOTHING)
    taught = lesson(from_arrays(images, y), members, plan, seed=0, log=log)
    assert len(set(taught.groups)) == len(y)


def test_copies_depend_on_the_seed_alone(val, members, log):
    plan = DecisionPlan(copies=1, augmentation=SMALLER)
    first, again, other = (lesson(val, members, plan, seed=s, log=log).logits for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_a_copy_too_small_to_read_is_the_image_itself(members, log):
    images = [np.random.default_rng(i).integers(0, 256, (40, 40, 3), np.uint8) for i in range(20)]
    plan = DecisionPlan(copies=1, augmentation=SMALLER)
    taught = lesson(from_arrays(images, [0, 1] * 10), members, plan, seed=0, log=log)
    np.testing.assert_array_equal(taught.logits[20:], taught.untouched)


def test_probabilities_of_other_folds_are_of_the_untouched_images(val, members, log):
    taught = lesson(val, members, DecisionPlan(copies=1), seed=0, log=log)
    learners = Learners().or_those_of(DecisionPlan())
    assert taught.out_of_fold(learners, seed=0).shape == (len(val),)


def test_copies_move_the_decision(val, members, log):
    learners = Learners().or_those_of(DecisionPlan(calibrator="platt"))
    plans = (DecisionPlan(), DecisionPlan(copies=3, augmentation=SMALLER))
    maps = [lesson(val, members, p, seed=0, log=log).decision(learners, seed=0) for p in plans]
    assert maps[0].calibrator != maps[1].calibrator


def test_one_member_alone_is_its_column(val, members, log):
    taught = lesson(val, (*members, *members), DecisionPlan(), seed=0, log=log)
    alone = taught.decision(Learners().or_those_of(DecisionPlan()), seed=0, columns=[1])
    assert alone.combiner.weights == (1.0,)


def test_learners_that_are_given_win_over_the_recipe():
    given = Learners(combiner=Median(), policy=Fixed(0.3))
    assert given.or_those_of(DecisionPlan(combiner="best", calibrator="platt")) == Learners(
        Median(), PlattScaling(), Fixed(0.3)
    )
    assert Learners().or_those_of(DecisionPlan()) == Learners(SoftVote(), TemperatureScaling())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"combiner": "vote"}, "combiner is 'vote'; use one of soft-vote"),
        ({"calibrator": "none"}, "calibrator is 'none'; use one of temperature"),
        ({"copies": -1}, "copies is -1"),
    ],
)
def test_an_impossible_plan_is_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        DecisionPlan(**options)


def test_an_image_that_cannot_be_read_stops(members, log):
    with pytest.raises(ImageError, match="image 0"):
        all_logits([b"no image"], members, log=log)
