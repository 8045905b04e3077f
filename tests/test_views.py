"""Views: sizes, native pixels, sharing, and their descriptions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthdetect.images.views import (
    CenterCrop,
    Crops,
    Resize,
    apply_views,
    pad_to,
    view_from_dict,
    view_to_dict,
)

views = st.one_of(
    st.builds(Resize, st.integers(1, 96), st.booleans()),
    st.builds(CenterCrop, st.integers(1, 96), st.booleans()),
    st.builds(Crops, n=st.integers(1, 5), size=st.integers(1, 96), flip=st.booleans()),
)


def numbered(height, width):
    """Every pixel differs from the others."""
    index = np.arange(height * width).reshape(height, width)
    return np.stack([index % 256, index // 256 % 256, index // 65536], axis=-1).astype(np.uint8)


@settings(deadline=None)
@given(views, st.integers(32, 120), st.integers(32, 120))
def test_every_view_gives_its_crops_of_its_size(view, height, width):
    crops = view.apply(numbered(height, width))
    assert crops.shape == (view.n_crops, view.size, view.size, 3)
    assert crops.dtype == np.uint8
    np.testing.assert_array_equal(crops, view.apply(numbered(height, width)))


@given(views)
def test_description_gives_the_view_back(view):
    assert view_from_dict(view_to_dict(view)) == view


@given(views, st.integers(32, 120), st.integers(32, 120))
def test_mirror_images_follow_the_crops(view, height, width):
    image = numbered(height, width)
    plain = replace(view, flip=False).apply(image)
    both = replace(view, flip=True).apply(image)
    np.testing.assert_array_equal(both[: len(plain)], plain)
    np.testing.assert_array_equal(both[len(plain) :], plain[:, :, ::-1])


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (Resize(224), "the whole image at 224 px"),
        (CenterCrop(160, flip=True), "centre crop of 160 px, also mirrored"),
        (Crops(1, 96), "1 crop of 96 px"),
        (Crops(5, 128), "5 crops of 128 px"),
    ],
)
def test_a_view_is_told_in_words(view, text):
    assert str(view) == text


def test_a_view_without_flips_is_described_as_before_there_were_any():
    assert view_to_dict(CenterCrop(160)) == {"kind": "center_crop", "size": 160}


def test_center_crop_takes_native_pixels_from_the_middle():
    image = numbered(100, 80)
    np.testing.assert_array_equal(CenterCrop(40).apply(image)[0], image[30:70, 20:60])


def test_crops_are_the_centre_and_the_corners_of_the_central_window():
    image = numbered(300, 100)
    crops = Crops(5, 40).apply(image)
    np.testing.assert_array_equal(crops[0], image[130:170, 30:70])
    np.testing.assert_array_equal(crops[1], image[110:150, 10:50])
    np.testing.assert_array_equal(crops[2], image[150:190, 50:90])
    np.testing.assert_array_equal(crops[3], image[110:150, 50:90])
    np.testing.assert_array_equal(crops[4], image[150:190, 10:50])


def test_fewer_crops_are_the_first_of_more():
    image = numbered(90, 120)
    np.testing.assert_array_equal(Crops(2, 40).apply(image), Crops(5, 40).apply(image)[:2])
    np.testing.assert_array_equal(Crops(1, 40).apply(image), CenterCrop(40).apply(image))


@given(st.integers(32, 90), st.integers(32, 90), st.integers(1, 300))
def test_small_images_are_mirrored_and_not_scaled(height, width, size):
    image = numbered(height, width)
    padded = pad_to(image, size)
    assert padded.shape[:2] == (max(height, size), max(width, size))
    top, left = (
        (new - old) // 2 for new, old in zip(padded.shape[:2], image.shape[:2], strict=True)
    )
    np.testing.assert_array_equal(padded[top : top + height, left : left + width], image)
    assert set(map(tuple, padded.reshape(-1, 3))) == set(map(tuple, image.reshape(-1, 3)))


def test_equal_views_are_computed_once_and_shared():
    crops = apply_views(numbered(80, 80), [CenterCrop(40), Resize(32), CenterCrop(40)])
    assert list(crops) == [CenterCrop(40), Resize(32)]


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "view kind None is not known"),
        ({"kind": ["crops"]}, "is not known; use one of"),
        ({"kind": "crops", "size": 40}, "crops: n is missing; give a whole number"),
        ({"kind": "crops", "n": 6, "size": 40}, "n must be 1 to 5"),
        ({"kind": "resize", "size": "40"}, "size is '40'; use a whole number"),
        ({"kind": "resize", "size": True}, "size is True"),
        ({"kind": "resize", "size": 10**9}, "1 to 4096"),
        ({"kind": "resize", "size": 40, "n": 2}, "key 'n' is not known; use size, flip"),
        ({"kind": "resize", "size": 40, "flip": 1}, "flip is 1; use true or false"),
    ],
)
def test_impossible_descriptions_say_what_is_wrong(description, message):
    with pytest.raises(ValueError, match=message):
        view_from_dict(description)
