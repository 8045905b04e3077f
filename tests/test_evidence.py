"""What a file says of itself is read, weighed, and never dangerous to read."""

import contextlib
import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from conftest import native
from synthdetect import ImageError, read_evidence
from synthdetect.evidence.containers import MOST_PARTS, MOST_TEXT_BYTES, parts, png_texts
from synthdetect.evidence.finding import Says
from synthdetect.evidence.xmp import source_type, xmp_properties

HOSTILE = Path(__file__).parents[2] / "shared" / "hostile-images"
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<rdf:Description rdf:about="" {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def packet(attributes="", elements=""):
    return XMP.format(attributes=attributes, elements=elements).encode()


SYNTHETIC_XMP = packet(f'Iptc4xmpExt:DigitalSourceType="{IPTC}trainedAlgorithmicMedia"')


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(native(np.random.default_rng(0), 64))


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_with(image, **texts):
    info = PngImagePlugin.PngInfo()
    for keyword, text in texts.items():
        info.add_text(keyword, text)
    return saved(image, "PNG", pnginfo=info)


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def with_chunk(encoded, kind, content):
    """Put a chunk right behind the header of a PNG."""
    return encoded[:33] + chunk(kind, content) + encoded[33:]


# ---- what is found


def test_a_plain_file_says_nothing_and_that_is_said(photo):
    found = read_evidence(saved(photo, "PNG"))
    assert not found.findings
    assert found.summary == "none"
    assert "no sign either way" in str(found)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_source_type_is_read_from_xmp(photo, kind):
    if kind == "PNG":
        encoded = png_with(photo, **{"XML:com.adobe.xmp": SYNTHETIC_XMP.decode()})
    elif kind == "TIFF":
        encoded = saved(photo, kind, tiffinfo={700: SYNTHETIC_XMP})
    else:
        encoded = saved(photo, kind, xmp=SYNTHETIC_XMP)
    (finding,) = read_evidence(encoded)
    assert finding.kind == "digital source type"
    assert finding.says is Says.synthetic
    assert "strip" in finding.worth


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("trainedAlgorithmicMedia", Says.synthetic),
        ("compositeWithTrainedAlgorithmicMedia", Says.partly),
        ("digitalCapture", Says.camera),
        ("algorithmicMedia", Says.unknown),
    ],
)
def test_a_source_type_says_what_its_code_means(code, says):
    assert source_type(IPTC + code) is says


def test_xmp_properties_are_read_as_attributes_elements_and_lists():
    uri = IPTC + "digitalCapture"
    tag = "Iptc4xmpExt:DigitalSourceType"
    for elements in (
        f"<{tag}>{uri}</{tag}>",
        f'<{tag} rdf:resource="{uri}"/>',
        f"<{tag}><rdf:Bag><rdf:li>{uri}</rdf:li></rdf:Bag></{tag}>",
    ):
        assert xmp_properties(packet(elements=elements)) == {"DigitalSourceType": uri}
    found = xmp_properties(packet('xmp:CreatorTool="Adobe Firefly"'))
    assert found == {"CreatorTool": "Adobe Firefly"}


@pytest.mark.parametrize("keyword", ["parameters", "prompt", "workflow", "sd-metadata"])
def test_settings_that_a_generator_left_are_found(photo, keyword):
    (finding,) = read_evidence(png_with(photo, **{keyword: "a cat on a mat"}))
    assert finding.kind == "generator text"
    assert finding.says is Says.synthetic
    assert "a cat on a mat" in finding.value


def test_settings_behind_the_pixels_are_found(photo):
    encoded = saved(photo, "PNG")
    end = encoded.index(b"IEND") - 4
    text = chunk(b"tEXt", b"parameters\0a cat")
    (finding,) = read_evidence(encoded[:end] + text + encoded[end:])
    assert finding.says is Says.synthetic


def test_settings_in_a_jpeg_s_user_comment_are_found(photo):
    exif = Image.Exif()
    text = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7"
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    (finding,) = read_evidence(saved(photo, "JPEG", exif=exif.tobytes()))
    assert finding.where == "EXIF UserComment"
    assert finding.says is Says.synthetic


@pytest.mark.parametrize(
    ("name", "says"), [("Midjourney 6", Says.synthetic), ("GIMP 2.10", Says.software)]
)
def test_a_program_s_name_is_weighed(photo, name, says):
    (finding,) = read_evidence(png_with(photo, Software=name))
    assert finding.says is says


