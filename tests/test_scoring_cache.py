"""What was seen is not looked at again, as long as it is the same, and order and names stay."""

import copy
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import native
from synthdetect.errors import ImageError
from synthdetect.images.decode import decode
from synthdetect.images.limits import Limits
from synthdetect.members.score import Scored
from synthdetect.scoring.cache import ScoreCache, remembered

LIMITS = Limits()


class Judge:
    """Scores an image by its mean and keeps the count of what it looked at."""

    def __init__(self):
        self.n_seen = 0

    def __call__(self, sources):
        for index, source in enumerate(sources):
            self.n_seen += 1
            try:
                pixels = decode(source, name=f"image {index}", limits=LIMITS)
            except ImageError as error:
                yield Scored(index, f"image {index}", np.array([np.nan]), error)
            else:
                yield Scored(index, f"image {index}", np.array([pixels.mean()]))


def judged(images, cache, judge, *, keep=True, limits=LIMITS):
    return list(remembered(images, judge, cache, limits=limits, keep=keep))


def image_bytes(seed):
    file = BytesIO()
    Image.fromarray(native(np.random.default_rng(seed), 40)).save(file, "PNG")
    return file.getvalue()


ENCODED = [image_bytes(seed) for seed in range(6)]


@given(st.lists(st.integers(0, 7), max_size=12), st.lists(st.integers(0, 7), max_size=12))
def test_results_are_those_without_a_cache_whatever_is_known(first, second):
    sources = [*ENCODED, b"", b"no image at all"]
    cache = ScoreCache()
    for chosen in (first, second):
        images = [sources[i] for i in chosen]
        found = judged(images, cache, Judge())
        wanted = list(Judge()(images))
        assert [scored.index for scored in found] == list(range(len(images)))
        assert [scored.name for scored in found] == [scored.name for scored in wanted]
        assert [str(scored.error) for scored in found] == [str(scored.error) for scored in wanted]
        np.testing.assert_array_equal(
            [np.ravel(scored.logits)[0] for scored in found],
            [scored.logits[0] for scored in wanted],
        )


def test_an_image_is_looked_at_once_in_all_its_forms(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(ENCODED[0])
    pixels = np.asarray(Image.open(path))
    cache, judge = ScoreCache(), Judge()
    judged([path, pixels], cache, judge)
    forms = [path, str(path), ENCODED[0], bytearray(ENCODED[0]), BytesIO(ENCODED[0]), pixels]
    judged([*forms, Image.open(path)], cache, judge)
    assert judge.n_seen == 2


def test_a_file_that_changed_is_looked_at_again(tmp_path):
    path = tmp_path / "a.bmp"
    times = []
    cache, judge = ScoreCache(), Judge()
    for seed in range(2):
        Image.fromarray(native(np.random.default_rng(seed), 40)).save(path)
        os.utime(path, ns=(0, 0))
        times.append((path.stat().st_mtime_ns, path.stat().st_size))
        (scored,) = judged([path], cache, judge)
        assert scored.logits[0] == decode(path).mean()
    assert times[0] == times[1]  # so that time and size could not tell
    assert judge.n_seen == 2


def test_arrays_of_equal_bytes_and_other_shapes_are_other_images():
    flat = np.arange(40 * 80, dtype=np.uint8)
    cache, judge = ScoreCache(), Judge()
    judged([flat.reshape(40, 80), flat.reshape(80, 40)], cache, judge)
    assert judge.n_seen == 2


def test_other_limits_are_another_entry():
    cache, judge = ScoreCache(), Judge()
    judged(ENCODED[:1], cache, judge)
    judged(ENCODED[:1], cache, judge, limits=Limits(min_side=33))
    assert judge.n_seen == 2


def test_nothing_is_kept_unless_asked():
    cache = ScoreCache()
    judged(ENCODED, cache, Judge(), keep=False)
    assert len(cache) == 0


def test_errors_are_not_kept(tmp_path):
    cache, judge = ScoreCache(), Judge()
    path = tmp_path / "late.png"
    assert judged([path, b"no image at all"], cache, judge)[0].error is not None
    path.write_bytes(ENCODED[0])
    assert judged([path], cache, judge)[0].error is None
    assert len(cache) == 1


def test_what_was_used_longest_ago_is_forgotten_first():
    cache = ScoreCache(most=2)
    for key in (b"a", b"b"):
        cache.put(key, np.zeros(3))
    cache.get(b"a")
    cache.put(b"c", np.ones(3))
    assert len(cache) == 2
    assert cache.get(b"b") is None
    np.testing.assert_array_equal(cache.get(b"c"), np.ones(3))
    assert cache.get(b"a") is not None


def test_a_stream_that_breaks_gives_what_came_before_and_then_its_own_error():
    def breaking():
        yield ENCODED[0]
        raise RuntimeError("the camera is gone")

    stream = remembered(breaking(), Judge(), ScoreCache(), limits=LIMITS, keep=True)
    with pytest.raises(RuntimeError, match="the camera is gone"):
        list(stream)


def by_pickle(cache):
    return pickle.loads(pickle.dumps(cache))  # noqa: S301


@pytest.mark.parametrize("again", [copy.deepcopy, by_pickle])
def test_copies_start_empty_and_work(again):
    cache = ScoreCache(most=7)
    cache.put(b"a", np.zeros(2))
    other = again(cache)
    assert (len(other), other.most) == (0, 7)
    other.put(b"b", np.zeros(2))
    assert len(cache) == len(other) == 1


def test_threads_share_a_cache():
    cache = ScoreCache(most=3)

    def use(_):
        return [scored.logits[0] for scored in judged(ENCODED * 3, cache, Judge())]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(use, range(16)))
    assert len(cache) == 3
    assert all(result == results[0] for result in results)
