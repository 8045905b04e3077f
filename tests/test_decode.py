"""Decoding: every form and mode gives the picture; everything else gives a reason."""

import functools
import gzip
import io
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from synthdetect.errors import ImageError
from synthdetect.images.decode import decode, source_name
from synthdetect.images.limits import Limits

HOSTILE = Path(__file__).parents[2] / "shared" / "hostile-images"


def photo(width=80, height=60, seed=0):
    """A smooth colourful picture with some noise, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([x * 3, y * 4, (x + y) * 2], axis=-1) % 256
    return np.clip(base + rng.integers(-8, 9, base.shape), 0, 255).astype(np.uint8)


def encoded(image, format_name, **options):
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}


@pytest.mark.parametrize("format_name", LOSSLESS)
def test_lossless_formats_give_the_pixels_back(format_name):
    pixels = decode(encoded(photo(), format_name, **LOSSLESS[format_name]))
    np.testing.assert_array_equal(pixels, photo())
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("format_name", ["JPEG", "GIF", "WEBP", "AVIF"])
def test_lossy_formats_give_nearly_the_pixels_back(format_name):
    pixels = decode(encoded(photo(), format_name))
    assert np.abs(pixels.astype(int) - photo()).mean() < 12


def test_every_form_of_one_image_gives_equal_pixels(tmp_path):
    content = encoded(photo(), "JPEG", quality=90)
    path = tmp_path / "with space é.jpg"
    path.write_bytes(content)
    expected = decode(content)
    forms = [str(path), path, bytearray(content), memoryview(content), io.BytesIO(content)]
    with path.open("rb") as file, Image.open(path) as image:
        for form in (*forms, file, image, expected):
            np.testing.assert_array_equal(decode(form), expected)
        assert not file.closed
        assert image.size == (80, 60)


def test_content_decides_and_not_the_extension(tmp_path):
    path = tmp_path / "really-a-png.jpg"
    path.write_bytes(encoded(photo(), "PNG"))
    np.testing.assert_array_equal(decode(path), photo())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(photo(), "PNG", exif=exif)
    turn = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }[orientation]
    np.testing.assert_array_equal(decode(content), turn(photo()))


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff"])
def test_broken_exif_is_no_reason_to_refuse(exif):
    assert decode(encoded(photo(), "JPEG", exif=exif)).shape == (60, 80, 3)


def test_bad_orientation_value_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 77
    np.testing.assert_array_equal(decode(encoded(photo(), "PNG", exif=exif)), photo())


def test_alpha_is_composited_on_white():
    rgba = np.dstack([photo(), np.zeros((60, 80), np.uint8)])
    rgba[:, :40, 3] = 255
    rgba[:, 40:60, 3] = 128
    pixels = decode(encoded(rgba, "PNG"))
    np.testing.assert_array_equal(pixels[:, :40], photo()[:, :40])
    half = photo()[:, 40:60] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(pixels[:, 40:60] - half).max() <= 1
    assert (pixels[:, 60:] == 255).all()


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "CMYK", "YCbCr", "HSV", "RGBA"])
def test_modes_of_pillow_are_converted(mode):
    if mode == "HSV":
        image = Image.fromarray(photo()).convert(mode)
        assert decode(image).shape == (60, 80, 3)
        return
    image = Image.fromarray(photo()).convert(mode)
    format_name = {"CMYK": "TIFF", "YCbCr": "JPEG"}.get(mode, "PNG")
    from_file = decode(encoded(image, format_name))
    assert from_file.shape == (60, 80, 3)
    if mode not in ("1", "P", "CMYK", "YCbCr"):
        grey = np.asarray(image.convert("RGB"))
        assert np.abs(from_file.astype(int) - grey).max() <= 1


def test_palette_with_transparency_becomes_white_there():
    image = Image.fromarray((photo()[:, :, 0] > 128).astype(np.uint8), "L").convert("P")
    image.putpalette([200, 0, 0, 0, 0, 200])
    pixels = decode(encoded(image, "PNG", transparency=0))
    index = np.asarray(image)
    assert (pixels[index == 0] == 255).all()
    assert (pixels[index == 1] == [0, 0, 200]).all()


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(format_name):
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    pixels = decode(encoded(ramp, format_name))
    np.testing.assert_array_equal(pixels[:, :, 0], np.round(ramp / 257).astype(np.uint8))


def test_pixels_without_a_defined_range_are_refused():
    grey = photo()[:, :, 0].astype(np.float32)
    with pytest.raises(ImageError, match="floating-point pixels"):
        decode(encoded(grey, "TIFF"))
    with pytest.raises(ImageError, match="32-bit pixels beyond"):
        decode(Image.fromarray(np.full((64, 64), 70_000, np.int32)))


def test_first_frame_of_an_animation_is_used():
    frames = [Image.fromarray(photo(seed=i)) for i in range(3)]
    for format_name, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        content = encoded(
            frames[0], format_name, save_all=True, append_images=frames[1:], **options
        )
        assert np.abs(decode(content).astype(int) - photo()).mean() < 12


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 1), (60, 80, 3), (60, 80, 4)])
def test_arrays_of_each_shape(shape):
    array = np.full(shape, 255, np.uint8)
    array.reshape(60, 80, -1)[:30, :, 0] = 7
    pixels = decode(array)
    assert pixels.shape == (60, 80, 3)
    assert (pixels[:30, :, 0] == 7).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (photo() / 255, r"0 to 1; uint8 is needed: \(x \* 255\)\.round"),
        (photo().astype(float), r"uint8 is needed: x\.round\(\)\.clip"),
        (photo().astype(np.uint16), "uint16"),
        (photo() > 9, r"bool; uint8 is needed"),
        (photo().astype(int), "int64; uint8 of 0 to 255"),
        (-photo().astype(int), "negative"),
        (photo() / 127.5 - 1, "negative"),
        (np.where(photo() > 9, np.nan, 0.5), "NaN"),
        (np.zeros((60, 80, 2), np.uint8), r"shape \(60, 80, 2\)"),
        (np.zeros((60, 80, 3, 1), np.uint8), "shape"),
        (np.zeros((0, 0, 3), np.uint8), "at least 32 pixels"),
    ],
)
def test_other_arrays_say_how_to_convert(array, message):
    with pytest.raises(ImageError, match=message):
        decode(array)


def png_header(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(chunk))
    data = struct.pack(">I", 8) + b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc + data


@functools.cache
def bad_inputs():
    jpeg = encoded(photo(), "JPEG")
    png = encoded(photo(), "PNG")
    return {
        "empty": (b"", "has 0 bytes"),
        "text": (b"hello, this is no image", "no image of a kind that is read"),
        "bomb": (png_header(60_000, 60_000), "over 100,000,000 pixels"),
        "wide": (png_header(2**31 - 1, 1), "over 100,000,000 pixels"),
        "truncated-jpeg": (jpeg[: len(jpeg) // 2], "truncated or damaged"),
        "truncated-png": (png[: len(png) // 2], "truncated or damaged"),
        "small": (encoded(photo(31, 200), "PNG"), "is 31 x 200; at least 32 pixels"),
        "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image of a kind"),
        "text-bomb": (text_bomb(), "damaged"),
        "scans": (jpeg[:-2] + b"\xff\xda\x00\x02" * 200 + jpeg[-2:], "over 100 JPEG scans"),
        "none": (None, "NoneType"),
        "url": ("https://example.org/a.jpg", "is a URL"),
        "no-such-path": ("no/such/file.jpg", "no such file"),
        "nul": ("a\0b.jpg", "cannot be opened"),
        "text-file": (io.StringIO("text"), "opened as text"),
    }


def text_bomb():
    """A PNG whose compressed text chunk would fill 200 MB."""
    png = encoded(photo(), "PNG")
    chunk = b"zTXtComment\0\0" + zlib.compress(b"\0" * 200_000_000, 9)
    length = struct.pack(">I", len(chunk) - 4)
    return png[:33] + length + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


@pytest.mark.parametrize("kind", bad_inputs())
def test_bad_inputs_get_an_error_that_names_input_and_cause(kind):
    source, message = bad_inputs()[kind]
    with pytest.raises(ImageError, match=message) as caught:
        decode(source, name="upload 7")
    assert str(caught.value).startswith("upload 7: ")
    assert caught.value.source == "upload 7"


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        started = time.monotonic()
        for path in (tmp_path / "fifo", tmp_path / "socket", tmp_path, "/dev/zero"):
            with pytest.raises(ImageError, match=r"pipe|directory|cannot be opened"):
                decode(path)
    assert time.monotonic() - started < 2


def test_unreadable_file_says_so(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(photo(), "PNG"))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(ImageError, match="may not be read"):
        decode(path)


class Trickle(io.BytesIO):
    """Gives less than it is asked for, as a socket does."""

    def read(self, size=-1):
        return super().read(min(size, 1000))


def test_file_that_gives_little_at_a_time_is_read_to_its_end():
    content = encoded(photo(), "PNG")
    assert len(content) > 2000
    np.testing.assert_array_equal(decode(Trickle(content)), photo())
    with pytest.raises(ImageError, match="more than 2,000 bytes"):
        decode(Trickle(content), limits=Limits(max_file_bytes=2000))


def test_packed_file_is_read_to_its_end_though_it_is_smaller_on_disk(tmp_path):
    path = tmp_path / "a.bmp.gz"
    path.write_bytes(gzip.compress(encoded(np.zeros((60, 80, 3), np.uint8), "BMP")))
    with gzip.open(path) as file:
        assert decode(file).shape == (60, 80, 3)


def test_upload_that_was_spooled_to_disk_is_read_to_its_end():
    with tempfile.SpooledTemporaryFile(max_size=100) as file:
        file.write(encoded(photo(), "PNG"))
        file.seek(0)
        np.testing.assert_array_equal(decode(file), photo())


def test_limits_can_be_changed():
    content = encoded(photo(), "PNG")
    with pytest.raises(ImageError, match="over 4,000 pixels"):
        decode(content, limits=Limits(max_pixels=4_000))
    with pytest.raises(ImageError, match="more than 100 bytes"):
        decode(io.BytesIO(content), limits=Limits(max_file_bytes=100))
    assert decode(encoded(photo(9, 9), "PNG"), limits=Limits(min_side=8)).shape == (9, 9, 3)


def test_pillows_own_pixel_limit_neither_matters_nor_changes(monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(decode(encoded(photo(), "PNG")), photo())
    assert Image.MAX_IMAGE_PIXELS == 100
    assert not recwarn.list


def test_source_names():
    assert source_name("a/b.jpg", 3) == "a/b.jpg"
    assert source_name(Path("a"), 3) == "a"
    assert source_name(b"", 3) == "image 3"


def test_error_survives_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(ImageError("a.jpg", "why")))  # noqa: S301
    assert (error.source, error.reason) == ("a.jpg", "why")


SEEDS = [
    encoded(photo(40, 36), "JPEG"),
    encoded(photo(40, 36), "JPEG", progressive=True),
    encoded(photo(40, 36), "PNG"),
    encoded(photo(40, 36), "GIF"),
    encoded(photo(40, 36), "BMP"),
    encoded(photo(40, 36), "TIFF"),
    encoded(photo(40, 36), "WEBP"),
    encoded(photo(40, 36), "AVIF"),
]


def image_or_reason(content):
    try:
        pixels = decode(content, limits=Limits(max_pixels=4_000_000))
    except ImageError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_give_an_image_or_a_reason(content):
    image_or_reason(content)
    for seed in SEEDS:
        image_or_reason(seed[:12] + content)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
    st.booleans(),
)
def test_mutated_files_give_an_image_or_a_reason(seed, edits, cut, double):
    content = bytearray(seed)
    for where, value in edits:
        content[int(where * (len(content) - 1))] = value
    end = max(1, int(len(content) * cut)) if cut < 0.9 else len(content)
    image_or_reason(bytes(content[:end]) + (bytes(content[end // 2 :]) if double else b""))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.skipif(not HOSTILE.is_dir(), reason="the hostile images are not here")
def test_hostile_images_give_an_image_or_a_reason():
    names = []
    for path in sorted(HOSTILE.iterdir()):
        try:
            names.append(decode(path).shape)
        except ImageError as error:
            names.append(error.source)
    assert sum(isinstance(name, tuple) for name in names) > 200
    assert all(str(path) in names for path in HOSTILE.glob("*.eps"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_the_largest_images_stay_under_a_gigabyte(tmp_path):
    """100 Mpx as PNG with alpha, JPEG and progressive JPEG, each in a process of its own."""
    code = """
import re, sys
from pathlib import Path
from PIL import Image
from synthdetect.images.decode import decode
from synthdetect.errors import ImageError
try:
    print(decode(sys.argv[1]).shape)
except ImageError as error:
    print(error.reason)
# ru_maxrss would count what the test's own process held when it forked.
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
    for mode, format_name, options in (
        ("RGBA", "PNG", {}),
        ("RGB", "JPEG", {"subsampling": 0}),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
        ("CMYK", "TIFF", {"compression": "tiff_lzw"}),
    ):
        path = tmp_path / "large"
        Image.new(mode, (10_000, 9_990)).save(path, format_name, **options)
        done = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
        )
        assert int(done.stdout.split()[-1]) * 1024 < 1_000_000_000, (mode, format_name, options)
