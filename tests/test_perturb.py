"""Perturbations: seeded, blind to the class, and what their names say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthdetect.images.perturb import (
    Augmentation,
    augment,
    blur,
    center_crop,
    crop,
    fit,
    flip,
    jpeg,
    noise,
    resize,
    resize_and_back,
    thumbnail_and_back,
    tone,
    webp,
)

NEVER = Augmentation(flip=0, jpeg=0, resize=0, blur=0)
ALWAYS = Augmentation(flip=1, jpeg=1, resize=1, blur=1, webp=1, noise=1, tone=1, crop=1, chain=1)


def picture(height=48, width=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_flip_mirrors():
    np.testing.assert_array_equal(flip(flip(picture())), picture())
    np.testing.assert_array_equal(flip(picture())[:, 0], picture()[:, -1])


def test_lower_jpeg_quality_loses_more():
    loss = [
        np.abs(jpeg(picture(), quality=quality).astype(int) - picture()).mean()
        for quality in (95, 60, 20)
    ]
    assert loss == sorted(loss)
    finer = np.abs(jpeg(picture(), quality=90, subsampling=0).astype(int) - picture()).mean()
    assert finer < np.abs(jpeg(picture(), quality=90).astype(int) - picture()).mean()


@pytest.mark.parametrize("filter_name", ["BILINEAR", "BICUBIC", "LANCZOS"])
def test_resize_scales_both_sides(filter_name):
    assert resize(picture(), scale=0.5, filter_name=filter_name).shape == (24, 20, 3)


def test_wider_blur_leaves_less_contrast():
    contrast = [blur(picture(), sigma=sigma).std() for sigma in (0.3, 1.0, 3.0)]
    assert contrast == sorted(contrast, reverse=True)


def test_lower_webp_quality_loses_more():
    loss = [
        np.abs(webp(picture(), quality=quality).astype(int) - picture()).mean()
        for quality in (95, 60, 20)
    ]
    assert loss == sorted(loss)


def test_noise_has_the_deviation_it_says_and_its_generator_decides():
    grey = np.full((100, 100, 3), 128, np.uint8)
    noisy = [noise(grey, sigma=4.0, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert abs(noisy[0].std() - 4.0) < 0.15
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert not np.array_equal(noisy[0], noisy[2])


def test_tone_of_ones_changes_nothing():
    np.testing.assert_array_equal(tone(picture(), brightness=1, contrast=1, gamma=1), picture())


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ({"brightness": 0.5}, [0, 64, 128]),
        ({"contrast": 2.0}, [0, 128, 255]),
        ({"gamma": 2.0}, [0, 64, 255]),
    ],
)
def test_tone_moves_black_grey_and_white(options, levels):
    image = np.array([0, 128, 255], np.uint8).repeat(3).reshape(1, 3, 3)
    ones = {"brightness": 1.0, "contrast": 1.0, "gamma": 1.0}
    out = tone(image, **(ones | options))[0, :, 0].astype(int)
    np.testing.assert_allclose(out, levels, atol=1)


def test_a_center_crop_is_the_middle_and_a_crop_reaches_every_side():
    image = np.arange(100, dtype=np.uint8).reshape(10, 10, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(center_crop(image, share=0.8), image[1:9, 1:9])
    corners = {
        int(crop(image, share=0.8, rng=np.random.default_rng(s))[0, 0, 0]) for s in range(99)
    }
    assert corners == {0, 1, 2, 10, 11, 12, 20, 21, 22}


def test_back_means_the_old_size_with_less_detail():
    for after in (resize_and_back(picture(), scale=0.5), thumbnail_and_back(picture(), side=24)):
        assert after.shape == picture().shape
        assert after.std() < picture().std()


def test_fit_leaves_what_fits():
    assert fit(picture(), side=24).shape == (24, 20, 3)
    np.testing.assert_array_equal(fit(picture(), side=48), picture())


def test_a_chain_scales_and_compresses_twice():
    twice = Augmentation(
        flip=0, jpeg=0, resize=0, blur=0, chain=1, chain_scale=(0.5, 0.5), chain_quality=(80, 80)
    )
    out = augment(picture(), twice, np.random.default_rng(0))
    by_hand = jpeg(resize(picture(), scale=0.5), quality=80)
    np.testing.assert_array_equal(out, jpeg(resize(by_hand, scale=0.5), quality=80))


def test_what_is_not_drawn_leaves_what_a_seed_gave_before_and_the_fingerprint():
    """Crop and chain came later: trainings that never draw them must not change by that."""
    plain = Augmentation(jpeg=1, resize=1)
    same = Augmentation(jpeg=1, resize=1, crop_share=(0.1, 0.2), chain_quality=(1, 2))
    one, other = (augment(picture(), a, np.random.default_rng(5)) for a in (plain, same))
    np.testing.assert_array_equal(one, other)
    assert plain.facts() == same.facts()
    assert not [name for name in plain.facts() if name.startswith(("crop", "chain"))]
    assert Augmentation(crop=0.5).facts() != plain.facts()


def test_probability_zero_changes_nothing():
    out = augment(picture(), NEVER, np.random.default_rng(0))
    np.testing.assert_array_equal(out, picture())


def test_same_generator_gives_the_same_image_and_another_another():
    one, same, other = (
        augment(picture(), ALWAYS, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_order_is_random():
    """Blur before a strong JPEG leaves other pixels than after it: both occur."""
    fixed = Augmentation(
        flip=0,
        jpeg=1,
        jpeg_quality=(20, 20),
        resize=0,
        blur=1,
        blur_sigma=(1.0, 1.0),
    )
    results = {
        augment(picture(), fixed, np.random.default_rng(seed)).tobytes() for seed in range(40)
    }
    # Two orders, and two chroma subsamplings in each.
    assert len(results) == 4


def test_share_of_perturbed_images_is_the_probability():
    half = Augmentation(flip=0, jpeg=0.3, resize=0, blur=0)
    changed = [
        not np.array_equal(augment(picture(), half, np.random.default_rng(seed)), picture())
        for seed in range(600)
    ]
    # Five standard deviations of a binomial.
    assert abs(np.mean(changed) - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 600)


@settings(deadline=None, max_examples=40)
@given(st.integers(32, 90), st.integers(32, 90), st.integers(0, 1000))
def test_any_image_stays_an_image(height, width, seed):
    out = augment(picture(height, width), ALWAYS, np.random.default_rng(seed))
    assert out.dtype == np.uint8
    assert out.ndim == 3
    assert out.shape[2] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": 1.5}, "flip is 1.5; use 0 to 1"),
        ({"jpeg_quality": (95, 60)}, "jpeg_quality"),
        ({"jpeg_quality": (0, 60)}, "from 1 to 95"),
        ({"resize_scale": (0.0, 1.0)}, "resize_scale"),
        ({"blur_sigma": (-1.0, 1.0)}, "blur_sigma"),
        ({"webp": -0.1}, "webp is -0.1; use 0 to 1"),
        ({"webp_quality": (0, 101)}, "from 0 to 100"),
        ({"noise_sigma": (3.0, 1.0)}, "noise_sigma"),
        ({"tone_scale": (0.0, 1.0)}, "tone_scale"),
        ({"crop": 2}, "crop is 2; use 0 to 1"),
        ({"crop_share": (0.5, 1.5)}, "crop_share"),
        ({"chain_scale": (1.0, 0.5)}, "chain_scale"),
        ({"chain_quality": (60, 99)}, "from 1 to 95"),
    ],
)
def test_impossible_augmentations_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)
