"""Facts of files: what was saved is what is told, without decoding pixels."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import native
from synthdetect.errors import ImageError
from synthdetect.images.facts import file_facts, jpeg_quality, read_facts
from synthdetect.images.limits import Limits


@pytest.fixture(scope="module")
def image():
    return Image.fromarray(native(np.random.default_rng(0), 64)).resize((80, 64))


def saved(image, format_name, **options):
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


@given(st.integers(1, 100))
def test_quality_of_a_jpeg_is_the_one_it_was_saved_at(quality):
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "JPEG", quality=quality)
    facts = file_facts(file.getvalue())
    # The luminance tables of qualities 1 to 2 are the same: all 255 but for a few.
    told = {quality} if quality > 2 else {1, 2}
    assert facts.jpeg_quality in told
    assert facts.jpeg_standard is True


@given(st.integers(20, 95), st.integers(0, 63), st.integers(0, 2**32 - 1))
def test_a_table_of_another_program_has_the_nearest_quality(quality, entry, seed):
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "JPEG", quality=quality)
    file.seek(0)
    table = np.array(Image.open(file).quantization[0])
    table[entry] += 1
    assert jpeg_quality(table) == (quality, False)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_subsampling_is_told(image, subsampling):
    facts = file_facts(saved(image, "JPEG", subsampling=subsampling))
    assert facts.subsampling == subsampling


def test_a_grey_jpeg_has_a_quality_and_no_subsampling(image):
    facts = file_facts(saved(image.convert("L"), "JPEG", quality=80))
    assert (facts.mode, facts.jpeg_quality, facts.subsampling) == ("L", 80, None)


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_other_formats_have_no_jpeg_settings(image, format_name):
    encoded = saved(image, format_name)
    facts = file_facts(encoded)
    assert (facts.format, facts.width, facts.height) == (format_name, 80, 64)
    assert facts.n_bytes == len(encoded)
    assert (facts.jpeg_quality, facts.jpeg_standard, facts.subsampling) == (None, None, None)


def test_metadata_and_progressive_coding_are_told(image):
    exif = Image.Exif()
    exif[0x0112] = 6
    facts = file_facts(saved(image, "JPEG", exif=exif, icc_profile=b"x" * 200, progressive=True))
    assert (facts.has_exif, facts.has_icc, facts.progressive) == (True, True, True)
    # Turned by a quarter, as the decoder turns it.
    assert (facts.width, facts.height) == (64, 80)
    plain = file_facts(saved(image, "JPEG"))
    assert (plain.has_exif, plain.has_icc, plain.progressive) == (False, False, False)


def test_bytes_per_pixel_and_json(image):
    encoded = saved(image, "PNG")
    facts = file_facts(encoded)
    assert facts.bytes_per_pixel == len(encoded) / (80 * 64)
    assert facts.to_dict()["format"] == "PNG"


def test_pixels_are_not_decoded(image, tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(saved(image, "JPEG", quality=95)[:1500])
    assert file_facts(path).jpeg_quality == 95


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"", "has 0 bytes"),
        (b"no image at all", "is no image of a kind that is read"),
        (b"\xff\xd8\xff\xe0broken", "is truncated or damaged"),
        ("there/is/none.jpg", "there is no such file"),
        (np.zeros((40, 40, 3), np.uint8), "is a ndarray; give a path"),
    ],
)
def test_what_is_no_image_is_refused(source, message):
    with pytest.raises(ImageError, match=message):
        file_facts(source)


def test_limits_are_those_of_the_decoder(image, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(image, "PNG"))
    for limits, message in [
        (Limits(max_pixels=1000), "over 1,000 pixels"),
        (Limits(min_side=65), "at least 65 pixels"),
        (Limits(max_file_bytes=100), "more than 100 bytes"),
    ]:
        for source in (path, path.read_bytes()):
            with pytest.raises(ImageError, match=message):
                file_facts(source, limits=limits)


def test_many_are_read_in_order_and_errors_stay_in_place(image, tmp_path):
    paths = []
    for i in range(20):
        paths.append(tmp_path / f"{i}.jpg")
        paths[-1].write_bytes(saved(image, "JPEG", quality=50 + i))
    paths[7].write_bytes(b"broken")
    facts = read_facts(paths)
    assert isinstance(facts[7], ImageError)
    assert facts[7].source == str(paths[7])
    assert [f.jpeg_quality for i, f in enumerate(facts) if i != 7] == [
        50 + i for i in range(20) if i != 7
    ]
