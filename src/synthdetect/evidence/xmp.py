"""The few properties of an XMP packet that say how an image was made.

References
----------
IPTC Photo Metadata Standard 2023.1, "Digital Source Type", and its NewsCodes at
http://cv.iptc.org/newscodes/digitalsourcetype/.
"""

import re
from xml.etree import ElementTree

from synthdetect.evidence.finding import Says

MOST_BYTES = 1 << 20

# By local name: their namespaces are fixed, but programs write them wrongly.
PROPERTIES = ("DigitalSourceType", "DigitalSourcefileType", "CreatorTool", "Credit", "Software")

_SYNTHETIC = ("trainedalgorithmicmedia",)
_PARTLY = (
    "compositewithtrainedalgorithmicmedia",
    "compositesynthetic",
    "trainedalgorithmicmediaenhanced",
)
_CAMERA = ("digitalcapture", "computationalcapture", "negativefilm", "positivefilm", "print")
_UNSAFE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def xmp_properties(packet: bytes) -> dict[str, str]:
    """Read `PROPERTIES` of a packet, those that are there.

    Parameters
    ----------
    packet : bytes
        Of any encoding that XML knows; at most `MOST_BYTES` are read.

    Returns
    -------
    properties : dict of str to str
        Empty for a packet that is too large, damaged, or declares entities, which XMP never does.
    """
    if len(packet) > MOST_BYTES or _UNSAFE.search(packet.replace(b"\0", b"")):
        return {}
    try:
        # Without entities there is nothing to expand: reading takes time linear in the packet.
        root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError, LookupError):
        return {}
    found: dict[str, str] = {}
    for element in root.iter():
        named = {str(element.tag): _text(element), **{k: str(v) for k, v in element.attrib.items()}}
        for name, value in named.items():
            local = name.rpartition("}")[2]
            if local in PROPERTIES and value.strip():
                found.setdefault(local, value.strip())
    return found


def source_type(uri: str) -> Says:
    """Return what an IPTC digital source type claims.

    Parameters
    ----------
    uri : str
        Such as `http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia`.

    Returns
    -------
    says : Says

    Examples
    --------
    >>> source_type("http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture").value
    'taken by a camera'
    """
    code = re.split(r"[/:#]", uri.strip().rstrip("/"))[-1].lower()
    for says, codes in (
        (Says.synthetic, _SYNTHETIC),
        (Says.partly, _PARTLY),
        (Says.camera, _CAMERA),
    ):
        if code in codes:
            return says
    return Says.unknown


def _text(element: "ElementTree.Element") -> str:
    """The text of an element, or of the first item of its list, or the resource that it names."""
    resource = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
    if (element.text or "").strip() or not len(element):
        return element.text or element.attrib.get(resource, "")
    items = [one.text or "" for one in element.iterfind("./*/*")]
    return items[0] if items else ""
