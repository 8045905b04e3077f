"""Signed bundles: who may have made one, and what is said of one that nobody trusted made."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cryptography", reason="needs the sign extra")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from conftest import labelled_arrays
from synthdetect.bundle.format import SIGNATURE_BYTES, read_bundle, write_bundle
from synthdetect.bundle.signature import check_signature, signer, signer_of
from synthdetect.detector import Detector
from synthdetect.errors import BundleError, MissingExtraError

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
PEM = serialization.Encoding.PEM
PRIVATE = serialization.PrivateFormat.PKCS8
PUBLIC = serialization.PublicFormat.SubjectPublicKeyInfo
OPEN = serialization.NoEncryption()


@pytest.fixture(params=["signed", "signed.zip"])
def signed(tiny_bundle: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A bundle that `KEY` signed."""
    path = tmp_path / request.param
    Detector.load(tiny_bundle).save(path, sign=KEY)
    return path


def forms(key: ed25519.Ed25519PrivateKey, folder: Path) -> dict[str, tuple[Any, Any]]:
    """A key pair in each form that is taken."""
    private = key.private_bytes(PEM, PRIVATE, OPEN)
    public = key.public_key().public_bytes(PEM, PUBLIC)
    raw = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    paths = [folder / name for name in ("private.pem", "public.pem", "private.raw", "public.raw")]
    for path, content in zip(paths, (private, public, *raw), strict=True):
        path.write_bytes(content)
    return {
        "object": (key, key.public_key()),
        "raw": raw,
        "pem": (private, public),
        "pem text": (private.decode(), public.decode()),
        "path of pem": (paths[0], paths[1]),
        "path of raw": (str(paths[2]), str(paths[3])),
    }


@pytest.mark.parametrize("form", ["object", "raw", "pem", "pem text", "path of pem", "path of raw"])
def test_a_key_in_any_form_signs_and_is_required(
    tiny_bundle: Path, tmp_path: Path, form: str
) -> None:
    private, public = forms(KEY, tmp_path)[form]
    Detector.load(tiny_bundle).save(tmp_path / "b", sign=private)
    detector = Detector.load(tmp_path / "b", require_signature=public)
    assert detector.threshold_ == Detector.load(tiny_bundle).threshold_


def test_the_signature_does_not_change_what_the_bundle_is(signed: Path, tiny_bundle: Path) -> None:
    assert read_bundle(signed).digest == read_bundle(tiny_bundle).digest


def test_a_signature_is_not_needed_where_none_is_required(signed: Path, tiny_bundle: Path) -> None:
    assert Detector.load(signed).threshold_ == Detector.load(tiny_bundle).threshold_


def test_one_of_several_keys_is_enough(signed: Path) -> None:
    keys = [OTHER.public_key(), KEY.public_key()]
    assert Detector.load(signed, require_signature=keys)


def test_without_a_signature_it_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(BundleError, match=r"it is not signed \(manifest.sig is missing\)"):
        Detector.load(tiny_bundle, require_signature=KEY.public_key())


def test_a_signature_by_another_key_is_refused(signed: Path) -> None:
    with pytest.raises(BundleError, match="it is signed with key 56475aa75463474c, not with"):
        Detector.load(signed, require_signature=OTHER.public_key())


def test_a_manifest_that_was_changed_and_hashed_again_is_refused(
    signed: Path, tmp_path: Path
) -> None:
    bundle = read_bundle(signed)
    license_ = type(bundle.manifest)(**{**vars(bundle.manifest), "license": "MIT"})
    forged = tmp_path / "forged"
    write_bundle(forged, license_, bundle.files, sign=lambda content: bundle.signature)
    with pytest.raises(BundleError, match=r"was changed after key \w+ signed it"):
        Detector.load(forged, require_signature=KEY.public_key())


