"""What an address of a download may be."""

import contextlib
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.bundle.address import HfAddress, WebAddress, is_loopback, is_url, parse_address
from synthdetect.errors import BundleError

SHA = "0123456789abcdef" * 4
NAMES = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)


def test_a_web_address_is_a_url_and_a_hash() -> None:
    address = parse_address(f"https://example.org/a/b.zip#sha256={SHA.upper()}")
    assert address == WebAddress("https://example.org/a/b.zip", SHA)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hf://o/r", HfAddress("o/r")),
        ("hf://o/r@v1.0", HfAddress("o/r", "v1.0")),
        ("hf://o/r/a/b", HfAddress("o/r", "main", "a/b")),
        ("hf://o/r@refs%2Fpr%2F1/a.zip", HfAddress("o/r", "refs/pr/1", "a.zip")),
        (f"hf://o/r@{'a' * 40}#sha256={SHA}", HfAddress("o/r", "a" * 40, "", SHA)),
    ],
)
def test_an_address_of_a_repository_may_have_a_revision_a_folder_and_a_hash(
    text: str, wanted: HfAddress
) -> None:
    assert parse_address(text) == wanted


@given(owner=NAMES, name=NAMES, revision=NAMES, sub=st.lists(NAMES, max_size=3).map("/".join))
def test_the_text_of_a_repository_s_address_is_that_address(
    owner: str, name: str, revision: str, sub: str
) -> None:
    try:
        address = parse_address(f"hf://{owner}/{name}@{revision}{'/' if sub else ''}{sub}")
    except BundleError:  # a name such as CON
        return
    assert parse_address(str(address)) == address


def test_only_a_commit_or_a_hash_pins_a_repository() -> None:
    assert not parse_address("hf://o/r").is_pinned
    assert not parse_address("hf://o/r@v1").is_pinned
    assert parse_address(f"hf://o/r@{'0' * 40}").is_pinned
    assert parse_address(f"hf://o/r#sha256={SHA}").is_pinned


def test_mirrors_share_a_key_and_revisions_do_not() -> None:
    mirrors = {parse_address(f"https://{host}/b.zip#sha256={SHA}").key for host in ("a.b", "c.d")}
    revisions = {parse_address(f"hf://o/r@{revision}").key for revision in ("v1", "v2")}
    assert (len(mirrors), len(revisions)) == (1, 2)


def test_a_query_is_kept_for_the_server_and_not_shown() -> None:
    address = parse_address(f"https://a.b/c.zip?token=secret#sha256={SHA}")
    assert isinstance(address, WebAddress)
    assert address.url.endswith("?token=secret")
    assert "secret" not in str(address)
    assert parse_address(str(address)).key == address.key


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://example.org/b.zip", "SHA-256 of the download is missing"),
        ("https://example.org/b.zip#sha256=12", "not 64 hexadecimal digits"),
        (f"https://example.org/b.zip#md5={SHA}", "SHA-256 of the download is missing"),
        (f"http://example.org/b.zip#sha256={SHA}", "http is not encrypted; use https"),
        (f"http://localhost.example.org/b#sha256={SHA}", "not encrypted"),
        (f"http://127.0.0.1.example.org/b#sha256={SHA}", "not encrypted"),
        (f"https://me:secret@example.org/b#sha256={SHA}", "name and password out of the address"),
        (f"https://exa mple.org/b#sha256={SHA}", "spaces or what is not ASCII"),
        (f"https://ex\nample.org/b#sha256={SHA}", "spaces or what is not ASCII"),
        (f"https://ex\u00e4mple.org/b#sha256={SHA}", "not ASCII"),
        (f"https://example.org:x/b#sha256={SHA}", "is no URL"),
        (f"https:///b#sha256={SHA}", "is no URL"),
        (str(Path(f"https://example.org/b#sha256={SHA}")), "as a string and not as a Path"),
        ("s3://bucket/key", "s3 is not supported; write https://"),
        ("file:///etc/passwd", "file is not supported"),
        ("hf://owner", "names no repository"),
        ("hf://owner/repo?x=1", "names no repository"),
        ("hf://../repo", "names no repository"),
        ("hf://owner/repo@", "names no revision"),
        ("hf://owner/repo@..%2Fx", "names no revision"),
        ("hf://owner/repo/../x", "'..' part"),
        ("hf://owner/repo/a:b", "colon"),
        ("hf://owner/repo#sha256=1", "not 64 hexadecimal digits"),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_a_reason(text: str, reason: str) -> None:
    assert is_url(text)
    with pytest.raises(BundleError, match=reason) as caught:
        parse_address(text)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    for scheme in ("https://", "hf://", "hf://o/r", "http://["):
        with contextlib.suppress(BundleError):
            assert str(parse_address(scheme + text)).isprintable()


@pytest.mark.parametrize("path", ["ensemble-v1", "a/b.zip", "C:/b.zip", "./hf", "hf", ""])
def test_a_path_is_no_url(path: str) -> None:
    assert not is_url(path)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "localhost.org", "127.1", "::", ""])
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_loopback(host)
