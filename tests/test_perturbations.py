"""Named perturbations: seeded by name and place, within limits, and known to training or not."""

import dataclasses
import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.errors import ImageError
from synthdetect.images import perturbations
from synthdetect.images.limits import Limits
from synthdetect.images.perturb import Augmentation
from synthdetect.images.perturbations import (
    BY_NAME,
    PERTURBATIONS,
    RESHIPPINGS,
    STEPS,
    UNTOUCHED,
    Perturbation,
    Step,
    outside,
)

EVERYTHING = Augmentation(jpeg=1, resize=1, blur=1, webp=1, noise=1, tone=1, crop=1, chain=1)
SIZES = {
    "scale-0.5": (32, 40),
    "scale-2.0": (128, 160),
    "crop-0.5": (32, 40),
    "crop-0.9-centre": (58, 72),
    "shared-320-240": (64, 80),
    "screenshot-1.25-jpeg-80": (80, 100),
}


def picture(height=64, width=80, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("one", PERTURBATIONS, ids=lambda one: one.name)
def test_each_changes_pixels_and_gives_an_image(one):
    large = picture(300, 400)
    after = one.apply(large, seed=1)
    assert after.dtype == np.uint8
    assert after.ndim == 3
    assert after.shape != large.shape or not np.array_equal(after, large)


def test_untouched_is_untouched():
    image = picture()
    assert UNTOUCHED.apply(image) is image


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_sizes_are_what_the_names_say(name, size):
    assert BY_NAME[name].apply(picture()).shape[:2] == size


@pytest.mark.parametrize("name", [name for name in BY_NAME if name.endswith("-back")])
def test_what_comes_back_has_its_old_size(name):
    assert BY_NAME[name].apply(picture(150, 201)).shape == (150, 201, 3)


def test_a_bound_scales_down_the_long_side_and_never_up():
    large = picture(200, 400)
    assert BY_NAME["shared-320-240"].apply(large).shape[:2] == (120, 240)
    assert BY_NAME["shared-1600-1080"].apply(large).shape == large.shape


@pytest.mark.parametrize("name", ["noise-5.0", "crop-0.7"])
def test_what_is_random_depends_on_seed_and_place_alone(name):
    def bits(**place):
        return BY_NAME[name].apply(picture(), **place).tobytes()

    assert bits(seed=1, index=2) == bits(seed=1, index=2)
    assert len({bits(seed=s, index=i) for s in range(3) for i in range(3)}) == 9


def test_another_name_draws_other_noise():
    steps = (Step("noise", {"sigma": 5.0}),)
    one, other = (Perturbation(name, "x", steps).apply(picture()) for name in "ab")
    assert not np.array_equal(one, other)


def test_names_are_unique_and_the_reshippings_are_among_them():
    assert len(BY_NAME) == len(PERTURBATIONS) + 1
    assert len(RESHIPPINGS) == 5
    assert set(RESHIPPINGS) <= set(PERTURBATIONS)


def test_a_result_that_is_too_small_is_refused_by_name():
    with pytest.raises(ImageError, match=r"a\.png: is outside the limits after scale-0\.5"):
        BY_NAME["scale-0.5"].apply(picture(60, 80), name="a.png", limits=Limits())
    assert BY_NAME["scale-0.5"].apply(picture(60, 80)).shape == (30, 40, 3)


def test_a_result_that_is_too_large_is_not_even_made():
    huge = Perturbation("huge", "x", (Step("resize", {"scale": 1e6}),))
    with pytest.raises(ImageError, match="outside the limits after huge"):
        huge.apply(picture(), limits=Limits())


def test_what_no_format_holds_is_told():
    with pytest.raises(ImageError, match="cannot go through webp-75"):
        BY_NAME["webp-75"].apply(picture(1, 20_000))


@pytest.mark.parametrize(
    ("name", "never"),
    [
        ("untouched", False),
        ("jpeg-60", False),
        ("jpeg-50", True),
        ("jpeg-90-jpeg-75", True),
        ("scale-1.5", False),
        ("scale-0.5", True),
        ("webp-75", True),
        ("thumbnail-128-back", True),
        ("screenshot-0.8-jpeg-80", False),
        ("scale-0.5-jpeg-70", True),
    ],
)
def test_what_the_default_training_never_draws_is_told(name, never):
    assert outside(BY_NAME[name], Augmentation()) is never


def test_each_family_that_training_can_draw_has_a_level_outside_of_all_it_draws():
    drawn = {one.family for one in PERTURBATIONS if not outside(one, EVERYTHING)}
    held_out = {one.family for one in PERTURBATIONS if outside(one, EVERYTHING)}
    curves = {one.family for one in PERTURBATIONS if one.level is not None}
    assert drawn & curves <= held_out
    assert {"double JPEG", "shared twice", "scale and back", "thumbnail"} <= held_out - drawn


@given(st.floats(1, 95), st.floats(1, 95))
def test_a_quality_is_outside_exactly_where_it_is_not_between_the_ends(quality, end):
    low, high = sorted((int(end), 80))
    one = Perturbation("x", "x", (Step("jpeg", {"quality": quality}),))
    augmentation = Augmentation(jpeg_quality=(low, high))
    assert outside(one, augmentation) is not (low <= quality <= high)


def test_every_step_has_its_function_and_no_other_options():
    for one in PERTURBATIONS:
        for step in one.steps:
            assert set(step.options) <= set(STEPS[step.kind].__code__.co_varnames)


def test_perturbations_are_values():
    assert dataclasses.replace(BY_NAME["jpeg-70"]) == BY_NAME["jpeg-70"]


def test_the_examples_run():
    assert doctest.testmod(perturbations).failed == 0