def test_a_forger_s_own_signature_under_a_trusted_name_is_refused(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = read_bundle(tiny_bundle)
    trusted = KEY.public_key().public_bytes_raw()
    write_bundle(
        tmp_path / "forged",
        bundle.manifest,
        bundle.files,
        sign=lambda content: trusted + OTHER.sign(content),
    )
    with pytest.raises(BundleError, match="does not fit"):
        Detector.load(tmp_path / "forged", require_signature=KEY.public_key())


@given(st.integers(0, SIGNATURE_BYTES * 8 - 1))
def test_no_bit_of_a_signature_may_change(bit: int) -> None:
    content = bytearray(signer(KEY)(b"a manifest"))
    content[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BundleError):
        check_signature(_bundle(b"a manifest", bytes(content)), KEY.public_key(), where="b")


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_signature_is_of_one_manifest(one: bytes, other: bytes) -> None:
    signature = signer(KEY)(one)
    check_signature(_bundle(one, signature), KEY.public_key(), where="b")
    if one != other:
        with pytest.raises(BundleError, match="does not fit"):
            check_signature(_bundle(other, signature), KEY.public_key(), where="b")


def _bundle(content: bytes, signature: bytes) -> Any:
    """A bundle of which only what a signature is about exists."""
    from synthdetect.bundle.format import Bundle

    return Bundle(None, {}, "", content, signature)  # type: ignore[arg-type]


def test_openssl_s_way_of_checking_agrees(signed: Path) -> None:
    bundle = read_bundle(signed)
    assert bundle.signature is not None
    KEY.public_key().verify(bundle.signature[32:], bundle.manifest_bytes)


@pytest.mark.parametrize("size", [0, 95, 97])
def test_a_signature_file_of_another_size_is_refused_by_every_reader(
    signed: Path, tmp_path: Path, size: int
) -> None:
    folder = tmp_path / "folder"
    Detector.load(signed).save(folder)
    (folder / "manifest.sig").write_bytes(b"s" * size)
    with pytest.raises(BundleError, match=r"manifest\.sig has .* bytes, not 96"):
        Detector.load(folder)


def test_a_signature_elsewhere_is_an_extra_file(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "b")
    (tmp_path / "b" / "members" / "manifest.sig").write_bytes(b"s" * SIGNATURE_BYTES)
    with pytest.raises(BundleError, match="extra files"):
        Detector.load(tmp_path / "b")


def test_no_member_may_take_the_name_of_the_signature(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = read_bundle(tiny_bundle)
    for name in ("manifest.sig", "Manifest.SIG"):
        with pytest.raises(BundleError, match=r"manifest\.sig"):
            write_bundle(tmp_path / "b", bundle.manifest, {**bundle.files, name: b""})


def test_a_signature_is_kept_by_a_copy_and_lost_by_a_change(signed: Path, tmp_path: Path) -> None:
    detector = Detector.load(signed)
    detector.save(tmp_path / "copy.zip")
    assert Detector.load(tmp_path / "copy.zip", require_signature=KEY.public_key())
    images, y = labelled_arrays(10, seed=5)
    with pytest.warns(UserWarning, match="separated perfectly"):
        detector.calibrate(images, y)
    detector.save(tmp_path / "changed")
    assert read_bundle(tmp_path / "changed").signature is None


def test_a_signed_bundle_can_be_replaced(signed: Path, tiny_bundle: Path) -> None:
    Detector.load(tiny_bundle).save(signed)
    assert read_bundle(signed).signature is None


def test_describe_says_who_signed(signed: Path, tiny_bundle: Path) -> None:
    assert "not signed" in Detector.load(tiny_bundle).describe()
    assert "signed with key 56475aa75463474c: valid" in Detector.load(signed).describe()


def test_describe_says_when_a_signature_does_not_fit(signed: Path, tmp_path: Path) -> None:
    bundle = read_bundle(signed)
    write_bundle(tmp_path / "b", bundle.manifest, bundle.files, sign=lambda _: b"s" * 96)
    assert "NOT valid" in str(signer_of(read_bundle(tmp_path / "b")))


def test_without_cryptography_bundles_load_and_say_that_nothing_was_checked(
    signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert "not checked: that needs the extra sign" in Detector.load(signed).describe()
    with pytest.raises(MissingExtraError, match=r"synthdetect\[sign\]"):
        Detector.load(signed, require_signature=bytes(32))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"short", "neither 32 bytes nor PEM"),
        ("-----BEGIN PRIVATE KEY-----\nxx\n", "neither 32 bytes nor PEM"),
        ("no-such-file.pem", "cannot be read"),
        (3, "the private key is int"),
        (KEY.public_key(), "the private key is"),
        (ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PRIVATE, OPEN), "not of kind"),
        (
            KEY.private_bytes(PEM, PRIVATE, serialization.BestAvailableEncryption(b"x")),
            "key is encrypted",
        ),
    ],
    ids=["short", "no pem", "no file", "int", "public", "another kind", "encrypted"],
)
def test_what_is_no_key_is_refused_and_nothing_is_written(
    tiny_bundle: Path, tmp_path: Path, key: Any, reason: str
) -> None:
    with pytest.raises(BundleError, match=reason):
        Detector.load(tiny_bundle).save(tmp_path / "b", sign=key)
    assert not (tmp_path / "b").exists()


def test_a_private_key_is_not_taken_for_a_public_one(signed: Path) -> None:
    private = KEY.private_bytes(PEM, PRIVATE, OPEN)
    with pytest.raises(BundleError, match="public key") as caught:
        Detector.load(signed, require_signature=private)
    assert "BEGIN" not in str(caught.value)


def test_an_empty_list_of_keys_trusts_nobody(signed: Path) -> None:
    with pytest.raises(BundleError, match="empty list"):
        Detector.load(signed, require_signature=[])
