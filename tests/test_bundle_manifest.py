"""The manifest: what it takes, and what it refuses by name."""

import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.bundle.entries import MAX_TOTAL_BYTES, FileEntry, MemberEntry
from synthdetect.bundle.manifest import Manifest
from synthdetect.bundle.names import check_file_name
from synthdetect.bundle.strict_json import MAX_MANIFEST_BYTES, parse_json
from synthdetect.errors import BundleError
from synthdetect.images.views import CenterCrop, Crops

ENTRY = {"sha256": "0" * 64, "size": 123}
TREE: dict[str, Any] = {
    "schema_version": 1,
    "name": "ensemble-v1",
    "classes": ["real", "synthetic"],
    "members": [
        {
            "name": "mobilenetv2",
            "kind": "MobileNetV2",
            "view": {"kind": "crops", "n": 5, "size": 160},
            "files": {"xml": "members/mobilenetv2.xml", "bin": "members/mobilenetv2.bin"},
            "details": {"parameters": 2_259_265, "learning_rate": 1e-4},
        },
        {
            "name": "spectrum",
            "kind": "Spectral",
            "view": {"kind": "center_crop", "size": 256},
            "files": {},
            "details": {},
        },
    ],
    "combiner": {"kind": "SoftVote", "weights": [1.0, 0.5]},
    "calibrator": {"kind": "Platt", "slope": 1.5},
    "threshold": {"kind": "Youden", "value": 0.5},
    "training_data": {"n": 3, "card": {"café": "é"}},
    "recipe": {"epochs": 3},
    "figures": {"accuracy": {"value": 0.9, "low": 0.85, "high": 0.94, "n": 500}},
    "environment": {"openvino": "2025.3"},
    "license": "Apache-2.0",
    "created": "2026-01-31",
    "files": {"members/mobilenetv2.xml": ENTRY, "members/mobilenetv2.bin": ENTRY},
}


def parse(tree: Any) -> Manifest:
    return Manifest.from_json(json.dumps(tree).encode())


def put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        for key in keys[:-1]:
            tree = tree[key]
        tree[keys[-1]] = value

    return change


