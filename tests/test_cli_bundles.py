"""`synthdetect bundles`: list, get, remove and verify."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pooch", reason="needs the hub extra")

from conftest import run
from servers import Server, running, serves
from synthdetect.bundle import store
from synthdetect.bundle.format import read_bundle
from synthdetect.bundle.hub import bundled_names
from synthdetect.detector import Detector

SEED = bytes(range(32))


def one_line(text: str) -> bool:
    return text.startswith("synthdetect: error: ") and text.count("\n") == 1


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYNTHDETECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SYNTHDETECT_OFFLINE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def address(server: Server, tiny_bundle: Path, tmp_path: Path) -> str:
    """Of a bundle that the server has."""
    Detector.load(tiny_bundle).save(tmp_path / "tiny.zip")
    content = (tmp_path / "tiny.zip").read_bytes()
    server.routes["/tiny.zip"] = serves(content)
    return f"{server.url}/tiny.zip#sha256={hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Files with the public key of `SEED`, and with another."""
    pytest.importorskip("cryptography", reason="needs the sign extra")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    paths = tmp_path / "ours.pub", tmp_path / "other.pub"
    for path, seed in zip(paths, (SEED, bytes(32)), strict=True):
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
        path.write_bytes(public.public_bytes_raw())
    return paths


def test_get_prints_where_the_bundle_is(address: str, tiny_bundle: Path) -> None:
    result = run("bundles", "get", address)
    assert (result.exit_code, result.stderr) == (0, "")
    assert read_bundle(result.stdout.rstrip("\n")).digest == read_bundle(tiny_bundle).digest


