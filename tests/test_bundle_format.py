"""Bundles as files: what is written is read back, and nothing else is read."""

import errno
import hashlib
import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthdetect.bundle.entries import MemberEntry
from synthdetect.bundle.format import read_bundle, write_bundle
from synthdetect.bundle.manifest import Manifest
from synthdetect.bundle.names import check_file_names
from synthdetect.errors import BundleError
from synthdetect.images.views import CenterCrop, Crops, Resize

FILES = {
    "members/mobilenetv2.xml": b"<net name='mobilenetv2'/>",
    "members/mobilenetv2.bin": bytes(range(256)),
    "members/spectrum.npz": b"PK not really",
}


def manifest(name: str = "ensemble-v1", **changes: Any) -> Manifest:
    options: dict[str, Any] = {
        "name": name,
        "members": (
            MemberEntry(
                "mobilenetv2",
                "MobileNetV2",
                Crops(5, 160),
                {"xml": "members/mobilenetv2.xml", "bin": "members/mobilenetv2.bin"},
            ),
            MemberEntry("spectrum", "Spectral", Crops(1, 160), {"npz": "members/spectrum.npz"}),
        ),
        "combiner": {"kind": "SoftVote", "weights": [0.5, 0.5]},
        "calibrator": {"kind": "Platt"},
        "threshold": {"kind": "Youden", "value": 0.25},
        "license": "Apache-2.0",
    }
    return Manifest(**(options | changes))


def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "b", manifest(), FILES)
    return tmp_path / "b"


def zipped(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "b.zip", manifest(), FILES)
    return tmp_path / "b.zip"


def rewrite_zip(
    path: Path,
    change: Callable[[zipfile.ZipInfo, bytes], tuple[zipfile.ZipInfo, bytes] | None],
    extra: Mapping[str | zipfile.ZipInfo, bytes] | None = None,
) -> None:
    """Write the zip again, each entry changed, or left out where `change` gives None."""
    with zipfile.ZipFile(path) as old:
        entries = [(info, old.read(info)) for info in old.infolist()]
    with zipfile.ZipFile(path, "w") as new:
        for info, content in entries:
            if (changed := change(info, content)) is not None:
                new.writestr(*changed, compress_type=changed[0].compress_type)
        for name, content in (extra or {}).items():
            new.writestr(name, content)


def edit_manifest(content: bytes, edit: Callable[[dict[str, Any]], None]) -> bytes:
    tree = json.loads(content)
    edit(tree)
    return json.dumps(tree).encode()


def names_in(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


# Round trips

parts = st.from_regex(r"[a-z0-9_][a-z0-9_-]{0,8}(\.(bin|xml|npz))?", fullmatch=True)
file_names = st.lists(parts, min_size=1, max_size=3).map("/".join)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), json_values)
views = st.one_of(
    st.builds(Crops, st.integers(1, 5), st.integers(1, 4096)),
    st.builds(CenterCrop, st.integers(1, 4096)),
    st.builds(Resize, st.integers(1, 4096)),
)


def valid_names(names: Mapping[str, bytes]) -> bool:
    try:
        check_file_names(names)
    except BundleError:
        return False
    return True


file_maps = st.dictionaries(file_names, st.binary(max_size=300), max_size=5).filter(valid_names)


