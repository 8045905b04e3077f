"""Read what a file says of itself: one pass, bounded, on any bytes."""

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from synthdetect.errors import ImageError
from synthdetect.evidence.containers import credentials_at, parts, png_texts
from synthdetect.evidence.credentials import credentials
from synthdetect.evidence.finding import Evidence, Finding, Says, shown
from synthdetect.evidence.xmp import MOST_BYTES, source_type, xmp_properties
from synthdetect.images.decode import open_header, source_name
from synthdetect.images.limits import DEFAULT_LIMITS, Limits
from synthdetect.images.reading import read_encoded

_GENERATORS = re.compile(
    r"stable.?diffusion|sdxl|midjourney|dall.?e\b|comfyui|automatic1111|invoke.?ai|novelai|firefly|"
    r"imagen\b|made with google ai|flux[. ]?1|leonardo\.?ai|ideogram|fooocus|draw things|"
    r"gpt.?image|openai|grok|seedream|hunyuan|stylegan|thispersondoesnotexist",
    re.IGNORECASE,
)
# Keywords under which generators leave their settings in a PNG.
_GENERATOR_KEYWORDS = frozenset(
    ("parameters", "prompt", "workflow", "sd-metadata", "invokeai_metadata", "dream", "aesthetic")
)
_PROGRAM_KEYWORDS = frozenset(("software", "creator tool", "creator", "source", "comment", "title"))
_A1111 = re.compile(r"\bSteps: \d+, .{0,40}Sampler: ", re.DOTALL)

_FORGEABLE = "Anyone can write or remove it: believe it where nobody gains by lying."
_STRIPPED = f"{_FORGEABLE} Most platforms strip it, so its absence says nothing."
_SETTINGS = (
    "Settings that a generator left. Few people fake these, and one edit removes them; a "
    "photograph edited with such a program may have them too."
)
_CAMERA_WORTH = (
    "Cameras write it and any tool can copy it onto another image: weak support for a photograph, "
    "none against one where it is missing."
)
_PROGRAM_WORTH = "A program's name: editing leaves it on photographs and synthetic images alike."

_MAKE, _MODEL, _SOFTWARE, _EXIF_IFD, _TIFF_C2PA = 0x010F, 0x0110, 0x0131, 0x8769, 0xCD41
_USER_COMMENT, _XMP = 0x9286, 0x02BC
_SHOT = {0x829A: "exposure", 0x829D: "aperture", 0x8827: "ISO", 0x9003: "date", 0xA434: "lens"}


def read_evidence(
    source: Any,
    *,
    name: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    trust_anchors: str | None = None,
) -> Evidence:
    """Read what an image's file says of its making; pixels are not looked at.

    Parameters
    ----------
    source : str, path-like, bytes or binary file object
        An encoded image; arrays and PIL images have no file.
    name : str, optional
        What errors call it.
    limits : Limits, optional
        `max_file_bytes` bounds what is read.
    trust_anchors : str, optional
        PEM certificates of signers of content credentials to trust, such as those of the C2PA
        trust list. Nothing is fetched.

    Returns
    -------
    evidence : Evidence
        Never a probability, and never to be mixed into one: every item can be removed, and most
        can be forged.

    Raises
    ------
    ImageError
        If it is no image that `synthdetect` reads, as far as its header tells; nothing else is
        raised for a bad file.

    Examples
    --------
    >>> from PIL import Image, PngImagePlugin
    >>> import io
    >>> texts, file = PngImagePlugin.PngInfo(), io.BytesIO()
    >>> texts.add_text("parameters", "a cat. Steps: 20, Sampler: Euler a")
    >>> Image.new("RGB", (64, 64)).save(file, "PNG", pnginfo=texts)
    >>> read_evidence(file.getvalue()).summary
    'made by AI (generator text)'
    """
    name = source_name(source, 0) if name is None else name
    encoded = read_encoded(source, name=name, limits=limits)
    try:
        return _read(encoded, name, limits, trust_anchors)
    except ImageError:
        raise
    except Exception as error:  # a stranger's bytes may break any reader
        raise ImageError(name, f"has metadata that cannot be read ({shown(error)})") from error


