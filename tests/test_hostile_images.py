"""Hostile images: pixels or a reason that names the cause, in 2 seconds and 500 MB each."""

import io
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthdetect
from hostile_images import HOSTILE_IMAGES, IMAGE, a_photo, photo, saved
from synthdetect.errors import ImageError
from synthdetect.images.batches import iter_sources, prepared
from synthdetect.images.decode import decode
from synthdetect.images.facts import file_facts, read_facts
from synthdetect.images.limits import FORMATS, Limits

CORPUS = Path(__file__).parents[2] / "shared" / "hostile-images"
TESTS = Path(__file__).parent
MAX_SECONDS = 2.0
MAX_MB = 500

# Builds or lists images in a process of its own, as memory can only be measured there; one line of
# JSON each: name, outcome, seconds of the CPU, peak memory in MB (None where it cannot be reset).
MEASURE = """
import json, re, sys, time, warnings
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
warnings.simplefilter("ignore")
from synthdetect.errors import ImageError
from synthdetect.images.decode import decode

def sources():
    if sys.argv[2]:
        yield from ((path.name, path) for path in sorted(Path(sys.argv[2]).iterdir()))
    else:
        from hostile_images import HOSTILE_IMAGES
        yield from ((name, build()) for name, (build, _) in HOSTILE_IMAGES.items())

for name, source in sources():
    try:
        Path("/proc/self/clear_refs").write_text("5")  # makes the peak what is held now
        measured = True
    except OSError:
        measured = False
    started = time.process_time()
    try:
        pixels = decode(source, name=name)
        outcome = "an image" if pixels.ndim == 3 and pixels.dtype == "uint8" else "no pixels"
    except ImageError as error:
        outcome = error.reason
    seconds = time.process_time() - started
    peak = None
    if measured:
        status = Path("/proc/self/status").read_text()
        peak = int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024
    print(json.dumps([name, outcome, seconds, peak]), flush=True)
"""


