"""Bundles of the Hugging Face Hub, from a server that answers as the Hub does."""

import hashlib
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub", reason="needs the hf extra")


from servers import Answer, Server, cut_off, in_turn, running, serves, status
from synthdetect.bundle import store
from synthdetect.bundle.address import parse_address
from synthdetect.bundle.download import DownloadLimits
from synthdetect.bundle.entries import MemberEntry
from synthdetect.bundle.fetch import fetch
from synthdetect.bundle.format import Bundle, write_bundle
from synthdetect.bundle.hub import open_bundle
from synthdetect.bundle.manifest import Manifest
from synthdetect.errors import BundleError, MissingExtraError
from synthdetect.images.views import Resize

COMMIT, LATER = "a" * 40, "b" * 40
PINNED = f"hf://owner/repo@{COMMIT}"
MANIFEST = Manifest(
    name="tiny",
    members=(MemberEntry("a", "A", Resize(8), {"bin": "members/a.bin"}),),
    combiner={"kind": "SoftVote"},
    calibrator={"kind": "Platt"},
    threshold={"kind": "Youden"},
    license="Apache-2.0",
)


class Hub:
    """One repository: files by commit, and what revisions mean."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.revisions = {"main": COMMIT, COMMIT: COMMIT, LATER: LATER}

    def put(self, files: dict[str, bytes], commit: str = COMMIT) -> None:
        for revision, meant in self.revisions.items():
            if meant == commit:
                for name, content in files.items():
                    self.answer(name, hub_file(content, commit), revision)
        for commit_ in self.revisions:
            for name in ("manifest.json", "manifest.sig", "small/manifest.sig"):
                path = f"/owner/repo/resolve/{commit_}/{name}"
                self.server.routes.setdefault(path, status(404, X_Error_Code="EntryNotFound"))

    def answer(self, name: str, answer: Answer, revision: str = COMMIT) -> None:
        self.server.routes[f"/owner/repo/resolve/{revision}/{name}"] = answer

    def n_downloads(self) -> int:
        return sum(method == "GET" for method, _ in self.server.asked)


def hub_file(content: bytes, commit: str = COMMIT, *, length: int | None = None) -> Answer:
    etag = f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"'
    return serves(content, length=length, ETag=etag, X_Repo_Commit=commit)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYNTHDETECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SYNTHDETECT_OFFLINE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield Hub(server)


@pytest.fixture
def written(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "written", MANIFEST, {"members/a.bin": b"abc" * 100})


def test_a_bundle_at_the_top_of_a_repository_opens(hub: Hub, written: Bundle, home: Path) -> None:
    hub.put(written.contents() | {"README.md": b"a model card"})
    assert open_bundle(PINNED) == written
    assert [path.name for path in (home / "bundles").iterdir()] == [parse_address(PINNED).key]
    assert sorted(path.name for path in fetch(parse_address(PINNED)).parent.iterdir()) == [
        "bundle.zip",
        "record.json",
    ]


def test_it_is_downloaded_once_and_then_there_without_the_net(
    hub: Hub, written: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put(written.contents())
    open_bundle(PINNED)
    n_asked = len(hub.server.asked)
    monkeypatch.setenv("SYNTHDETECT_OFFLINE", "1")
    assert open_bundle(PINNED) == written
    assert len(hub.server.asked) == n_asked


def test_a_folder_of_a_repository_opens(hub: Hub, written: Bundle) -> None:
    hub.put({f"small/{name}": content for name, content in written.contents().items()})
    assert open_bundle(f"{PINNED}/small") == written


def test_a_zip_in_a_repository_opens(hub: Hub, written: Bundle, tmp_path: Path) -> None:
    write_bundle(tmp_path / "b.zip", written.manifest, written.files)
    hub.put({"zips/b.zip": (tmp_path / "b.zip").read_bytes()})
    assert open_bundle(f"{PINNED}/zips/b.zip") == written


def test_a_signature_comes_along(hub: Hub, written: Bundle, tmp_path: Path) -> None:
    signed = write_bundle(
        tmp_path / "s", written.manifest, written.files, sign=lambda content: b"s" * 96
    )
    hub.put(signed.contents())
    assert open_bundle(PINNED).signature == b"s" * 96


def test_a_branch_means_what_it_meant_first_and_says_which_commit(
    hub: Hub, written: Bundle, tmp_path: Path
) -> None:
    hub.put(written.contents())
    with pytest.warns(UserWarning, match=f"Write {PINNED} to mean it everywhere"):
        assert open_bundle("hf://owner/repo") == written
    hub.revisions["main"] = LATER
    later = write_bundle(tmp_path / "later", MANIFEST, {"members/a.bin": b"later"})
    hub.put(later.contents(), LATER)
    assert open_bundle("hf://owner/repo") == written
    record = store.read_record(parse_address("hf://owner/repo").key)
    assert record is not None
    assert record.commit == COMMIT


def test_all_files_are_of_the_commit_of_the_manifest(hub: Hub, written: Bundle) -> None:
    hub.put(written.contents())
    hub.answer("members/a.bin", status(500), "main")  # which it must not ask
    with pytest.warns(UserWarning, match="may move"):
        assert open_bundle("hf://owner/repo") == written


def test_a_hash_in_the_address_is_the_bundle_s_digest(hub: Hub, written: Bundle) -> None:
    hub.put(written.contents())
    assert open_bundle(f"hf://owner/repo#sha256={written.digest}") == written
    with pytest.raises(BundleError, match=f"its manifest.json has SHA-256 {written.digest}"):
        open_bundle(f"hf://owner/repo#sha256={'0' * 64}")


def test_a_manifest_that_is_not_canonical_stays_as_it_is(hub: Hub, written: Bundle) -> None:
    content = written.manifest_bytes + b"\n"
    hub.put(written.contents() | {"manifest.json": content})
    assert open_bundle(PINNED).manifest_bytes == content


@pytest.mark.parametrize("other", [b"abd" * 100, b"ab", b"abc" * 101])
def test_a_file_that_is_not_the_manifest_s_is_refused(
    hub: Hub, written: Bundle, home: Path, other: bytes
) -> None:
    hub.put(written.contents() | {"members/a.bin": other})
    with pytest.raises(BundleError, match=r"members/a\.bin") as caught:
        open_bundle(PINNED)
    assert str(caught.value).startswith(PINNED)
    assert list((home / "bundles").iterdir()) == []


def test_a_file_that_is_cut_off_is_refused_or_fetched_again(hub: Hub, written: Bundle) -> None:
    hub.put(written.contents())
    whole = hub_file(b"abc" * 100)
    broken = cut_off(b"abc" * 100)

    def head_whole(request: BaseHTTPRequestHandler) -> None:
        (whole if request.command == "HEAD" else next_get)(request)

    next_get = in_turn(broken, whole)
    hub.answer("members/a.bin", head_whole)
    try:
        opened = open_bundle(PINNED)
    except BundleError:  # older libraries do not try again
        assert store.stored_keys() == []
    else:
        assert opened == written


def test_a_bundle_over_the_limit_is_refused_before_its_files(hub: Hub, written: Bundle) -> None:
    hub.put(written.contents())
    with pytest.raises(BundleError, match="it has 300 bytes, more than 100"):
        fetch(parse_address(PINNED), DownloadLimits(max_bytes=100))
    assert hub.n_downloads() == 1


def test_a_huge_manifest_is_refused_unread(hub: Hub) -> None:
    hub.answer("manifest.json", hub_file(b"", length=10**9))
    with pytest.raises(BundleError, match="expected at most 4194304"):
        open_bundle(PINNED)
    assert hub.n_downloads() == 0


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("RepoNotFound", "no such repository"),
        ("RevisionNotFound", "no such revision"),
        ("EntryNotFound", r"no manifest\.json"),
        ("GatedRepo", "it is gated"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(hub: Hub, code: str, reason: str) -> None:
    number = 403 if code == "GatedRepo" else 404
    hub.answer("manifest.json", status(number, X_Error_Code=code))
    with pytest.raises(BundleError, match=reason) as caught:
        open_bundle(PINNED)
    assert "\n" not in str(caught.value)
    assert store.stored_keys() == []


def test_a_hub_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BundleError) as caught:
        open_bundle(PINNED)
    assert str(caught.value).startswith(PINNED)
    assert "\n" not in str(caught.value)


def test_a_hub_without_encryption_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example.org")
    with pytest.raises(BundleError, match=r"HF_ENDPOINT http://hub\.example\.org: http is not enc"):
        open_bundle(PINNED)


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"synthdetect\[hf\]"):
        open_bundle(PINNED)