def _read(encoded: bytes, name: str, limits: Limits, trust_anchors: str | None) -> Evidence:
    found = list(parts(encoded))
    notes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on damaged metadata
        with open_header(encoded, name=name, limits=limits) as (image, _):
            mime = Image.MIME.get(image.format or "", "")
            exif = _exif(image)
            xmp = image.info.get("xmp") or exif.get(_XMP) or b""
            texts = dict(png_texts(found)) if image.format == "PNG" else _comments(image)
    where = credentials_at(found) or ("TIFF tag" if _TIFF_C2PA in exif else None)
    findings = []
    if where is not None:
        findings.append(credentials(encoded, mime, where, trust_anchors=trust_anchors))
    packet = texts.pop("XML:com.adobe.xmp", None) or xmp
    packet = packet.encode() if isinstance(packet, str) else bytes(packet)
    if len(packet) > MOST_BYTES:
        notes.append(f"An XMP packet of {len(packet):,} bytes is too large and was not read.")
    findings += _of_xmp(xmp_properties(packet))
    findings += _of_texts(texts)
    findings += _of_exif(exif)
    return Evidence(tuple(findings), tuple(notes))


def _of_xmp(properties: Mapping[str, str]) -> Iterator[Finding]:
    for key in ("DigitalSourceType", "DigitalSourcefileType"):
        if key in properties:
            says = source_type(properties[key])
            value = shown(properties[key])
            yield Finding("digital source type", "XMP, IPTC", value, says, _STRIPPED)
    for key in ("CreatorTool", "Credit", "Software"):
        if key in properties:
            yield _program(f"XMP {key}", properties[key])


def _of_texts(texts: Mapping[str, str]) -> Iterator[Finding]:
    for keyword, text in texts.items():
        known = keyword.lower()
        if known in _GENERATOR_KEYWORDS or _A1111.search(text[:20_000]):
            where = f"text {shown(keyword)!r}"
            yield Finding("generator text", where, shown(text), Says.synthetic, _SETTINGS)
        elif known in _PROGRAM_KEYWORDS:
            yield _program(f"text {shown(keyword)!r}", text)


def _program(where: str, text: str) -> Finding:
    if _GENERATORS.search(text[:2000]):
        return Finding("generator text", where, shown(text), Says.synthetic, _STRIPPED)
    return Finding("program", where, shown(text), Says.software, _PROGRAM_WORTH)


def _of_exif(exif: Mapping[int, Any]) -> Iterator[Finding]:
    comment = exif.get(_USER_COMMENT)
    if isinstance(comment, bytes):
        # An encoding's name of eight bytes, then the text in it.
        wide = comment[:7] == b"UNICODE"
        text = comment[8 : 8 + 20_000].decode("utf-16-be" if wide else "utf-8", "replace")
        if _A1111.search(text):
            where = "EXIF UserComment"
            yield Finding("generator text", where, shown(text), Says.synthetic, _SETTINGS)
    if exif.get(_SOFTWARE):
        yield _program("EXIF Software", shown(exif[_SOFTWARE]))
    names = [shown(exif[tag]) for tag in (_MAKE, _MODEL) if exif.get(tag)]
    if names:
        shot = [word for tag, word in _SHOT.items() if exif.get(tag)]
        value = " ".join(names) + (f"; with {', '.join(shot)}" if shot else "; no exposure data")
        says = Says.camera if shot else Says.unknown
        yield Finding("camera", "EXIF", value, says, _CAMERA_WORTH)


def _exif(image: Image.Image) -> dict[int, Any]:
    """Tags of the main directory and of the EXIF one; what is damaged is left out."""
    tags: dict[int, Any] = {}
    with contextlib.suppress(Exception):
        exif = image.getexif()
        for tag in list(exif)[:256]:
            with contextlib.suppress(Exception):
                tags[tag] = exif[tag]
        inner = exif.get_ifd(_EXIF_IFD)
        tags |= {tag: inner[tag] for tag in list(inner)[:256] if tag not in tags}
    return tags


def _comments(image: Image.Image) -> dict[str, str]:
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        return {"comment": comment[:MOST_BYTES].decode("utf-8", "replace")}
    return {"comment": comment[:MOST_BYTES]} if isinstance(comment, str) else {}
