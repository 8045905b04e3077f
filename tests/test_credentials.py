"""Content credentials: signed ones are verified, changed ones are not believed."""

import datetime
import io

import numpy as np
import pytest
from PIL import Image

from conftest import native

pytest.importorskip("c2pa", reason="needs the c2pa extra")
pytest.importorskip("cryptography")

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from synthdetect import read_evidence
from synthdetect.evidence.finding import Says

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def certificate(name, key, issuer, issuer_key, *, authority):
    now = datetime.datetime.now(datetime.UTC)

    def named(common):
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, common),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Studio"),
            ]
        )

    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=authority,
                crl_sign=authority,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if not authority:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(usage, critical=True)
    made = builder.sign(issuer_key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def keys():
    """PEM of the root, of the leaf, and the leaf's key."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("Root", root_key, "Root", root_key, authority=True)
    leaf = certificate("Maker", key, "Root", root_key, authority=False)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return root, leaf, private


def signed(keys, kind, code):
    root, leaf, private = keys
    file, out = io.BytesIO(), io.BytesIO()
    Image.fromarray(native(np.random.default_rng(0), 64)).save(file, kind)
    action = {"action": "c2pa.created", "digitalSourceType": IPTC + code}
    manifest = {
        "claim_generator_info": [{"name": "Test Generator", "version": "1"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(alg=b"es256", sign_cert=leaf + root, private_key=private, ta_url=None)
    )
    file.seek(0)
    c2pa.Builder(manifest).sign(signer, f"image/{kind.lower()}", file, out)
    return out.getvalue()


@pytest.fixture(scope="module")
def jpeg(keys):
    return signed(keys, "JPEG", "trainedAlgorithmicMedia")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_signed_claim_is_read(keys, kind):
    (finding,) = read_evidence(signed(keys, kind, "trainedAlgorithmicMedia"))
    assert finding.says is Says.synthetic
    assert "Test Generator" in finding.value
    assert "Test Studio" in finding.value


def test_a_signer_that_nobody_checked_is_called_unknown(jpeg):
    (finding,) = read_evidence(jpeg)
    assert finding.kind == "content credentials, unknown signer"
    assert "anyone can make a certificate" in finding.worth


def test_a_signer_on_the_list_is_trusted(jpeg, keys):
    (finding,) = read_evidence(jpeg, trust_anchors=keys[0].decode())
    assert finding.kind == "content credentials"
    assert finding.value.startswith("trusted")


def test_a_file_that_was_changed_is_not_believed(jpeg):
    changed = bytearray(jpeg)
    changed[-200] ^= 1
    (finding,) = read_evidence(bytes(changed))
    assert finding.says is Says.unknown
    assert finding.kind in ("content credentials, not valid", "content credentials")
    assert "does not fit" in finding.worth or "cannot be verified" in finding.worth


def test_a_claim_of_a_camera_is_read(keys):
    (finding,) = read_evidence(signed(keys, "JPEG", "digitalCapture"))
    assert finding.says is Says.camera