def test_get_as_json_says_what_was_found(address: str, tiny_bundle: Path) -> None:
    found = json.loads(run("bundles", "get", address, "--json").stdout)
    assert found["name"] == address
    assert found["detector"] == "tiny"
    assert found["digest"] == read_bundle(tiny_bundle).digest
    assert (found["ok"], found["signed_by"], found["signature_checked"]) == (True, None, False)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("https://example.org/b.zip", "the SHA-256 of the download is missing"),
        ("http://example.org/b.zip#sha256=" + "0" * 64, "use https"),
        ("s3://bucket/key", "s3 is not supported"),
        ("nowhere", "no bundle of this name"),
    ],
)
def test_get_refuses_in_one_line(given: str, reason: str) -> None:
    result = run("bundles", "get", given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert one_line(result.stderr)
    assert reason in result.stderr


def test_get_of_what_the_server_does_not_have_is_one_line(server: Server) -> None:
    result = run("bundles", "get", f"{server.url}/no.zip#sha256={'0' * 64}")
    assert result.exit_code == 2
    assert one_line(result.stderr)
    assert "status 404" in result.stderr


def test_get_offline_says_so(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHDETECT_OFFLINE", "1")
    result = run("bundles", "get", address)
    assert result.exit_code == 2
    assert one_line(result.stderr)
    assert "SYNTHDETECT_OFFLINE is set" in result.stderr


def test_other_commands_take_an_address(address: str, image_folder: Path) -> None:
    assert run("info", address).stdout.startswith("tiny (")
    result = run("predict", image_folder / "c.png", "--bundle", address, "-f", "jsonl")
    assert json.loads(result.stdout)["decision"] == "synthetic"


def test_list_has_the_bundles_of_the_package_and_the_downloads(address: str) -> None:
    run("bundles", "get", address)
    rows = json.loads(run("bundles", "list", "--json").stdout)
    assert {row["name"] for row in rows} == {*bundled_names(), address}
    (row,) = [row for row in rows if row["kind"] == "downloaded"]
    assert Path(row["path"]).stat().st_size == row["size"]
    lines = run("bundles", "list").stdout.splitlines()
    assert len(lines) == len(rows)
    assert address in lines[-1]


def test_list_without_downloads_is_the_package_s(home: Path) -> None:
    rows = json.loads(run("bundles", "list", "--json").stdout)
    assert [row["name"] for row in rows] == list(bundled_names())
    assert not home.exists()


def test_a_download_without_a_record_goes_by_its_key(address: str) -> None:
    run("bundles", "get", address)
    (key,) = store.stored_keys()
    (store.zip_path(key).parent / "record.json").unlink()
    rows = json.loads(run("bundles", "list", "--json").stdout)
    assert rows[-1]["name"] == key
    assert run("bundles", "verify", key).exit_code == 0
    assert run("bundles", "remove", key).exit_code == 0
    assert store.stored_keys() == []


def test_remove_takes_an_address(address: str) -> None:
    run("bundles", "get", address)
    result = run("bundles", "remove", address)
    assert (result.exit_code, result.stdout) == (0, f"removed {address}\n")
    assert store.stored_keys() == []


def test_remove_all_empties_the_store(address: str) -> None:
    run("bundles", "get", address)
    assert json.loads(run("bundles", "remove", "--all", "--json").stdout) == {"removed": [address]}
    assert run("bundles", "remove", "--all").stdout == "nothing to remove\n"


@pytest.mark.parametrize("given", ["tiny.zip", "https://a.b/c#sha256=" + "0" * 64])
def test_remove_leaves_alone_what_is_no_download(address: str, tmp_path: Path, given: str) -> None:
    result = run("bundles", "remove", given)
    assert result.exit_code == 2
    assert one_line(result.stderr)
    assert "not among the downloads" in result.stderr
    assert (tmp_path / "tiny.zip").exists()


@pytest.mark.skipif(not bundled_names(), reason="no bundle is in this checkout")
def test_remove_leaves_the_package_alone() -> None:
    result = run("bundles", "remove", bundled_names()[0])
    assert result.exit_code == 2
    assert "a part of the package" in result.stderr


@pytest.mark.parametrize("args", [[], ["--all", "x"]])
def test_remove_needs_addresses_or_all(args: list[str]) -> None:
    assert run("bundles", "remove", *args).exit_code == 2


def test_verify_checks_all_that_list_shows(address: str) -> None:
    run("bundles", "get", address)
    found = json.loads(run("bundles", "verify", "--json").stdout)
    assert [row["name"] for row in found] == [*bundled_names(), address]
    assert all(row["ok"] for row in found)


def test_verify_needs_no_net(address: str, server: Server) -> None:
    run("bundles", "get", address)
    n_asked = len(server.asked)
    assert run("bundles", "verify", address).exit_code == 0
    assert len(server.asked) == n_asked


def test_verify_does_not_download(address: str, server: Server) -> None:
    result = run("bundles", "verify", address)
    assert result.exit_code == 2
    assert "not among the downloads" in result.stderr
    assert server.asked == []


def test_verify_goes_on_after_a_damaged_one_and_fails(
    address: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    run("bundles", "get", address)
    store.zip_path(store.stored_keys()[0]).write_bytes(b"other")
    whole = shutil.copytree(tiny_bundle, tmp_path / "whole")
    result = run("bundles", "verify", address, whole)
    assert result.exit_code == 2
    assert one_line(result.stderr)
    assert "damaged" in result.stderr
    first, second = result.stdout.splitlines()
    assert first.endswith("NOT SOUND")
    assert read_bundle(whole).digest[:12] in second


def test_verify_with_a_key_wants_its_signature(
    tiny_bundle: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    ours, other = keys
    signed = tmp_path / "signed"
    Detector.load(tiny_bundle).save(signed, sign=SEED)
    good = run("bundles", "verify", signed, "--require-signature", ours)
    assert (good.exit_code, "signed with key 56475aa75463474c" in good.stdout) == (0, True)
    either = run(
        *("bundles", "verify", signed, "--require-signature", other, "--require-signature", ours)
    )
    assert either.exit_code == 0
    for path, key, reason in (
        (signed, other, "not with the required"),
        (tiny_bundle, ours, "it is not signed"),
        (signed, tmp_path / "no.pub", "cannot be read"),
    ):
        bad = run("bundles", "verify", path, "--require-signature", key)
        assert bad.exit_code == 2
        assert one_line(bad.stderr)
        assert reason in bad.stderr


def test_info_says_whether_a_bundle_is_signed(
    tiny_bundle: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    Detector.load(tiny_bundle).save(tmp_path / "signed", sign=SEED)
    assert "signed with key 56475aa75463474c: valid" in run("info", tmp_path / "signed").stdout
    assert "not signed" in run("info", tiny_bundle).stdout


def test_help_lists_the_commands() -> None:
    result = run("bundles", "--help")
    assert result.exit_code == 0
    for name in ("list", "get", "remove", "verify"):
        assert name in result.stdout
