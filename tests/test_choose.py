import doctest

import numpy as np
import pytest
from scipy.special import expit

from synthdetect.ensemble import choose
from synthdetect.ensemble.calibrate import Beta, Temperature
from synthdetect.ensemble.choose import AutoCalibration
from synthdetect.errors import DataError

SHAPES = {
    "temperature": lambda logit: expit(0.5 * logit),
    "platt": lambda logit: expit(logit - 2),
    "beta": Beta(3.0, 0.2, 1.0),
    "isotonic": lambda logit: 0.1 + 0.8 * (logit > 1),
}


def images(true, n, seed=0):
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, n)
    return logit, (rng.random(n) < true(logit)).astype(int)


@pytest.mark.parametrize("kind", SHAPES)
def test_the_shape_of_the_data_is_recognised(kind):
    learned = AutoCalibration().fit(*images(SHAPES[kind], 20_000))
    assert learned.to_dict()["kind"] in {"temperature": ("temperature", "platt", "beta")}.get(
        kind, (kind,)
    )


@pytest.mark.parametrize("kind", SHAPES)
def test_the_choice_is_near_the_true_probabilities_on_new_images(kind):
    learned = AutoCalibration().fit(*images(SHAPES[kind], 20_000))
    logit, _ = images(SHAPES[kind], 20_000, seed=1)
    assert np.abs(learned(logit) - SHAPES[kind](logit)).mean() < 0.02


def test_too_few_images_to_compare_get_one_temperature():
    assert isinstance(AutoCalibration().fit([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1]), Temperature)


def test_learning_twice_gives_the_same():
    logit, y = images(SHAPES["platt"], 300)
    assert AutoCalibration(seed=3).fit(logit, y) == AutoCalibration(seed=3).fit(logit, y)


def test_impossible_options_and_images_are_refused():
    with pytest.raises(ValueError, match="n_folds is 1; use 2 or more"):
        AutoCalibration(n_folds=1)
    with pytest.raises(DataError, match="one class only"):
        AutoCalibration().fit([0.0, 1.0], [1, 1])


def test_docstring_examples_run():
    assert doctest.testmod(choose).failed == 0
