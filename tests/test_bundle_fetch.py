"""Downloads in the store: once, whole, found again, and never half there."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pooch", reason="needs the hub extra")

import synthdetect
from servers import Server, cut_off, in_turn, running, serves, status, waits
from synthdetect.bundle import store
from synthdetect.bundle.address import Address, parse_address
from synthdetect.bundle.download import DownloadLimits
from synthdetect.bundle.fetch import fetch
from synthdetect.bundle.format import read_bundle
from synthdetect.bundle.hub import open_bundle, resolve
from synthdetect.detector import Detector
from synthdetect.errors import BundleError, MissingExtraError

QUICK = DownloadLimits(pause_s=0.01, silence_s=5, total_s=30)
FETCH = """
import sys
from synthdetect.bundle.address import parse_address
from synthdetect.bundle.fetch import fetch
print("ready", flush=True)
print(fetch(parse_address(sys.argv[1])))
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYNTHDETECT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SYNTHDETECT_OFFLINE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def zipped(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a bundle as a zip."""
    path = tmp_path_factory.mktemp("zipped") / "tiny.zip"
    Detector.load(tiny_bundle).save(path)
    return path.read_bytes()


@pytest.fixture
def address(server: Server, zipped: bytes) -> Address:
    """Of the zip, which the server has."""
    server.routes["/tiny.zip"] = serves(zipped)
    return address_of(server, zipped)


def address_of(server: Server, content: bytes, path: str = "/tiny.zip") -> Address:
    return parse_address(f"{server.url}{path}#sha256={hashlib.sha256(content).hexdigest()}")


def fetching(address: Address) -> "subprocess.Popen[str]":
    """Fetch in another process, which says that it is ready."""
    source = str(Path(synthdetect.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH, str(address)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": source},
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def in_bundles(home: Path) -> list[str]:
    """Everything in the folder of downloads, hidden or not."""
    folder = home / "bundles"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_detector_loads_from_the_net_and_then_without_it(
    server: Server, address: Address, tiny_bundle: Path
) -> None:
    first = Detector.load(str(address))
    server.routes.clear()
    assert Detector.load(str(address)).describe() == first.describe()
    assert first.describe() == Detector.load(tiny_bundle).describe()
    assert server.n_asked("/tiny.zip") == 1


def test_a_record_says_where_it_came_from(address: Address, zipped: bytes) -> None:
    fetch(address)
    record = store.read_record(address.key)
    assert record is not None
    assert (record.address, record.sha256, record.size) == (str(address), address.key, len(zipped))


def test_a_mirror_is_not_asked_for_what_is_there(
    server: Server, address: Address, zipped: bytes
) -> None:
    fetch(address)
    mirror = address_of(server, zipped, "/mirror.zip")
    assert fetch(mirror) == fetch(address)
    assert server.n_asked("/mirror.zip") == 0


def test_what_is_no_bundle_does_not_enter_the_store(server: Server, home: Path) -> None:
    server.routes["/tiny.zip"] = serves(b"no zip")
    address = address_of(server, b"no zip")
    with pytest.raises(BundleError, match="no sound bundle: it is not a whole zip") as caught:
        fetch(address)
    assert str(caught.value).startswith(str(address))
    assert in_bundles(home) == []


def test_a_wrong_hash_leaves_nothing(server: Server, zipped: bytes, home: Path) -> None:
    server.routes["/tiny.zip"] = serves(zipped)
    with pytest.raises(BundleError, match="has SHA-256"):
        fetch(address_of(server, zipped + b"x"))
    assert in_bundles(home) == []


@pytest.mark.parametrize("damage", [b"", b"other", None])
def test_a_damaged_copy_is_downloaded_again(
    server: Server, address: Address, zipped: bytes, damage: bytes | None
) -> None:
    path = fetch(address)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    assert fetch(address).read_bytes() == zipped
    assert server.n_asked("/tiny.zip") == 2


def test_a_damaged_record_does_not_matter(server: Server, address: Address) -> None:
    path = fetch(address)
    (path.parent / "record.json").write_text('{"sha256": ["' * 1000)
    assert fetch(address) == path
    assert store.read_record(address.key) is None
    assert server.n_asked("/tiny.zip") == 1


def test_offline_what_is_there_works(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(address)
    monkeypatch.setenv("SYNTHDETECT_OFFLINE", "1")
    assert read_bundle(fetch(address)).manifest.name == "tiny"


def test_offline_the_rest_is_an_error_that_says_so(
    server: Server, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHDETECT_OFFLINE", "1")
    with pytest.raises(BundleError, match="not in the store, and SYNTHDETECT_OFFLINE is set"):
        fetch(address)
    assert server.asked == []


def test_offline_a_damaged_copy_is_refused(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(address).write_bytes(b"other")
    monkeypatch.setenv("SYNTHDETECT_OFFLINE", "1")
    with pytest.raises(BundleError, match="in the store but damaged"):
        fetch(address)


@pytest.mark.parametrize(
    ("value", "wanted"), [("1", True), ("yes", True), ("", False), ("0", False), ("No", False)]
)
def test_offline_is_any_value_that_is_no_no(
    monkeypatch: pytest.MonkeyPatch, value: str, wanted: bool
) -> None:
    monkeypatch.setenv("SYNTHDETECT_OFFLINE", value)
    assert store.offline() is wanted


def test_without_a_home_the_user_s_folder_for_caches_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SYNTHDETECT_HOME", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert store.home().name == "synthdetect"


def test_a_home_that_cannot_be_written_is_told(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SYNTHDETECT_HOME", str(tmp_path / "file"))
    with pytest.raises(BundleError, match="set SYNTHDETECT_HOME to another folder"):
        fetch(address)


def test_a_missing_package_is_told_before_anything_is_asked(
    server: Server, address: Address, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError, match=r"synthdetect\[hub\]"):
        fetch(address)
    assert server.asked == []
    assert in_bundles(home) == []


def test_a_path_object_is_never_downloaded(address: Address) -> None:
    with pytest.raises(BundleError, match="as a string and not as a Path"):
        resolve(Path(str(address)))


def test_a_busy_and_then_broken_server_still_gives_the_bundle(
    server: Server, address: Address, zipped: bytes
) -> None:
    server.routes["/tiny.zip"] = in_turn(status(503), cut_off(zipped), serves(zipped))
    assert fetch(address, QUICK).read_bytes() == zipped


def test_a_process_killed_half_way_leaves_nothing_that_counts(
    server: Server, address: Address, zipped: bytes, home: Path
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    server.routes["/tiny.zip"] = waits(zipped, reached, go_on)
    process = fetching(address)
    assert reached.wait(60)
    process.kill()
    process.communicate()
    go_on.set()
    assert store.stored_keys() == []
    assert not store.intact(address.key)
    assert in_bundles(home) != []  # what the killed one was writing

    server.routes["/tiny.zip"] = serves(zipped)
    assert open_bundle(str(address)).manifest.name == "tiny"
    assert in_bundles(home) == [address.key]


def test_two_processes_at_once_download_once(
    server: Server, address: Address, zipped: bytes, home: Path
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    server.routes["/tiny.zip"] = waits(zipped, reached, go_on)
    first = fetching(address)
    assert reached.wait(60)
    second = fetching(address)  # ready, while the first one is half-way
    go_on.set()
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert outputs == [f"{store.zip_path(address.key)}\n"] * 2
    assert server.n_asked("/tiny.zip") == 1
    assert in_bundles(home) == [address.key]


def test_threads_at_once_download_once(server: Server, address: Address) -> None:
    start = threading.Barrier(4)
    paths: list[Path] = []

    def work() -> None:
        start.wait()
        paths.append(fetch(address, QUICK))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [store.zip_path(address.key)] * 4
    assert server.n_asked("/tiny.zip") == 1


def test_a_lock_that_is_never_given_back_is_told(address: Address) -> None:
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.locked(address.key, timeout_s=1):
            taken.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(30)
    try:
        with pytest.raises(BundleError, match="another process has been downloading this"):
            fetch(address, DownloadLimits(total_s=0.1))
    finally:
        done.set()
        holder.join()


def test_what_is_removed_is_gone_and_can_come_again(server: Server, address: Address) -> None:
    fetch(address)
    with store.locked(address.key, timeout_s=1):
        assert store.discard(address.key)
        assert not store.discard(address.key)
    assert store.stored_keys() == []
    fetch(address)
    assert server.n_asked("/tiny.zip") == 2


def test_other_things_in_the_store_s_folder_are_no_downloads(address: Address, home: Path) -> None:
    fetch(address)
    (home / "bundles" / "notes").mkdir()
    (home / "bundles" / f".{address.key}.0000").mkdir()
    assert store.stored_keys() == [address.key]


def test_a_record_is_plain_json(address: Address) -> None:
    record = json.loads((fetch(address).parent / "record.json").read_text())
    assert set(record) == {"address", "sha256", "size", "fetched", "commit"}
