"""From a name or a path to a verified bundle."""

import importlib.resources
import shutil
from pathlib import Path
from typing import Any

import pytest

from synthdetect.bundle.entries import MemberEntry
from synthdetect.bundle.format import write_bundle
from synthdetect.bundle.hub import bundled_names, open_bundle, resolve
from synthdetect.bundle.manifest import Manifest
from synthdetect.bundle.replace import backup_path
from synthdetect.errors import BundleError
from synthdetect.images.views import Resize

MANIFEST = Manifest(
    name="tiny",
    members=(MemberEntry("a", "A", Resize(8), {"bin": "members/a.bin"}),),
    combiner={"kind": "SoftVote"},
    calibrator={"kind": "Platt"},
    threshold={"kind": "Youden"},
    license="Apache-2.0",
)
FILES = {"members/a.bin": b"abc"}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Package data with two bundles, a folder and a zip, and things that are none."""
    root = tmp_path / "site" / "synthdetect_bundles_of_a_test"
    root.mkdir(parents=True)
    (root / "__init__.py").touch()
    (root / "__pycache__").mkdir()
    (root / "README.md").touch()
    write_bundle(root / "ensemble-v1", MANIFEST, FILES)
    write_bundle(root / "small-v2.zip", MANIFEST, FILES)
    files = importlib.resources.files

    def files_of_the_test(package: Any) -> Any:
        return root if package == "synthdetect.bundles" else files(package)

    monkeypatch.setattr(importlib.resources, "files", files_of_the_test)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return root


def test_the_installed_names_are_those_of_the_package_data() -> None:
    root = Path(str(importlib.resources.files("synthdetect.bundles")))
    assert all((root / n).is_dir() or (root / f"{n}.zip").is_file() for n in bundled_names())


def test_every_installed_bundle_is_whole() -> None:
    for name in bundled_names():
        assert open_bundle(name).manifest.name


def test_folders_and_zips_are_listed(data: Path) -> None:
    assert bundled_names() == ("ensemble-v1", "small-v2")


@pytest.mark.parametrize("name", ["ensemble-v1", "small-v2"])
def test_a_bundled_name_opens(data: Path, name: str) -> None:
    bundle = open_bundle(name)
    assert bundle.manifest.name == "tiny"
    assert bundle.files == FILES


@pytest.mark.parametrize("name", ["mine", "mine.zip"])
def test_a_path_opens_as_string_and_as_path(data: Path, name: str) -> None:
    written = write_bundle(name, MANIFEST, FILES)
    assert open_bundle(name) == open_bundle(Path(name)) == open_bundle(f"./{name}") == written


def test_a_string_is_first_a_bundled_name_and_a_path_object_never(data: Path) -> None:
    write_bundle("ensemble-v1", MANIFEST, {**FILES, "extra.bin": b""})
    assert resolve("ensemble-v1") == data / "ensemble-v1"
    assert resolve("./ensemble-v1") == resolve(Path("ensemble-v1")) == Path("ensemble-v1")


def test_a_bundle_whose_replacement_was_killed_is_found(data: Path) -> None:
    written = write_bundle("mine", MANIFEST, FILES)
    Path("mine").rename(backup_path("mine"))
    assert open_bundle("mine") == written


@pytest.mark.parametrize(
    "name", ["ensemble-v2", "ensembl", "nowhere/ensemble-v1.zip", "Ensemble-v1"]
)
def test_an_unknown_name_gets_the_list_and_the_nearest(data: Path, name: str) -> None:
    with pytest.raises(BundleError, match=name) as caught:
        resolve(name)
    assert "bundled: ensemble-v1, small-v2" in str(caught.value)
    assert "Did you mean 'ensemble-v1'?" in str(caught.value)


def test_an_unknown_name_far_from_all_gets_the_list_only(data: Path) -> None:
    with pytest.raises(BundleError, match=r"bundled: ensemble-v1, small-v2\.$"):
        resolve("zzz")


def test_without_bundles_the_error_says_so(data: Path) -> None:
    shutil.rmtree(data / "ensemble-v1")
    (data / "small-v2.zip").unlink()
    with pytest.raises(BundleError, match="no bundle comes with this installation"):
        resolve("ensemble-v1")


@pytest.mark.parametrize(
    "url",
    ["https://example.org/b.zip", "http://x", "s3://b/c", "file:///etc/passwd", "hf://owner",
     Path("https://example.org/b.zip")],
)  # fmt: skip
def test_urls_that_are_no_address_are_refused_by_name(data: Path, url: Any) -> None:
    with pytest.raises(BundleError) as caught:
        resolve(url)
    assert str(caught.value).startswith(f"{url}: ")


@pytest.mark.parametrize("name", ["", "  ", "a\0b", b"ensemble-v1"])
def test_what_is_no_name_is_refused(data: Path, name: Any) -> None:
    with pytest.raises(BundleError, match="not a name or path"):
        resolve(name)


def test_a_damaged_bundle_is_found_but_not_opened(data: Path) -> None:
    (data / "ensemble-v1" / "members/a.bin").write_bytes(b"abd")
    assert resolve("ensemble-v1").is_dir()
    with pytest.raises(BundleError, match=r"members/a\.bin has SHA-256"):
        open_bundle("ensemble-v1")