def drop(*keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        for key in keys[:-1]:
            tree = tree[key]
        del tree[keys[-1]]

    return change


def test_a_manifest_becomes_values_and_the_same_json_again() -> None:
    manifest = parse(TREE)
    assert manifest.members[0].view == Crops(5, 160)
    assert manifest.members[1].view == CenterCrop(256)
    assert manifest.files["members/mobilenetv2.bin"] == FileEntry("0" * 64, 123)
    assert json.loads(manifest.to_json()) == TREE
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_json_is_canonical() -> None:
    text = parse(TREE).to_json().decode()
    shuffled = dict(reversed(TREE.items()))
    assert parse(shuffled).to_json().decode() == text
    assert text.endswith("}\n")
    assert "café" in text
    assert '\n  "calibrator": {' in text


def test_members_keep_their_order() -> None:
    manifest = parse(TREE | {"members": TREE["members"][::-1]})
    assert [member.name for member in manifest.members] == ["spectrum", "mobilenetv2"]


def test_a_manifest_is_a_value() -> None:
    manifest = parse(TREE)
    assert pickle.loads(pickle.dumps(manifest)) == copy.deepcopy(manifest) == manifest  # noqa: S301
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.name = "other"  # type: ignore[misc]


WRONG_VALUES = [7, True, None, "", 1.5, [], ["x"], {}, {"x": 1}, "../x", "x" * 300, "\x00"]


@pytest.mark.parametrize("key", sorted(TREE))
def test_each_missing_top_level_key_is_named(key: str) -> None:
    tree = {k: v for k, v in TREE.items() if k != key}
    with pytest.raises(BundleError, match=key):
        parse(tree)


@pytest.mark.parametrize("key", sorted(TREE["members"][0]))
def test_each_missing_key_of_a_member_is_named(key: str) -> None:
    tree = copy.deepcopy(TREE)
    del tree["members"][0][key]
    with pytest.raises(BundleError, match=rf"members\[0\] has missing keys: '{key}'"):
        parse(tree)


CHANGES = [
    (put("code", value="x"), "unknown keys: 'code'"),
    (put("members", 0, "code", value="x"), r"members\[0\] has unknown keys: 'code'"),
    (put("files", "members/mobilenetv2.bin", "url", value="x"), "unknown keys: 'url'"),
    (put("schema_version", value=2), "is 2; this synthdetect reads version 1: upgrade"),
    (put("schema_version", value=0), "schema_version is 0"),
    (put("schema_version", value=True), "schema_version is True"),
    (put("schema_version", value=1.0), "schema_version is 1.0"),
    (put("schema_version", value="1"), "schema_version is '1'"),
    (put("schema_version", value=None), "schema_version is None"),
    (put("name", value="a/b"), "name is 'a/b'"),
    (put("name", value=7), "name is 7"),
    (put("classes", value=["synthetic", "real"]), "classes is"),
    (put("classes", value="real"), "classes is 'real'"),
    (put("classes", value=["real", "synthetic", "other"]), "classes is"),
    (put("classes", value=[["real"], {}]), "classes is"),
    (put("members", value=[]), "members is .*1 to 64 members"),
    (put("members", value={}), "members is {}; it must be a JSON list"),
    (put("members", 0, value="x"), r"members\[0\] is 'x'"),
    (put("members", value=[TREE["members"][1]] * 65), "1 to 64 members"),
    (put("members", 1, "name", value="mobilenetv2"), "'mobilenetv2'; it must be used once only"),
    (put("members", 0, "name", value="MobileNetV2"), "name is 'MobileNetV2'"),
    (put("members", 0, "name", value="-a"), "name is '-a'"),
    (put("members", 0, "name", value="a\n"), r"name is 'a\\n'"),
    (put("members", 0, "name", value="a" * 65), "name is 'aaa"),
    (put("members", 0, "kind", value=["x"]), "kind is"),
    (put("members", 0, "kind", value="__import__('os')"), "kind is"),
    (put("members", 0, "view", value={"kind": "evil"}), r"members\[0\]: view kind 'evil'"),
    (put("members", 0, "view", value={"kind": ["crops"]}), r"members\[0\]: view kind"),
    (put("members", 0, "view", value="crops"), "view is 'crops'"),
    (put("members", 0, "view", "size", value=True), "size is True"),
    (put("members", 0, "view", "size", value=5000), "size is 5000"),
    (put("members", 0, "view", "n", value=6), "n must be 1 to 5"),
    (put("members", 0, "view", "sigma", value=2), "sigma"),
    (drop("members", 0, "view", "size"), "size"),
    (put("members", 0, "files", value=["x"]), "files is"),
    (put("members", 0, "files", "xml", value="../x"), "'..' part"),
    (put("members", 0, "files", "xml", value=7), "not a non-empty string"),
    (put("members", 0, "files", "X ML", value="x"), "a key of files is 'X ML'"),
    (put("members", 0, "files", "xml", value="other.xml"), "a file listed in 'files'"),
    (put("members", 0, "details", value=[]), "details is"),
    (put("combiner", value=[]), "combiner is"),
    (put("combiner", value={}), "combiner: kind is None"),
    (put("calibrator", value={"kind": 7}), "calibrator: kind is 7"),
    (put("threshold", value=0.5), "threshold is 0.5"),
    (put("training_data", value=None), "training_data is None"),
    (put("recipe", value="x"), "recipe is 'x'"),
    (put("figures", value=[1]), "figures is"),
    (put("environment", "numpy", value=2), "environment: numpy is 2"),
    (put("license", value=" "), "license is ' '"),
    (put("license", value=None), "license is None"),
    (put("created", value="yesterday"), "created is 'yesterday'"),
    (put("created", value=20260131), "created is 20260131"),
    (put("files", value=[]), "files is"),
    (put("files", "x.bin", value=7), "files: 'x.bin' is 7"),
    (put("files", "manifest.json", value=ENTRY), "reserved"),
    (put("files", "MEMBERS/x", value=ENTRY), "differ in case only"),
    (put("files", "members", value=ENTRY), "also a folder"),
    (put("files", "big.bin", value=ENTRY | {"size": MAX_TOTAL_BYTES}), "sum of sizes"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_wrong_value_is_named(change: Callable[[dict[str, Any]], None], message: str) -> None:
    tree = copy.deepcopy(TREE)
    change(tree)
    with pytest.raises(BundleError, match=message) as caught:
        parse(tree)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("size", [-1, True, 1.0, "1", None, MAX_TOTAL_BYTES + 1, 10**99, [1]])
def test_sizes_are_whole_numbers_in_range(size: Any) -> None:
    tree = copy.deepcopy(TREE)
    tree["files"]["members/mobilenetv2.bin"] = ENTRY | {"size": size}
    with pytest.raises(BundleError, match=r"size is .*files: 'members/mobilenetv2.bin'"):
        parse(tree)


@pytest.mark.parametrize("sha256", ["0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n", 0])
def test_hashes_are_64_lower_case_hexadecimal_digits(sha256: Any) -> None:
    with pytest.raises(BundleError, match="sha256 is"):
        FileEntry(sha256, 1)


def test_too_many_files_are_refused() -> None:
    tree = TREE | {"files": TREE["files"] | {f"f{i}": ENTRY | {"size": 0} for i in range(255)}}
    with pytest.raises(BundleError, match="more than 256 files"):
        parse(tree)


@given(st.sampled_from(sorted(TREE)), st.sampled_from(WRONG_VALUES))
def test_any_value_in_any_place_parses_or_is_a_bundle_error(key: str, value: Any) -> None:
    try:
        parse(TREE | {key: value})
    except BundleError:
        return
    assert key in ("training_data", "recipe", "figures", "environment", "name", "license",
                   "created", "schema_version")  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8"),
        (b'{"a": "\xff"}', "is not UTF-8"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' twice"),
        (b'{"x": {"kind": 1, "kind": 2}}', "the key 'kind' twice"),
        (b'{"a": NaN}', "the number NaN"),
        (b'{"a": -Infinity}', "the number -Infinity"),
        (b'{"a": 1e999}', "the number 1e999"),
        (b'{"a": ' + b"9" * 200 + b"}", "whole number of 200 digits"),
        (b'{"a": ' + b"9" * 10**6 + b"}", "whole number of 1000000 digits"),
        (b'{"a": "\\ud800"}', r"not Unicode: '\\ud800'"),
        (b'{"\\udfff": 1}', r"not Unicode: '\\udfff'"),
        (b"[" * 66 + b"]" * 66, "nests deeper"),
        (b"[" * 10**6, "nests deeper"),
        (b'{"a":' * 10**5, "nests deeper"),
        (b" " * (MAX_MANIFEST_BYTES + 1), "more than 4194304"),
        (b"[1]", r"the whole is \[1\]; it must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"{}", "schema_version is None"),
    ],
)
def test_what_is_not_strict_json_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Manifest.from_json(content)


def test_64_levels_are_allowed() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64)


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_a_bundle_error(content: bytes) -> None:
    with pytest.raises(BundleError):
        Manifest.from_json(content)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", object(), "\ud800"])
def test_what_json_cannot_say_is_not_written(value: Any) -> None:
    manifest = dataclasses.replace(parse(TREE), recipe={"x": value})
    with pytest.raises(BundleError, match="plain JSON values"):
        manifest.to_json()


def test_a_circle_is_not_written() -> None:
    circle: dict[str, Any] = {}
    circle["x"] = circle
    with pytest.raises(BundleError, match="plain JSON values"):
        dataclasses.replace(parse(TREE), recipe=circle).to_json()


@pytest.mark.parametrize("view", [None, {"kind": "crops"}, Crops(1, 0), Crops(1, 5000)])
def test_a_member_built_in_python_is_checked_too(view: Any) -> None:
    with pytest.raises(BundleError, match="member a: view"):
        MemberEntry("a", "A", view, {})


@pytest.mark.parametrize("members", [[], "ab", (1,), ({"name": "a"},), ()])
def test_members_built_in_python_are_checked_too(members: Any) -> None:
    with pytest.raises(BundleError, match="members"):
        dataclasses.replace(parse(TREE), members=members)


GOOD_NAMES = ["a", "a.bin", "members/a-b_c.v2.npz", "_x", "-x", "a/b/c/d/e/f/g/h", "manifest.json5"]
BAD_NAMES = ["", "/a", "//a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\\b", "C:", "C:a",
             "c:/a", "a:stream", "a\0", "a\nb", "\x7f", "a b", ".hidden", "a/.git", "é", "a\u202eb",
             "~", "~/a", "$HOME", "a*", "nul", "NUL.txt", "a/con.bin", "com1", "a.", "a./b",
             "x" * 101, "a/" * 100 + "a", "manifest.json", "MANIFEST.json", "\ud800", "a/b/c/d/e/f/g/h/i"]  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_plain_relative_name_is_taken(name: str) -> None:
    check_file_name(name)


@pytest.mark.parametrize("name", [*BAD_NAMES, None, 7, b"a", ["a"]])
def test_an_unsafe_name_is_refused(name: Any) -> None:
    with pytest.raises(BundleError, match="use names such as") as caught:
        check_file_name(name)
    assert str(caught.value).isascii()


@given(st.text(max_size=20))
def test_a_name_that_is_taken_stays_inside_any_folder(name: str) -> None:
    try:
        check_file_name(name)
    except BundleError:
        return
    root = Path("/root/bundle")
    assert (root / name).resolve().is_relative_to(root)
    assert name.isascii()


def test_reading_manifests_imports_no_heavy_library() -> None:
    script = (
        "import sys; import synthdetect.bundle.arrays, synthdetect.bundle.hub;"
        "print([m for m in ('scipy', 'sklearn', 'openvino', 'keras', 'tensorflow', 'joblib')"
        " if m in sys.modules])"
    )
    source = str(Path(__file__).parents[1] / "src")
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"


def test_a_cascade_is_kept_and_none_leaves_no_key() -> None:
    cascade = {"stages": [], "changed": {}, "stopped": []}
    assert parse({**TREE, "cascade": cascade}).cascade == cascade
    assert "cascade" not in json.loads(parse(TREE).to_json())
    assert json.loads(parse({**TREE, "cascade": cascade}).to_json())["cascade"] == cascade


def test_a_cascade_that_is_no_object_is_refused() -> None:
    with pytest.raises(BundleError, match="cascade"):
        parse({**TREE, "cascade": [1]})
