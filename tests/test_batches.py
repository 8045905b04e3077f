"""Streams: order, bounds, errors in place, threads that end."""

import ctypes
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from synthdetect.errors import ImageError
from synthdetect.images.batches import iter_sources, prepared


def picture(value, side=40):
    return np.full((side, side, 3), value, np.uint8)


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.JPG", "notes.txt", "sub/c.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix != ".txt":
            Image.fromarray(picture(9)).save(path)
        else:
            path.write_text("no image")
    return tmp_path


def test_directory_gives_its_images_sorted(folder):
    names = [path.relative_to(folder).as_posix() for path in iter_sources(folder)]
    assert names == ["a.JPG", "b.png"]
    deep = [path.relative_to(folder).as_posix() for path in iter_sources(folder, recursive=True)]
    assert deep == ["a.JPG", "b.png", "sub/c.png"]


@pytest.mark.parametrize(
    "single", [b"bytes", "a.jpg", picture(1), Image.fromarray(picture(1)), picture(1)[:, :, 0], 5]
)
def test_one_image_is_one_source(single):
    (source,) = iter_sources(single)
    assert source is single


def test_a_name_that_no_file_can_have_is_one_bad_image():
    (bad,) = prepared(iter_sources("a" * 5000), np.shape)
    assert isinstance(bad.error, ImageError)


def test_batch_array_and_lists_are_many_sources():
    assert len(list(iter_sources(np.zeros((5, 40, 40, 3), np.uint8)))) == 5
    assert list(iter_sources(["a", b"b"])) == ["a", b"b"]
    assert list(iter_sources(())) == []


def test_results_come_in_order_whatever_takes_longer():
    def slow_first(pixels):
        time.sleep(0.05 if pixels[0, 0, 0] == 0 else 0)
        return int(pixels[0, 0, 0])

    results = list(prepared((picture(i) for i in range(20)), slow_first, workers=4))
    assert [result.value for result in results] == list(range(20))
    assert [result.index for result in results] == list(range(20))


def test_bad_images_come_in_their_place_with_their_reason(tmp_path):
    sources = [picture(1), b"", str(tmp_path / "none.jpg"), picture(2), io.StringIO("text")]
    results = list(prepared(sources, np.mean, workers=2))
    assert [result.value for result in results] == [1, None, None, 2, None]
    assert [result.name for result in results if result.error] == [
        "image 1",
        str(tmp_path / "none.jpg"),
        "image 4",
    ]
    assert all(isinstance(result.error, ImageError) for result in results if result.error)


def test_generator_is_advanced_no_further_than_ahead():
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield picture(drawn % 256)

    stream = prepared(endless(), np.mean, workers=2, ahead=5)
    for taken in range(1, 50):
        next(stream)
        assert drawn <= taken + 4
    stream.close()


def test_generator_may_reuse_its_buffer_and_close_its_files(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(picture(77)).save(path)

    def reusing():
        buffer = picture(0)
        for value in range(10):
            buffer[:] = value
            yield buffer
        with path.open("rb") as file:
            yield file
        with Image.open(path) as image:
            yield image

    values = [result.value for result in prepared(reusing(), np.mean, workers=2)]
    assert values == [*range(10), 77, 77]


def test_exception_of_the_generator_comes_after_what_came_before():
    def failing():
        yield picture(1)
        yield picture(2)
        raise OSError("the camera is gone")

    seen = []
    stream = (result.value for result in prepared(failing(), np.mean, workers=2))
    with pytest.raises(OSError, match="the camera is gone"):
        seen.extend(stream)
    assert seen == [1, 2]


def test_exception_of_prepare_is_raised():
    def broken(pixels):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(prepared([picture(1)], broken))


def test_threads_end_when_the_consumer_stops():
    before = threading.active_count()
    for _ in range(5):
        stream = prepared((picture(1) for _ in range(100)), np.mean, workers=3)
        next(stream)
        stream.close()
    assert threading.active_count() == before


def test_large_images_take_turns_and_all_arrive():
    large = np.zeros((5200, 5000, 3), np.uint8)
    results = list(prepared([large] * 4, np.shape, workers=4))
    assert [result.value for result in results] == [(5200, 5000, 3)] * 4


def kill(thread):
    """Have a thread end at its next line, wherever it is."""
    number = ctypes.c_ulong(thread.ident)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(SystemExit))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("n_killed", [1, 2])
def test_threads_that_die_cost_no_image(n_killed):
    killed = set()

    def sources():
        for value in range(40):
            workers = [t for t in threading.enumerate() if t.name.startswith("synthdetect-decode")]
            if value == 10:
                for thread in workers[:n_killed]:
                    kill(thread)
                    killed.add(thread)
            yield picture(value)

    found = list(prepared(sources(), lambda pixels: int(pixels[0, 0, 0]), workers=2))
    assert [image.value for image in found] == list(range(40))
    assert len(killed) == n_killed


def test_without_memory_for_what_is_kept_of_an_image_it_has_an_error():
    def prepare(pixels):
        if pixels[0, 0, 0] == 1:
            raise MemoryError
        return int(pixels[0, 0, 0])

    found = list(prepared([picture(0), picture(1), picture(2)], prepare))
    assert [image.value for image in found] == [0, None, 2]
    assert found[1].error.reason == "does not fit in memory; scale it down"


def test_where_no_thread_can_be_started_the_caller_works():
    before = threading.stack_size(2**47)  # more than there are addresses
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            threading.Thread(target=print).start()
        found = list(prepared([picture(0), picture(1)], lambda pixels: int(pixels[0, 0, 0])))
    finally:
        threading.stack_size(before)
    assert [image.value for image in found] == [0, 1]


def test_an_error_that_is_kept_keeps_no_frames():
    """Frames hold the image; a stream of large bad ones would fill the memory."""
    (bad,) = prepared([b"\xff\xd8\xff no jpeg"], lambda pixels: pixels)
    link = bad.error
    assert link is not None
    while link is not None:
        assert link.__traceback__ is None
        link = link.__cause__ or link.__context__