@st.composite
def bundles(draw: st.DrawFn) -> tuple[Manifest, dict[str, bytes]]:
    files = draw(file_maps)
    names = draw(
        st.lists(
            st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    uses = (
        st.dictionaries(st.sampled_from(["xml", "bin", "npz"]), st.sampled_from(sorted(files)))
        if files
        else st.just({})
    )
    members = tuple(
        MemberEntry(name, "MobileNetV2", draw(views), draw(uses), draw(json_objects))
        for name in names
    )
    free = {key: draw(json_objects) for key in ("training_data", "recipe", "figures")}
    kinds = {
        key: draw(json_objects) | {"kind": "Some"}
        for key in ("combiner", "calibrator", "threshold")
    }
    created = draw(st.none() | st.dates().map(str) | st.datetimes().map(lambda t: t.isoformat()))
    return manifest(members=members, created=created, **free, **kinds), files


@settings(max_examples=25, deadline=None)
@given(bundles())
def test_what_is_written_is_read_back_and_folder_and_zip_are_one_bundle(
    bundle: tuple[Manifest, dict[str, bytes]],
) -> None:
    with tempfile.TemporaryDirectory() as root:
        in_folder, in_zip = Path(root, "b"), Path(root, "b.zip")
        written = write_bundle(in_folder, *bundle)
        assert read_bundle(in_folder) == written
        assert write_bundle(in_zip, *bundle) == written
        assert read_bundle(in_zip) == written
        assert written.files == bundle[1]
        assert names_in(Path(root)) == ["b", "b.zip"]


def test_the_digest_is_the_sha256_of_the_manifest(tmp_path: Path) -> None:
    path = folder(tmp_path)
    content = (path / "manifest.json").read_bytes()
    assert read_bundle(path).digest == hashlib.sha256(content).hexdigest()


def test_equal_bundles_give_equal_zip_bytes_whatever_the_order(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a.zip", manifest(), FILES)
    write_bundle(tmp_path / "b.zip", manifest(), dict(reversed(FILES.items())))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_read_bundle_written_again_has_the_same_digest(tmp_path: Path) -> None:
    first = read_bundle(folder(tmp_path))
    again = write_bundle(tmp_path / "again.zip", first.manifest, first.files)
    assert again == first


def test_a_folder_zipped_by_hand_is_the_same_bundle(tmp_path: Path) -> None:
    path = folder(tmp_path)
    archive = shutil.make_archive(str(tmp_path / "hand"), "zip", path)
    assert read_bundle(archive) == read_bundle(path)


def test_the_path_itself_may_be_a_link_which_survives_a_new_bundle(tmp_path: Path) -> None:
    path = folder(tmp_path)
    link = tmp_path / "latest"
    link.symlink_to(path)
    new = write_bundle(link, manifest("other"), FILES)
    assert link.is_symlink()
    assert read_bundle(path) == read_bundle(link) == new


def test_files_are_as_readable_as_other_files_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    wanted = stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    for path in (zipped(tmp_path), folder(tmp_path) / "manifest.json"):
        assert stat.S_IMODE(path.stat().st_mode) == wanted


# Refusals: folders


def _remove(path: Path) -> None:
    (path / "members/mobilenetv2.bin").unlink()


def _add(path: Path) -> None:
    (path / "members/evil.pkl").write_bytes(b"")


def _shorten(path: Path) -> None:
    (path / "members/mobilenetv2.bin").write_bytes(bytes(range(255)))


def _lengthen(path: Path) -> None:
    (path / "members/mobilenetv2.bin").write_bytes(bytes(range(256)) + b"\0")


def _change(path: Path) -> None:
    (path / "members/mobilenetv2.bin").write_bytes(bytes(reversed(range(256))))


def _link_file(path: Path) -> None:
    shutil.move(path / "members/mobilenetv2.bin", path.parent / "elsewhere.bin")
    (path / "members/mobilenetv2.bin").symlink_to(path.parent / "elsewhere.bin")


def _link_folder(path: Path) -> None:
    shutil.move(path / "members", path.parent / "elsewhere")
    (path / "members").symlink_to(path.parent / "elsewhere", target_is_directory=True)


def _link_manifest(path: Path) -> None:
    shutil.move(path / "manifest.json", path.parent / "elsewhere.json")
    (path / "manifest.json").symlink_to(path.parent / "elsewhere.json")


def _fifo_file(path: Path) -> None:
    (path / "members/mobilenetv2.bin").unlink()
    os.mkfifo(path / "members/mobilenetv2.bin")


def _fifo_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()
    os.mkfifo(path / "manifest.json")


def _folder_for_file(path: Path) -> None:
    (path / "members/mobilenetv2.bin").unlink()
    (path / "members/mobilenetv2.bin").mkdir()


def _folder_for_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()
    (path / "manifest.json").mkdir()


def _case(path: Path) -> None:
    (path / "members/MobileNetV2.bin").write_bytes(b"")


def _control(path: Path) -> None:
    (path / "members/a\nb").write_bytes(b"")


def _backslash(path: Path) -> None:
    (path / "members\\evil.bin").write_bytes(b"")


def _not_text(path: Path) -> None:
    Path(os.fsdecode(os.fsencode(path / "members") + b"/\xff.bin")).write_bytes(b"")


def _many(path: Path) -> None:
    for i in range(600):
        (path / f"members/{i}.bin").touch()


def _no_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()


def _sparse_manifest(path: Path) -> None:
    os.truncate(path / "manifest.json", 2**40)


def _sparse_file(path: Path) -> None:
    os.truncate(path / "members/mobilenetv2.bin", 2**40)


def _manifest_edit(edit: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def tamper(path: Path) -> None:
        place = path / "manifest.json"
        place.write_bytes(edit_manifest(place.read_bytes(), edit))

    return tamper


def _list_outside(tree: dict[str, Any]) -> None:
    tree["files"]["../elsewhere.bin"] = tree["files"]["members/mobilenetv2.bin"]


FOLDER_TAMPERINGS = [
    (_remove, "missing files: 'members/mobilenetv2.bin'"),
    (_add, "extra files: 'members/evil.pkl'"),
    (_shorten, r"members/mobilenetv2.bin has 255 bytes, the manifest says 256"),
    (_lengthen, r"members/mobilenetv2.bin has 257 bytes, the manifest says 256"),
    (_change, r"members/mobilenetv2.bin has SHA-256 \w{12}..., the manifest says"),
    (_link_file, "members/mobilenetv2.bin is a symbolic link"),
    (_link_folder, "members is a symbolic link"),
    (_link_manifest, "manifest.json is a symbolic link"),
    (_fifo_file, "members/mobilenetv2.bin is a special file"),
    (_fifo_manifest, "manifest.json is a special file"),
    (_folder_for_file, "missing files: 'members/mobilenetv2.bin'"),
    (_folder_for_manifest, "manifest.json is missing"),
    (_case, "differ in case only"),
    (_control, r"'members/a\\nb' has a control character"),
    (_backslash, "has a backslash"),
    (_not_text, r"members/\\udcff.bin"),
    (_many, "over 512 entries"),
    (_no_manifest, "manifest.json is missing"),
    (_sparse_manifest, "manifest.json has 1099511627776 bytes, more than"),
    (_sparse_file, "mobilenetv2.bin has 1099511627776 bytes, the manifest says 256"),
    (_manifest_edit(_list_outside), "has an empty, '.' or '..' part"),
    (_manifest_edit(lambda t: t.update(schema_version=2)), "schema_version is 2; .* upgrade"),
    (_manifest_edit(lambda t: t.update(code="evil")), "unknown keys: 'code'"),
]


@pytest.mark.parametrize(("tamper", "message"), FOLDER_TAMPERINGS)
def test_a_tampered_folder_is_refused_and_left_alone(
    tmp_path: Path, tamper: Callable[[Path], None], message: str
) -> None:
    path = folder(tmp_path)
    tamper(path)
    before = sorted(p for p in tmp_path.rglob("*"))
    with pytest.raises(BundleError, match=message) as caught:
        read_bundle(path)
    assert str(path) in str(caught.value)
    assert sorted(p for p in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("place", [0, 1, 0.5, -2, -1])
def test_one_changed_bit_in_a_file_is_noticed(tmp_path: Path, name: str, place: float) -> None:
    path = folder(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place == 0.5 else int(place)] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=name):
        read_bundle(path.parents[1])


def test_one_changed_bit_in_the_manifest_is_refused_or_another_identity(tmp_path: Path) -> None:
    path = folder(tmp_path)
    whole = (path / "manifest.json").read_bytes()
    digest = read_bundle(path).digest
    n_refused = 0
    for i in range(0, len(whole), 3):
        content = bytearray(whole)
        content[i] ^= 1
        (path / "manifest.json").write_bytes(content)
        try:
            assert read_bundle(path).digest != digest
        except BundleError:
            n_refused += 1
    assert n_refused > len(whole) / 6


# Refusals: zips


def same(info: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    return info, content


def _zip_add(name: str) -> Callable[[Path], None]:
    return lambda path: rewrite_zip(path, same, {name: b"x"})


def _zip_remove(path: Path) -> None:
    rewrite_zip(path, lambda i, c: None if i.filename.endswith(".bin") else (i, c))


def _zip_change(path: Path) -> None:
    rewrite_zip(path, lambda i, c: (i, c[::-1] if i.filename.endswith(".bin") else c))


def _zip_grow(path: Path) -> None:
    rewrite_zip(path, lambda i, c: (i, c + b"x" if i.filename.endswith(".bin") else c))


def _zip_link(path: Path) -> None:
    def link(info: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        if info.filename.endswith(".bin"):
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
        return info, content

    rewrite_zip(path, link)


def _zip_method(path: Path) -> None:
    def lzma(info: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        info.compress_type = zipfile.ZIP_LZMA
        return info, content

    rewrite_zip(path, lzma)


def _zip_twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        rewrite_zip(path, same, {"members/mobilenetv2.bin": bytes(256)})


def _zip_second_manifest(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        rewrite_zip(path, same, {"manifest.json": b"{}"})


def _zip_encrypt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 8] |= 1
    path.write_bytes(content)


def _zip_nul(path: Path) -> None:
    rewrite_zip(path, same, {"members/evilX.bin": b"x"})
    path.write_bytes(path.read_bytes().replace(b"evilX.bin", b"evil\0.bin"))


def _zip_folder_with_content(path: Path) -> None:
    rewrite_zip(path, same, {"members/x": b"hidden"})
    path.write_bytes(path.read_bytes().replace(b"members/x", b"members//"))


def _zip_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _zip_many(path: Path) -> None:
    rewrite_zip(path, same, {f"members/{i}": b"" for i in range(600)})


def _zip_directory_bomb(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # A directory of 2 GiB, says the end record; the sparse file has the room for it.
    record = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 2**30, 0, 0)
    with path.open("wb") as stream:
        stream.write(content)
        stream.truncate(2**30)
        stream.seek(0, io.SEEK_END)
        stream.write(record)


def _not_zip(path: Path) -> None:
    path.write_bytes(b"hello" * 100)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _huge(path: Path) -> None:
    os.truncate(path, 2**31)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


ZIP_TAMPERINGS = [
    (_zip_add("members/evil.pkl"), "extra files: 'members/evil.pkl'"),
    (_zip_add("/etc/evil"), "'/etc/evil' is absolute"),
    (_zip_add("C:/evil"), "'C:/evil' has a colon or a drive letter"),
    (_zip_add("..\\evil"), r"has a backslash"),
    (_zip_add("members/../../evil"), "has an empty, '.' or '..' part"),
    (_zip_add("./evil"), "has an empty, '.' or '..' part"),
    (_zip_add("members/\x1b[31m"), r"'members/\\x1b\[31m' has a control character"),
    (_zip_add("../"), "has an empty, '.' or '..' part|is a folder with content"),
    (_zip_add("members/MOBILENETV2.bin"), "differ in case only"),
    (_zip_add("Manifest.json"), "is reserved for manifest.json"),
    (_zip_nul, "has a control character"),
    (_zip_folder_with_content, "is a folder with content"),
    (_zip_remove, "missing files: 'members/mobilenetv2.bin'"),
    (_zip_change, "members/mobilenetv2.bin has SHA-256"),
    (_zip_grow, "members/mobilenetv2.bin has 257 bytes, the manifest says 256"),
    (_zip_link, "'members/mobilenetv2.bin' is a symbolic link"),
    (_zip_method, "has compression method 14"),
    (_zip_twice, "'members/mobilenetv2.bin' twice"),
    (_zip_second_manifest, "'manifest.json' twice"),
    (_zip_encrypt, "'manifest.json' is encrypted"),
    (_zip_truncate, "not a whole zip"),
    (_zip_many, "over 512 entries"),
    (_zip_directory_bomb, "directory is too large"),
    (_not_zip, "not a whole zip"),
    (_empty, "not a whole zip"),
    (_huge, "larger than"),
    (_fifo, "not a regular file"),
]


@pytest.mark.parametrize(("tamper", "message"), ZIP_TAMPERINGS)
def test_a_tampered_zip_is_refused_and_left_alone(
    tmp_path: Path, tamper: Callable[[Path], None], message: str
) -> None:
    path = zipped(tmp_path)
    tamper(path)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=message) as caught:
            read_bundle(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert names_in(tmp_path) == ["b.zip"]


def test_a_zip_bomb_is_read_no_further_than_declared(tmp_path: Path) -> None:
    path = zipped(tmp_path)
    bomb = zipfile.ZipInfo("members/mobilenetv2.bin")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    n_bytes = 200 * 2**20
    rewrite_zip(
        path, lambda i, c: (bomb, bytes(n_bytes)) if i.filename.endswith(".bin") else (i, c)
    )
    # The directory says 256 bytes, as does the manifest; the stream inflates to 200 MiB.
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02")
    place = content.index(struct.pack("<L", n_bytes), start)
    content[place : place + 4] = struct.pack("<L", 256)
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=r"members/mobilenetv2\.bin"):
            read_bundle(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_one_changed_byte_anywhere_in_a_zip_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    small = manifest(members=(MemberEntry("a", "A", Resize(8), {"bin": "a.bin"}),))
    bundle = write_bundle(path, small, {"a.bin": b"abc"})
    whole = path.read_bytes()
    n_refused = 0
    for i in range(len(whole)):
        content = bytearray(whole)
        content[i] ^= 0xFF if i % 2 else 1
        path.write_bytes(content)
        try:
            assert read_bundle(path) == bundle
        except BundleError:
            n_refused += 1
    assert n_refused > len(whole) * 0.8


def test_every_truncation_of_a_zip_is_refused(tmp_path: Path) -> None:
    whole = zipped(tmp_path).read_bytes()
    path = tmp_path / "part.zip"
    for n in range(0, len(whole), 7):
        path.write_bytes(whole[:n])
        with pytest.raises(BundleError, match="zip"):
            read_bundle(path)


@pytest.mark.parametrize("path", ["no/such", "no-such.zip", "a\0b", "", 7])
def test_a_path_that_is_none_is_refused(tmp_path: Path, path: Any) -> None:
    with pytest.raises(BundleError):
        read_bundle(tmp_path / path if isinstance(path, str) else path)


# Refusals: writes


def _writes(path: Path) -> None:
    write_bundle(path, manifest(), FILES)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({**FILES, "../evil": b""}, "'..' part"),
        ({**FILES, "manifest.json": b""}, "reserved"),
        ({**FILES, "members": b""}, "also a folder"),
        ({**FILES, "MEMBERS/x": b""}, "case only"),
        ({**FILES, "nul.bin": b""}, "Windows"),
        ({**FILES, "a": "text"}, "as bytes"),
        ({**FILES, **{f"f{i}": b"" for i in range(300)}}, "more than 256 files"),
        ({}, "member mobilenetv2: files is .*; it must be a file listed in 'files'"),
    ],
)
def test_unsafe_or_incomplete_files_are_not_written(
    tmp_path: Path, files: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        write_bundle(tmp_path / "b", manifest(), files)
    assert names_in(tmp_path) == []


def _users_folder(path: Path) -> None:
    path.mkdir()
    (path / "holiday.jpg").write_bytes(b"dear")


def _web_app(path: Path) -> None:
    _users_folder(path)
    (path / "manifest.json").write_text('{"name": "My app", "manifest_version": 3}')


def _bundle_with_notes(path: Path) -> None:
    _writes(path)
    (path / "members" / "notes.txt").write_bytes(b"dear")


def _bundle_with_link(path: Path) -> None:
    _writes(path)
    (path / "members" / "home").symlink_to(Path.home())


def _file(path: Path) -> None:
    path.write_bytes(b"dear")


def _other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.jpg", b"dear")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("b", _users_folder),
        ("b", _web_app),
        ("b", _bundle_with_notes),
        ("b", _bundle_with_link),
        ("b", _file),
        ("b", Path.mkdir),
        ("b.zip", _users_folder),
        ("b.zip", _file),
        ("b.zip", _other_zip),
    ],
)
def test_what_is_not_a_bundle_is_never_replaced(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / name)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(BundleError, match="move it away, or save to another path"):
        _writes(tmp_path / name)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert names_in(tmp_path) == [name]


@pytest.mark.parametrize("name", ["b", "b.zip"])
def test_a_damaged_bundle_can_be_replaced(tmp_path: Path, name: str) -> None:
    _writes(tmp_path / name)
    if name == "b":
        (tmp_path / "b" / "members/mobilenetv2.bin").write_bytes(b"")
    else:
        _zip_change(tmp_path / name)
    _writes(tmp_path / name)
    assert read_bundle(tmp_path / name).files == FILES


def test_the_folder_of_the_bundle_must_exist(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="create it first"):
        _writes(tmp_path / "no" / "b")


# Crashes


class Failing:
    """Makes the k-th call of what touches the disk fail, as a full disk does."""

    def __init__(self, k: int, patch: pytest.MonkeyPatch) -> None:
        self.left = k
        for module, name in (
            (os, "rename"),
            (os, "replace"),
            (os, "mkdir"),
            (os, "fsync"),
            (io, "open"),
        ):
            patch.setattr(module, name, self.wrap(getattr(module, name)))

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args, **kwargs)

        return call


@pytest.mark.parametrize("name", ["b", "b.zip"])
def test_a_write_that_fails_anywhere_leaves_the_old_bundle_and_nothing_else(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    old = write_bundle(path, manifest("old"), FILES)
    n_failed = 0
    for k in range(1, 100):
        with pytest.MonkeyPatch.context() as patch:
            failing = Failing(k, patch)
            try:
                new = write_bundle(path, manifest("new"), FILES)
            except BundleError as error:
                new, message = None, str(error)
        if new is None:
            assert "No space left on device; check the permissions" in message
            assert read_bundle(path) == old
            assert names_in(tmp_path) == [name]
            n_failed += 1
        else:
            assert read_bundle(path) == new
            write_bundle(path, manifest("old"), FILES)
        assert names_in(tmp_path) == [name]
        if failing.left > 0:
            break
    assert failing.left > 0
    assert n_failed >= (12 if name == "b" else 3)


def run(script: str, *args: str) -> str:
    source = Path(__file__).parents[1] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", script, *args],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.skipif(os.name != "posix", reason="file size limits are of POSIX")
@pytest.mark.parametrize("name", ["b", "b.zip"])
def test_a_full_disk_leaves_the_old_bundle_and_nothing_else(tmp_path: Path, name: str) -> None:
    old = write_bundle(tmp_path / name, manifest("old"), FILES)
    script = """
import resource, sys
from synthdetect.bundle.format import read_bundle, write_bundle
from synthdetect.errors import BundleError
old = read_bundle(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    files = dict(old.files) | {"members/spectrum.npz": bytes(10**6)}
    write_bundle(sys.argv[1], old.manifest, files)
except BundleError as error:
    print(error)
"""
    assert "File too large; check the permissions and the free space" in run(
        script, str(tmp_path / name)
    )
    assert read_bundle(tmp_path / name) == old
    assert names_in(tmp_path) == [name]


# Stops a write, each time in a forked child. "kill" dies without any clean-up before each change to
# the disk (renames, opens, removals, syncs), and so leaves each state that a dead writer can leave;
# "interrupt" is Ctrl-C at each line. What is left is then read, written and tidied again.
STOPPER = """
import json, os, shutil, sys
from collections import Counter
from pathlib import Path
from synthdetect.bundle import format as module, replace as writers
from synthdetect.errors import BundleError

root, how, state, name = Path(sys.argv[1]), *sys.argv[2:5]
os.fsync = lambda handle: None  # a killed process loses no page cache; this saves the disk
first = module.read_bundle(root / "first")
EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.scandir", "fsync"}
WRITERS = {"write_zip_bundle", "write_folder_bundle", "_write_files", "_retire", "_discard"}
left = 0

def on_event(event, args=()):
    global left
    if event in EVENTS:
        left -= 1
        if left == 0:
            os._exit(9)

def on_line(frame, event, arg):
    global left
    code = frame.f_code
    if code.co_filename != writers.__file__ or code.co_name not in WRITERS:
        return None
    if event == "line":
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
    return on_line

def stopped_write(k, target, files):
    global left
    child = os.fork()
    if child == 0:
        left, status = k, 9
        if how == "kill":
            os.fsync = lambda handle: on_event("fsync")
            sys.addaudithook(on_event)
        else:
            sys.settrace(on_line)
        try:
            module.write_bundle(target, first.manifest, files)
            status = 0
        finally:
            sys.settrace(None)
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def digest(target):
    try:
        return module.read_bundle(target).digest
    except BundleError as error:
        assert "No such file" in str(error), error
        return None

seen = Counter()
for k in range(1, 1000):
    place = root / f"{how}{k}"
    place.mkdir()
    target = place / name
    old = None
    if state != "none":
        old = module.write_bundle(target, first.manifest, first.files).digest
    if state == "moved":  # an earlier writer was killed between its two renames
        target.rename(module.backup_path(target))
    if state == "left":  # an earlier writer was killed before it deleted the backup
        shutil.copytree(target, module.backup_path(target))
    files = dict(first.files) | {"members/spectrum.npz": b"new"}
    status = stopped_write(k, target, files)
    found = digest(target)
    seen["backup"] += not target.exists() and found is not None
    seen["temporary"] += any(p.name.endswith("-tmp") for p in place.iterdir())
    for path in place.iterdir():
        if path.name.endswith("-tmp"):
            os.utime(path, (0, 0))
    new = module.write_bundle(target, first.manifest, files).digest
    assert found in (old, new), (k, found)
    seen["new" if found == new else "old"] += 1
    assert digest(target) == new
    assert list(place.iterdir()) == [target], (k, list(place.iterdir()))
    if status == 0:
        break
assert status == 0
print(json.dumps(seen))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    ("how", "state", "name"),
    [
        ("kill", "bundle", "b"),
        ("kill", "moved", "b"),
        ("kill", "left", "b"),
        ("kill", "none", "b"),
        ("kill", "bundle", "b.zip"),
        ("interrupt", "bundle", "b"),
        ("interrupt", "bundle", "b.zip"),
    ],
)
def test_a_write_stopped_anywhere_leaves_the_old_or_the_new_bundle_whole(
    tmp_path: Path, how: str, state: str, name: str
) -> None:
    write_bundle(tmp_path / "first", manifest(), FILES)
    seen = json.loads(run(STOPPER, str(tmp_path), how, state, name))
    # The stops were real: some before the new bundle was in place, some after, some between.
    assert seen["old"] >= 4
    assert seen["new"] >= 2
    if how == "kill":
        assert seen["temporary"] >= 2
        if name == "b" and state != "none":
            assert seen["backup"] >= 1


def test_a_reader_meets_the_old_or_the_new_bundle_while_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "b"
    digests = {write_bundle(path, manifest(name), FILES).digest for name in ("one", "two")}
    done = threading.Event()

    def keep_writing() -> None:
        try:
            for i in range(10):
                write_bundle(path, manifest(("one", "two")[i % 2]), FILES)
        finally:
            done.set()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    seen: set[str] = set()
    while not done.is_set():
        seen.add(read_bundle(path).digest)
    writer.join()
    assert seen == digests


@pytest.mark.parametrize("k", range(1 + len(FILES)))
def test_a_bundle_replaced_before_the_kth_file_is_opened_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, k: int
) -> None:
    path = tmp_path / "b"
    write_bundle(path, manifest(), FILES)
    opened: list[Any] = []
    open_file = os.open
    changed = {name: content[::-1] for name, content in FILES.items()}

    def replace_at_kth(file: Any, *args: Any) -> int:
        opened.append(file)
        if len(opened) == k + 1:
            write_bundle(path, manifest("new"), changed)
        return open_file(file, *args)

    monkeypatch.setattr(os, "open", replace_at_kth)
    bundle = read_bundle(path)
    assert len(opened) > k
    assert bundle.manifest.name == "new"
    assert bundle.files == changed


def test_fresh_temporaries_of_others_are_left_alone(tmp_path: Path) -> None:
    other = tmp_path / ".b.0123abcd.synthdetect-tmp"
    other.mkdir()
    _writes(tmp_path / "b")
    assert other.exists()


@pytest.fixture(autouse=True)
def _plain_umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)
