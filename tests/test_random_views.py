"""What a network sees of a training image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.images.random_views import random_crop, random_frame, random_view
from synthdetect.images.views import CenterCrop, Crops, Resize

SIDES = st.integers(1, 90)


def ramp(height, width):
    """Return an image whose red says the row and whose green says the column, 0 to 255."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, height).astype(np.uint8)[:, np.newaxis]
    image[..., 1] = np.linspace(0, 255, width).astype(np.uint8)
    return image


@given(SIDES, SIDES, st.integers(1, 100), st.integers(0, 1000))
@pytest.mark.parametrize("view", [Resize(24), CenterCrop(24), Crops(n=2, size=24)])
def test_an_example_has_the_size_that_is_asked_for(view, height, width, size, seed):
    example = random_view(ramp(height, width), view, size, np.random.default_rng(seed))
    assert (example.shape, example.dtype) == ((size, size, 3), np.uint8)


def test_random_crop_reaches_every_corner():
    tops = set()
    image = np.arange(6 * 5)[:, None].repeat(3, axis=1).reshape(6, 5, 3).astype(np.uint8)
    for seed in range(100):
        tops.add(int(random_crop(image, 4, np.random.default_rng(seed))[0, 0, 0]))
    assert tops == {0, 1, 5, 6, 10, 11}


def test_a_frame_keeps_most_of_each_side():
    image = ramp(300, 200)
    seen = []
    for seed in range(200):
        frame = random_frame(image, 64, np.random.default_rng(seed)).astype(int)
        seen.append((np.ptp(frame[..., 0]), np.ptp(frame[..., 1])))
    shares = np.array(seen) / 255
    # Scaling averages the outermost pixels: up to a sixty-fourth of the range is lost at the ends.
    assert shares.min() > 0.85 - 2 / 64
    assert shares.max() > 0.96
    assert shares.std(axis=0).min() > 0.02


def test_a_frame_comes_from_every_side():
    image = ramp(100, 100)
    frames = [random_frame(image, 50, np.random.default_rng(seed)) for seed in range(300)]
    assert min(frame[0, 0, 0] for frame in frames) < 5
    assert max(frame[-1, -1, 0] for frame in frames) > 250


def test_a_member_that_scales_trains_on_scaled_images_and_others_on_crops():
    image = ramp(300, 300)
    whole = random_view(image, Resize(224), 32, np.random.default_rng(0))
    crop = random_view(image, CenterCrop(224), 32, np.random.default_rng(0))
    assert np.ptp(whole[..., 0]) > 200
    assert np.ptp(crop[..., 0]) < 40
