"""Content credentials (C2PA): a signed record of how a file was made, if there is one.

Needs the extra `c2pa`. Nothing is fetched: neither manifests that lie elsewhere nor the state of a
certificate.

References
----------
Coalition for Content Provenance and Authenticity, "Technical Specification", 2.2.
"""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from synthdetect.errors import MissingExtraError
from synthdetect.evidence.finding import Finding, Says, shown
from synthdetect.evidence.xmp import source_type
from synthdetect.optional import require

KIND = "content credentials"
_NOT_VERIFIED = (
    "Present, not verified: the box alone proves nothing. Install synthdetect[c2pa] to check its "
    "signature."
)
_DAMAGED = "Present but cannot be verified ({}): the record or the file was damaged or changed."
_INVALID = (
    "The signature or a hash does not fit: the file was changed after it was signed, or the record "
    "was put there by somebody else. Make nothing of what it says."
)
_VALID = (
    "The file is as it was signed, but the signer was not checked against a list of trusted ones: "
    "anyone can make a certificate of that name."
)
_TRUSTED = (
    "The file is as it was signed, and the signer is on your list of trusted ones. It is worth as "
    "much as that signer. It is easily stripped, so its absence says nothing."
)


def credentials(
    encoded: bytes, mime: str, where: str, *, trust_anchors: str | None = None
) -> Finding:
    """Read and verify the content credentials of a file that has some.

    Parameters
    ----------
    encoded : bytes
        The whole file.
    mime : str
        Its kind, such as `image/png`.
    where : str
        Where in the file they are.
    trust_anchors : str, optional
        PEM certificates of those whose signatures to trust.

    Returns
    -------
    finding : Finding
        Also where the extra is not installed, or the record is damaged; it says so.
    """
    try:
        store, state = _read(encoded, mime, trust_anchors)
    except MissingExtraError:
        return Finding(KIND, where, "present", Says.unknown, _NOT_VERIFIED)
    except Exception as error:  # noqa: BLE001 - of a native library, on a stranger's bytes
        return Finding(KIND, where, "present", Says.unknown, _DAMAGED.format(shown(error)))
    worth = {"Valid": _VALID, "Trusted": _TRUSTED}.get(state, _INVALID)
    says = _says(store) if state in ("Valid", "Trusted") else Says.unknown
    doubt = {"Valid": ", unknown signer", "Trusted": ""}.get(state, ", not valid")
    return Finding(f"{KIND}{doubt}", where, _told(store, state), says, worth)


def _read(encoded: bytes, mime: str, trust_anchors: str | None) -> tuple[Mapping[str, Any], str]:
    c2pa = require("c2pa", extra="c2pa")
    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    if trust_anchors is not None:
        settings["trust"] = {"trust_anchors": trust_anchors}
    context = c2pa.Context(c2pa.Settings.from_dict(settings))
    with c2pa.Reader(mime, io.BytesIO(encoded), context=context) as reader:
        return json.loads(reader.json()), str(reader.get_validation_state())


def _told(store: Mapping[str, Any], state: str) -> str:
    active = _active(store)
    makers = [f"{one.get('name')}" for one in _maps(active.get("claim_generator_info"))]
    signature = active.get("signature_info")
    signer = signature.get("issuer") if isinstance(signature, Mapping) else None
    types = sorted({uri.rstrip("/").rpartition("/")[2] for uri in _source_types(store)})
    words = [f"{state.lower() or 'invalid'}", f"by {', '.join(makers) or 'an unnamed program'}"]
    words += [f"signed by {signer}"] if signer else []
    words += [f"source {', '.join(types)}"] if types else []
    return shown("; ".join(words))


def _says(store: Mapping[str, Any]) -> Says:
    claimed = [source_type(uri) for uri in _source_types(store)]
    for says in (Says.synthetic, Says.partly, Says.camera):
        if says in claimed:
            # Something synthetic went into a picture that also has something else.
            mixed = says is Says.synthetic and Says.camera in claimed
            return Says.partly if mixed else says
    return Says.unknown


def _active(store: Mapping[str, Any]) -> Mapping[str, Any]:
    manifests = store.get("manifests")
    active = manifests.get(store.get("active_manifest")) if isinstance(manifests, Mapping) else None
    return active if isinstance(active, Mapping) else {}


def _source_types(store: Mapping[str, Any]) -> Iterator[str]:
    """Digital source types of the actions of all manifests, those of ingredients too."""
    manifests = store.get("manifests")
    for manifest in _maps(list(manifests.values()) if isinstance(manifests, Mapping) else []):
        for assertion in _maps(manifest.get("assertions")):
            data = assertion.get("data")
            for action in _maps(data.get("actions") if isinstance(data, Mapping) else None):
                if isinstance(action.get("digitalSourceType"), str):
                    yield action["digitalSourceType"]


def _maps(values: Any) -> list[Mapping[str, Any]]:
    return [v for v in values if isinstance(v, Mapping)] if isinstance(values, list) else []
