"""Near-duplicates are found, grouped with what was grouped, and told where they do harm."""

import doctest
import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from synthdetect.data import dedupe
from synthdetect.data.dataset import from_arrays, hold_out, read_manifest
from synthdetect.data.dedupe import (
    look_alikes,
    near_duplicates,
    perceptual_hashes,
    with_duplicate_groups,
)
from synthdetect.errors import DataError, ImageError

FACES = Path(__file__).parents[2] / "shared" / "faces" / "manifest.csv"

imagehash = pytest.importorskip("imagehash", reason="needs the data extra")


def picture(seed, side=96):
    """A smooth random picture: what a perceptual hash can tell apart."""
    noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def bits_apart(a, b):
    return int(np.unpackbits(a ^ b).sum())


def test_hashes_are_those_of_the_library_packed():
    image = picture(0)
    (packed,) = perceptual_hashes([image])
    wanted = imagehash.phash(image, hash_size=12).hash.ravel()
    assert np.unpackbits(packed).astype(bool).tolist() == wanted.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_saved_or_scaled_again_an_image_stays_near_and_others_are_far(seed):
    image = picture(seed)
    copies = [jpeg(image, 60), image.resize((200, 200)), jpeg(image.resize((48, 48)), 90)]
    hashes = perceptual_hashes([image, *copies, picture(seed + 100)])
    assert max(bits_apart(hashes[0], other) for other in hashes[1:4]) <= dedupe.MAX_DISTANCE
    assert bits_apart(hashes[0], hashes[4]) > 30


def test_an_unreadable_image_is_named():
    with pytest.raises(ImageError, match="image 1: is no image of a kind"):
        perceptual_hashes([picture(0), b"broken"])


@given(
    st.lists(st.integers(0, 255), min_size=0, max_size=40),
    st.integers(0, 3),
    st.sampled_from([3, 2048]),
)
def test_groups_are_the_connected_components_of_near_hashes(values, max_distance, block):
    hashes = np.array(values, dtype=np.uint8).reshape(-1, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dedupe, "_BLOCK", block)
        found = near_duplicates(hashes, max_distance).tolist()
    # The slow way: hand the smallest position on along near pairs until nothing changes.
    wanted, before = list(range(len(values))), None
    while wanted != before:
        before = list(wanted)
        for i, a in enumerate(values):
            for j, b in enumerate(values):
                if (a ^ b).bit_count() <= max_distance:
                    wanted[i] = wanted[j] = min(wanted[i], wanted[j])
    assert found == wanted


def test_ten_thousand_hashes_take_seconds():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (10_000, 18), dtype=np.uint8)
    hashes[9_000:] = hashes[:1_000]
    hashes[9_000:, 0] ^= 1
    groups = near_duplicates(hashes)
    assert groups[9_000:].tolist() == list(range(1_000))
    assert len(np.unique(groups)) == 9_000


def test_near_duplicates_share_a_group_and_others_keep_theirs():
    images = [picture(0), picture(1), jpeg(picture(0), 70), picture(2), picture(3), picture(3)]
    data = with_duplicate_groups(
        from_arrays(images, [0, 0, 0, 1, 1, 1], groups=["p", "q", None, "s", "t", None])
    )
    assert data.group.tolist() == ["p", "q", "p", "s", "t", "t"]


def test_groups_are_joined_by_near_duplicates_and_new_names_are_new():
    images = [picture(0), picture(0), picture(1), picture(1), picture(2), picture(2), picture(3)]
    groups = ["a", "b", "b", None, None, None, "look-alikes 1"]
    data = with_duplicate_groups(from_arrays(images, [0] * 7, groups=groups))
    assert data.group[:4].tolist() == ["a"] * 4
    assert data.group[4] == data.group[5] != ""
    assert data.group[6] == "look-alikes 1"
    assert data.group[4] not in ("a", "look-alikes 1")


def test_a_split_made_afterwards_keeps_them_together():
    images = [jpeg(picture(i // 2), 60 + 30 * (i % 2)) for i in range(40)]
    grouped = with_duplicate_groups(from_arrays(images, [0] * 20 + [1] * 20))
    data = hold_out(grouped, fraction=0.2, seed=0)
    assert (data.split[::2] == data.split[1::2]).all()


def test_near_duplicates_in_two_splits_are_refused_by_name():
    data = from_arrays([picture(i % 7) for i in range(14)], [0] * 14)
    apart = replace(data, split=np.array(["train"] * 7 + ["test"] * 7))
    with pytest.raises(DataError, match=r"image 0 \(train\) and image 7 \(test\).*; and 2 more"):
        with_duplicate_groups(apart)
    some = replace(data, split=np.array(["train"] * 7 + [""] * 7))
    assert len(np.unique(with_duplicate_groups(some).group)) == 7


def test_look_alikes_tell_how_many_there_are_and_where_they_do_harm():
    data = from_arrays([picture(i % 4) for i in range(9)], [0] * 8 + [1])
    found = look_alikes(replace(data, split=np.array(["val"] * 7 + ["test"] * 2)))
    assert found.first.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert found.to_dict() == {
        "n_images": 9,
        "n_groups": 4,
        "across_splits": [
            "image 3 (val) and image 7 (test)",
            "image 0 (val) and image 8 (test)",
        ],
        "across_classes": ["image 0 (real) and image 8 (synthetic)"],
    }
    assert str(found).splitlines() == [
        "9 images look like others, in 4 groups",
        "2 of the groups are in more than one split",
        "- image 3 (val) and image 7 (test)",
        "- image 0 (val) and image 8 (test)",
        "1 of the groups are in more than one class",
        "- image 0 (real) and image 8 (synthetic)",
    ]


def test_images_that_cannot_be_read_look_like_no_other_and_are_told():
    images = [picture(0), b"broken", picture(1), picture(0), b"broken"]
    data = from_arrays(images, [0] * 5)
    found = look_alikes(data)
    assert found.first.tolist() == [0, 1, 2, 0, 4]
    assert list(found.unread) == [1, 4]
    with pytest.raises(ImageError, match="image 1"):
        with_duplicate_groups(data)


def test_near_duplicates_of_two_classes_are_grouped_with_a_warning():
    data = from_arrays([picture(0), picture(1), jpeg(picture(0), 80)], [0, 0, 1])
    with pytest.warns(UserWarning, match=r"image 0 \(real\) and image 2 \(synthetic\)"):
        grouped = with_duplicate_groups(data)
    assert grouped.group[0] == grouped.group[2] != grouped.group[1]


def test_without_duplicates_nothing_changes_and_nothing_is_said():
    data = from_arrays([picture(i) for i in range(4)], [0, 1, 0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_duplicate_groups(data).group.tolist() == [""] * 4


@pytest.mark.slow
@pytest.mark.skipif(not FACES.exists(), reason="the faces are not here")
def test_faces_of_one_crop_are_told_apart_and_copies_at_other_sizes_found():
    data = read_manifest(FACES)
    part = data.take(np.isin(data.source, ["ffhq-1024", "ffhq-140k"]))
    found = look_alikes(part)
    # By eye, these pairs are all one photograph twice.
    assert found.n_groups == 99
    assert found.n_images == 198


def test_examples_of_the_docstrings():
    assert doctest.testmod(dedupe).failed == 0