def test_a_camera_is_weak_support(photo):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS R5"
    exif.get_ifd(0x8769)[0x829A] = 0.01
    (finding,) = read_evidence(saved(photo, "JPEG", exif=exif.tobytes()))
    assert finding.says is Says.camera
    assert "any tool can copy it" in finding.worth


def test_a_camera_s_name_alone_is_no_claim(photo):
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    (finding,) = read_evidence(saved(photo, "JPEG", exif=exif.tobytes()))
    assert finding.says is Says.unknown


def test_a_claim_of_synthesis_outweighs_one_of_a_camera(photo):
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    exif.get_ifd(0x8769)[0x829A] = 0.01
    encoded = saved(photo, "JPEG", exif=exif.tobytes(), xmp=SYNTHETIC_XMP)
    assert read_evidence(encoded).summary == "made by AI (digital source type)"


# ---- content credentials


def test_a_box_that_cannot_be_verified_is_present_and_says_nothing(photo):
    (finding,) = read_evidence(with_chunk(saved(photo, "PNG"), b"caBX", b"\0\0\0\x10jumbxxxx"))
    assert finding.kind == "content credentials"
    assert finding.says is Says.unknown
    assert finding.worth.startswith("Present")


def test_without_the_extra_presence_is_told_and_not_verified(photo, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    (finding,) = read_evidence(with_chunk(saved(photo, "PNG"), b"caBX", b"\0\0\0\x10jumbxxxx"))
    assert "not verified" in finding.worth
    assert "synthdetect[c2pa]" in finding.worth


# ---- hostile files


def test_a_text_bomb_is_not_inflated(photo):
    bomb = zlib.compress(b"a" * (64 << 20))
    encoded = with_chunk(saved(photo, "PNG"), b"zTXt", b"parameters\0\0" + bomb)
    ((_, text),) = png_texts(list(parts(encoded)))
    assert len(text) == MOST_TEXT_BYTES


def test_entities_are_not_expanded():
    laughs = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]>'
    body = packet('xmp:CreatorTool="x"').replace(b"<x:xmpmeta", laughs + b"<x:xmpmeta", 1)
    assert xmp_properties(body) == {}
    assert xmp_properties(body.decode().encode("utf-16")) == {}


def test_deep_nesting_ends(photo):
    deep = b"<a>" * 200_000
    assert xmp_properties(deep) == {}
    assert xmp_properties(deep[:150_000] + b"</a>" * 50_000) == {}


def test_endless_parts_are_walked_to_a_bound():
    encoded = b"\x89PNG\r\n\x1a\n" + chunk(b"tEXt", b"") * (2 * MOST_PARTS)
    assert len(list(parts(encoded))) == MOST_PARTS


def test_values_are_shown_on_one_printable_line(photo):
    (finding,) = read_evidence(png_with(photo, parameters="a\x1b[2J\nb" + "c" * 9999))
    assert finding.value.isprintable()
    assert len(finding.value) < 400


STARTS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe1",
    b"RIFF\xff\xff\xff\xffWEBP",
    b"\0\0\0\x1cftypavif",
    b"GIF89a",
    b"II*\0",
    b"",
)


@given(st.sampled_from(STARTS), st.binary(max_size=400))
def test_any_bytes_give_evidence_or_an_image_error(start, rest):
    with contextlib.suppress(ImageError):
        read_evidence(start + rest)


@given(st.binary(max_size=300))
def test_any_packet_gives_properties(rest):
    assert isinstance(xmp_properties(rest), dict)


@given(st.integers(0, 5000), st.integers(0, 255))
def test_one_changed_byte_gives_evidence_or_an_image_error(at, value):
    encoded = bytearray(_RICH)
    encoded[at % len(encoded)] = value
    with contextlib.suppress(ImageError):
        read_evidence(bytes(encoded))


def _rich() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0131] = "Canon", "GIMP"
    exif.get_ifd(0x8769)[0x829A] = 0.01
    image = Image.fromarray(native(np.random.default_rng(0), 32))
    return saved(image, "JPEG", exif=exif.tobytes(), xmp=SYNTHETIC_XMP)


_RICH = _rich()


@pytest.mark.skipif(not HOSTILE.is_dir(), reason="the hostile images are not here")
def test_hostile_files_give_evidence_or_an_image_error():
    for path in sorted(HOSTILE.iterdir()):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with contextlib.suppress(ImageError):
                read_evidence(path)


@pytest.mark.parametrize("source", [np.zeros((64, 64, 3), np.uint8), "no-such-file.jpg", b"", 3])
def test_what_is_no_file_is_an_image_error(source):
    with pytest.raises(ImageError):
        read_evidence(source)