def measured(folder: str) -> dict[str, tuple[str, float, float | None]]:
    """Outcome, seconds and peak memory of each image."""
    paths = [str(Path(synthdetect.__file__).parents[1]), str(TESTS)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps(paths), folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    return {name: tuple(rest) for name, *rest in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def built():
    return measured("")


@pytest.fixture(scope="module")
def corpus():
    if not CORPUS.is_dir():
        pytest.skip("the hostile images are not here")
    return measured(str(CORPUS))


def test_there_are_many_kinds_of_hostile_image():
    assert len(HOSTILE_IMAGES) >= 150


@pytest.mark.parametrize("name", HOSTILE_IMAGES)
def test_a_hostile_image_gives_pixels_or_a_reason_that_names_the_cause(name, built):
    assert re.search(HOSTILE_IMAGES[name][1], built[name][0]), built[name][0]


@pytest.mark.parametrize("images", ["built", "corpus"])
def test_no_hostile_image_takes_long_or_much_memory(images, request):
    found = request.getfixturevalue(images)
    slow = {name: seconds for name, (_, seconds, _) in found.items() if seconds > MAX_SECONDS}
    large = {name: peak for name, (_, _, peak) in found.items() if (peak or 0) > MAX_MB}
    assert not slow
    assert not large


def test_every_file_of_the_corpus_gives_pixels_or_a_reason(corpus):
    assert len(corpus) == len(list(CORPUS.iterdir()))
    outcomes = [outcome for outcome, _, _ in corpus.values()]
    assert outcomes.count(IMAGE) > 300
    assert "no pixels" not in outcomes
    assert all(re.match(r"is |has |gives ", outcome) for outcome in outcomes if outcome != IMAGE)


@pytest.mark.parametrize("name", [n for n, (_, want) in HOSTILE_IMAGES.items() if want != IMAGE])
def test_the_header_alone_gives_facts_or_a_reason(name):
    (facts,) = read_facts([HOSTILE_IMAGES[name][0]()])
    if isinstance(facts, ImageError):
        assert facts.source == "image 0"
    else:
        assert facts.width * facts.height <= Limits().max_pixels


# What is bounded must not refuse what cameras and programs write.


def test_a_flat_drawing_of_ten_megapixels_is_read():
    assert decode(saved(Image.new("L", (3162, 3162), 200), "PNG")).shape == (3162, 3162, 3)


def test_an_animation_of_thousands_of_png_frames_is_read():
    frames = [Image.fromarray(np.full((40, 40), i % 256, np.uint8)) for i in range(2_500)]
    content = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert decode(content).shape == (40, 40, 3)


def test_a_jpeg_with_a_large_colour_profile_is_read():
    content = saved(photo(), "JPEG", icc_profile=bytes(10_000_000))
    assert decode(content).shape == (60, 80, 3)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_tiff_of_many_strips_and_a_big_tiff_are_read(compression):
    content = saved(
        photo(400, 3000), "TIFF", compression=compression, strip_size=1200, big_tiff=True
    )
    assert decode(content).shape == (3000, 400, 3)


def test_a_gif_with_a_long_comment_is_read():
    assert decode(saved(photo(), "GIF", comment=b"c" * 200_000)).shape == (60, 80, 3)


# Formats that a service does not need


def test_formats_can_be_left_out():
    jpeg_only = Limits(formats=("JPEG",))
    assert decode(a_photo("JPEG"), limits=jpeg_only).shape == (60, 80, 3)
    with pytest.raises(ImageError, match=r"kind that is read \(JPEG\); convert it"):
        decode(a_photo("PNG"), limits=jpeg_only)


def test_an_unknown_format_to_leave_in_is_a_mistake():
    with pytest.raises(ValueError, match=r"has \['EPS'\]; use some of \['JPEG'") as caught:
        Limits(formats=("JPEG", "EPS"))
    assert not isinstance(caught.value, ImageError)
    assert Limits().formats == FORMATS


# Paths and objects that are no files


@pytest.fixture
def places(tmp_path):
    """Names to paths that cannot be read, and what the reason says."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "to-a-folder.jpg").symlink_to(tmp_path)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "to-a-fifo.jpg").symlink_to(tmp_path / "fifo.jpg")
    return {
        "a folder": (tmp_path / "folder.jpg", "is a directory"),
        "a link to a folder": (tmp_path / "to-a-folder.jpg", "is a directory"),
        "a fifo": (tmp_path / "fifo.jpg", "no regular file"),
        "a link to a fifo": (tmp_path / "to-a-fifo.jpg", "no regular file"),
        "a device without end": (Path("/dev/zero"), "no regular file"),
        "a device of nothing": (Path("/dev/null"), "no regular file"),
        "a link to itself": (tmp_path / "loop", "cannot be opened"),
        "a link to nothing": (tmp_path / "dangling", "no such file"),
        "an empty file": (tmp_path / "empty.jpg", "has 0 bytes"),
        "a name that is too long": (tmp_path / ("x" * 5000), "cannot be opened"),
        "a file taken for a folder": (tmp_path / "empty.jpg" / "a.jpg", "cannot be opened"),
        "nothing": (tmp_path / "none.jpg", "no such file"),
    }


PLACES = (
    "a folder",
    "a link to a folder",
    "a fifo",
    "a link to a fifo",
    "a device without end",
    "a device of nothing",
    "a link to itself",
    "a link to nothing",
    "an empty file",
    "a name that is too long",
    "a file taken for a folder",
    "nothing",
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("read", [decode, file_facts])
@pytest.mark.timeout(20)  # a FIFO without a writer would wait for ever
def test_what_is_no_file_is_refused_at_once(place, read, places):
    path, message = places[place]
    with pytest.raises(ImageError, match=message) as caught:
        read(path)
    assert caught.value.source == str(path)


def test_every_place_is_tested(places):
    assert set(places) == set(PLACES)


def test_a_socket_is_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.jpg"))
        with pytest.raises(ImageError, match=r"pipe, socket or device|cannot be opened"):
            decode(tmp_path / "s.jpg")


def test_a_file_without_permission_is_refused_and_the_others_are_read(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(a_photo("JPEG"))
    (tmp_path / "a.jpg").chmod(0)
    if os.geteuid() != 0:
        outcomes = [image.error for image in prepared(iter_sources(tmp_path), np.shape)]
    else:  # root may read everything, so ask as nobody
        tmp_path.chmod(0o755)
        parents = [p for p in tmp_path.parents if not p.stat().st_mode & 0o001]
        if parents:
            pytest.skip("nobody may not look into this temporary folder")
        os.seteuid(65534)
        try:
            outcomes = [image.error for image in prepared(iter_sources(tmp_path), np.shape)]
        finally:
            os.seteuid(0)
    assert [error and error.reason for error in outcomes] == [
        "may not be read; check its permissions",
        None,
    ]


def test_a_file_that_vanishes_after_it_was_listed_is_one_bad_image(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(a_photo("JPEG"))
    sources = iter_sources(tmp_path)
    first = next(sources)
    (tmp_path / "b.jpg").unlink()
    reasons = [image.error and image.error.reason for image in prepared(sources, np.shape)]
    assert first == tmp_path / "a.jpg"
    assert reasons == ["there is no such file; check the path", None]


def test_a_file_that_is_cut_while_it_is_read_is_damaged(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(a_photo("JPEG")[:-600])
    with pytest.raises(ImageError, match="truncated or damaged"):
        decode(path)


class Raises:
    """A file object that fails as `error`, or gives something else."""

    def __init__(self, answer):
        self.answer = answer

    def read(self, size):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "gives no bytes"),
        (7, "gives no bytes"),
        (OSError("disk"), "cannot be read"),
        (ValueError("closed"), "cannot be read"),
        (KeyError("own"), "cannot be read"),
        ("text", "opened as text"),
    ],
)
def test_a_file_object_that_misbehaves_is_one_bad_image_of_a_stream(answer, message):
    closed = io.BytesIO(a_photo("JPEG"))
    closed.close()
    sources = [Raises(answer), closed, a_photo("JPEG")]
    errors = [image.error for image in prepared(sources, np.shape)]
    assert re.search(message, errors[0].reason)
    assert "cannot be read" in errors[1].reason
    assert errors[2] is None


def test_a_large_pil_image_is_refused_before_it_is_loaded():
    image = Image.open(io.BytesIO(a_photo("PNG")))
    (bad,) = prepared([image], np.shape, limits=Limits(max_pixels=4_000))
    assert "over 4,000 pixels" in bad.error.reason
    assert image.tile  # still to be read


def test_postscript_that_a_caller_opened_is_not_run():
    image = Image.open(io.BytesIO(HOSTILE_IMAGES["no-image-postscript"][0]()))
    assert image.format == "EPS"
    with pytest.raises(ImageError, match="a program and no picture"):
        decode(image)
