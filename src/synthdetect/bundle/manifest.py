"""What a bundle says about itself: the schema of `manifest.json`, checked value by value.

A manifest that exists is valid: `Manifest(...)` and `Manifest.from_json` refuse everything else.
The schema version is an integer, raised whenever a reader of today would misread a bundle of
tomorrow; a reader refuses versions that are not in `READABLE_VERSIONS`.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from synthdetect.errors import BundleError
from synthdetect.images.views import View, view_from_dict, view_to_dict

SCHEMA_VERSION = 1
READABLE_VERSIONS = (1,)
CLASSES = ("real", "synthetic")
MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 4 * 2**20
MAX_TOTAL_BYTES = 2**30
MAX_FILES = 256
MAX_MEMBERS = 64

_MAX_DEPTH = 64
_MAX_INT_DIGITS = 100  # room for 128-bit seeds; int() of millions of digits takes minutes
_MEMBER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ROLE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_RESERVED = {"con", "prn", "aux", "nul"} | {f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10)}


@dataclass(frozen=True)
class FileEntry:
    """Identity of one file of a bundle.

    Parameters
    ----------
    sha256 : str
        64 lower-case hexadecimal digits.
    size : int
        Bytes, 0 to `MAX_TOTAL_BYTES`.

    Raises
    ------
    BundleError
        If a value is not as above.
    """

    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not isinstance(self.sha256, str) or not _SHA256.fullmatch(self.sha256):
            raise _invalid("sha256", self.sha256, "64 lower-case hexadecimal digits")
        if type(self.size) is not int or not 0 <= self.size <= MAX_TOTAL_BYTES:
            raise _invalid("size", self.size, f"a whole number of bytes, 0 to {MAX_TOTAL_BYTES}")


@dataclass(frozen=True)
class MemberEntry:
    """One member of the ensemble.

    Parameters
    ----------
    name : str
        Lower-case letters, digits, `-` and `_`, at most 64; unique in a bundle.
    kind : str
        Name of the architecture in the registry of members, for example `"MobileNetV2"`.
    view : View
        How the member looks at an image.
    files : mapping of str to str
        What a file is for (`"xml"`, `"bin"`, `"npz"`) to its name in the bundle.
    details : mapping
        Free JSON: parameters, facts about the training.

    Raises
    ------
    BundleError
        If a value is not as above.
    """

    name: str
    kind: str
    view: View
    files: Mapping[str, str]
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _match(self.name, _MEMBER_NAME, "name", "1 to 64 of a-z, 0-9, '-' and '_'")
        where = f"member {self.name}"
        _match(self.kind, _NAME, f"{where}: kind", "1 to 64 letters, digits, '.', '-' and '_'")
        try:
            view_from_dict(view_to_dict(self.view))
        except (ValueError, StopIteration) as error:
            raise _invalid(f"{where}: view", self.view, "a view of synthdetect") from error
        for role, name in _object(self.files, f"{where}: files").items():
            _match(role, _ROLE, f"{where}: a key of files", "a short lower-case word")
            check_file_name(name)
        _object(self.details, f"{where}: details")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything a bundle says about its detector, but the files themselves.

    Parameters
    ----------
    name : str
        Name of the detector, for example `"ensemble-v1"`.
    members : tuple of MemberEntry
        1 to `MAX_MEMBERS`, in the order of the columns of the combiner.
    combiner, calibrator, threshold : mapping
        JSON objects with a `"kind"`; their contents are the detector's to check.
    license : str
        Licence of the weights, an SPDX expression where there is one.
    training_data, recipe, figures : mapping
        Free JSON: data card and hash of the data manifest; how it was trained; how it measured.
    environment : mapping of str to str
        Library to version, as of the training.
    created : str or None
        ISO 8601 date or time.
    files : mapping of str to FileEntry
        Every file of the bundle but `manifest.json`. `write_bundle` fills it in.
    classes : tuple of str
        `("real", "synthetic")`.
    schema_version : int
        `SCHEMA_VERSION`.

    Raises
    ------
    BundleError
        If a value is not as above.
    """

    name: str
    members: tuple[MemberEntry, ...]
    combiner: Mapping[str, Any]
    calibrator: Mapping[str, Any]
    threshold: Mapping[str, Any]
    license: str
    training_data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    created: str | None = None
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    classes: tuple[str, ...] = CLASSES
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _check_version(self.schema_version)
        if tuple(self.classes) != CLASSES:
            raise _invalid("classes", self.classes, f"exactly {list(CLASSES)}")
        _match(self.name, _NAME, "name", "1 to 64 letters, digits, '.', '-' and '_'")
        _check_members(self.members)
        for part in ("combiner", "calibrator", "threshold"):
            kind = _object(getattr(self, part), part).get("kind")
            if not isinstance(kind, str) or not kind:
                raise _invalid(f"{part}: kind", kind, "the name of its class, a string")
        for part in ("training_data", "recipe", "figures"):
            _object(getattr(self, part), part)
        for library, version in _object(self.environment, "environment").items():
            if not isinstance(version, str):
                raise _invalid(f"environment: {library}", version, "a version, as a string")
        if not isinstance(self.license, str) or not self.license.strip():
            raise _invalid("license", self.license, "the licence of the weights, a string")
        _check_created(self.created)
        _check_entries(self.files)

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """Parse and check the bytes of a `manifest.json`.

        Parameters
        ----------
        content : bytes
            UTF-8 JSON, at most `MAX_MANIFEST_BYTES`.

        Returns
        -------
        manifest : Manifest
            Complete: every file that a member names is in `files`.

        Raises
        ------
        BundleError
            If it is not JSON (duplicate keys and NaN are not), of an unknown schema version, or has
            an unknown, missing or wrong value. The message names the key.
        """
        tree = _object(parse_json(content), "the whole")
        # The version comes first: the keys of another version would only confuse.
        _check_version(tree.get("schema_version"))
        values = _keys(tree, [f.name for f in fields(cls)], "the whole")
        values["members"] = tuple(
            _member(value, i) for i, value in enumerate(_list(tree["members"], "members"))
        )
        values["classes"] = tuple(_list(tree["classes"], "classes"))
        values["files"] = {
            name: _file(value, name) for name, value in _object(tree["files"], "files").items()
        }
        manifest = cls(**values)
        for member in manifest.members:
            for name in member.files.values():
                if name not in manifest.files:
                    raise _invalid(f"member {member.name}: files", name, "a file listed in 'files'")
        return manifest

    def to_json(self) -> bytes:
        """Return canonical JSON: sorted keys, indent 2, UTF-8, one newline at the end.

        Raises
        ------
        BundleError
            If a free part holds what JSON cannot say: NaN, infinity, arrays, objects of classes.
        """
        tree = {f.name: getattr(self, f.name) for f in fields(self)}
        tree["members"] = [
            {f.name: getattr(member, f.name) for f in fields(member)}
            | {"view": view_to_dict(member.view)}
            for member in self.members
        ]
        tree["files"] = {
            name: {"sha256": entry.sha256, "size": entry.size} for name, entry in self.files.items()
        }
        try:
            text = json.dumps(tree, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
            return (text + "\n").encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise BundleError(
                f"{MANIFEST_NAME}: {error}; keep plain JSON values in it: finite numbers, strings, "
                "true, false, null, lists and dicts with string keys"
            ) from error


def parse_json(content: bytes) -> Any:
    """Parse strict, bounded JSON: no duplicate keys, no NaN or infinity, at most 64 levels.

    Parameters
    ----------
    content : bytes
        UTF-8, at most `MAX_MANIFEST_BYTES`.

    Returns
    -------
    tree : dict, list, str, int, float, bool or None

    Raises
    ------
    BundleError
        If it is not such JSON.
    """
    if len(content) > MAX_MANIFEST_BYTES:
        raise _refused(f"has {len(content)} bytes, more than {MAX_MANIFEST_BYTES}")
    try:
        tree = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_int,
        )
    except UnicodeDecodeError as error:
        raise _refused(f"is not UTF-8 ({error.reason} at byte {error.start})") from error
    except RecursionError as error:
        raise _refused(f"nests deeper than {_MAX_DEPTH} levels") from error
    except json.JSONDecodeError as error:
        raise _refused(f"is not JSON ({error})") from error
    _check_tree(tree)
    return tree


def check_file_name(name: object) -> None:
    """Refuse a name that is unsafe, or not portable, as a file of a bundle.

    Parameters
    ----------
    name : object
        Should be a relative path with `/`, of ASCII letters, digits, `.`, `-` and `_`.

    Raises
    ------
    BundleError
        If it is anything else, absolute, has `..`, a backslash, a drive letter or a control
        character, or means something special on Windows.
    """
    reason = _name_fault(name)
    if reason is not None:
        shown = ascii(name)[:120]
        raise BundleError(f"file name {shown} {reason}; use names such as members/mobilenetv2.bin")


def check_file_names(names: Iterable[str]) -> None:
    """Check each name, and that no two collide where case does not count.

    Parameters
    ----------
    names : iterable of str
        Names of files, without `manifest.json`.

    Raises
    ------
    BundleError
        If a name is unsafe, if there are more than `MAX_FILES`, if two differ in case only, or if
        one is both a file and a folder.
    """
    spellings: dict[str, str] = {MANIFEST_NAME: MANIFEST_NAME}
    files = {MANIFEST_NAME}
    folders: set[str] = set()
    for n_files, name in enumerate(names, start=1):
        if n_files > MAX_FILES:
            raise BundleError(f"more than {MAX_FILES} files; a bundle has fewer")
        check_file_name(name)
        parts = name.split("/")
        prefixes = ["/".join(parts[:i]) for i in range(1, len(parts) + 1)]
        for prefix in prefixes:
            other = spellings.setdefault(prefix.casefold(), prefix)
            if other != prefix:
                raise BundleError(
                    f"file names {other} and {prefix} differ in case only; rename one"
                )
        files.add(name)
        folders.update(prefixes[:-1])
    if both := files & folders:
        raise BundleError(f"file name {min(both)} is also a folder; rename one")


def _name_fault(name: object) -> str | None:
    """What is wrong with the name of a file; None if nothing is."""
    if not isinstance(name, str) or not name:
        return "is not a non-empty string"
    if len(name) > 200 or name.count("/") > 7:
        return "is longer than 200 characters or deeper than 8 levels"
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        return "has a control character"
    if "\\" in name:
        return "has a backslash"
    if ":" in name:
        return "has a colon or a drive letter"
    if name.startswith("/"):
        return "is absolute"
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "has an empty, '.' or '..' part"
    if not all(_PART.fullmatch(part) for part in parts):
        return "has a part that is not 1 to 100 of A-Z, a-z, 0-9, '.', '-', '_' (no leading '.')"
    if any(part.endswith(".") or part.split(".")[0].lower() in _RESERVED for part in parts):
        return "means something special on Windows"
    return f"is reserved for {MANIFEST_NAME}" if name.casefold() == MANIFEST_NAME else None


def _refused(reason: str) -> BundleError:
    return BundleError(f"{MANIFEST_NAME}: it {reason}; get the bundle again")


def _invalid(where: str, value: object, wanted: str) -> BundleError:
    shown = ascii(value)
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    return BundleError(f"{MANIFEST_NAME}: {where} is {shown}; it must be {wanted}")


def _match(value: object, pattern: re.Pattern[str], where: str, wanted: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _invalid(where, value, wanted)


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _invalid(where, value, "a JSON object")
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _invalid(where, value, "a JSON list")
    return value


def _keys(tree: Mapping[str, Any], wanted: list[str], where: str) -> dict[str, Any]:
    """A copy of `tree`, which must have exactly the keys `wanted`."""
    for fault, keys in (
        ("unknown", set(tree) - set(wanted)),
        ("missing", set(wanted) - set(tree)),
    ):
        if keys:
            names = ", ".join(ascii(key) for key in sorted(keys)[:8])
            raise BundleError(
                f"{MANIFEST_NAME}: {where} has {fault} keys: {names}; schema version "
                f"{SCHEMA_VERSION} has exactly {', '.join(sorted(wanted))}"
            )
    return dict(tree)


def _member(value: object, index: int) -> MemberEntry:
    where = f"members[{index}]"
    values = _keys(_object(value, where), [f.name for f in fields(MemberEntry)], where)
    try:
        values["view"] = view_from_dict(_object(values["view"], f"{where}: view"))
    except BundleError:
        raise
    except ValueError as error:
        raise BundleError(f"{MANIFEST_NAME}: {where}: {error}") from error
    return MemberEntry(**values)


def _file(value: object, name: str) -> FileEntry:
    where = f"files: {ascii(name)[:120]}"
    values = _keys(_object(value, where), ["sha256", "size"], where)
    try:
        return FileEntry(**values)
    except BundleError as error:
        raise BundleError(f"{error} ({where})") from None


def _check_version(version: object) -> None:
    if type(version) is not int or version not in READABLE_VERSIONS:
        readable = ", ".join(map(str, READABLE_VERSIONS))
        raise BundleError(
            f"{MANIFEST_NAME}: schema_version is {ascii(version)[:40]}; this synthdetect reads "
            f"version {readable}: upgrade synthdetect, or get a bundle of a version it reads"
        )


def _check_members(members: object) -> None:
    if not isinstance(members, tuple) or not 1 <= len(members) <= MAX_MEMBERS:
        raise _invalid("members", members, f"1 to {MAX_MEMBERS} members")
    seen: set[str] = set()
    for member in members:
        if not isinstance(member, MemberEntry):
            raise _invalid("members", member, "MemberEntry objects")
        if member.name.casefold() in seen:
            raise _invalid("members", member.name, "used once only: names of members are unique")
        seen.add(member.name.casefold())


def _check_created(created: object) -> None:
    if created is None:
        return
    try:
        datetime.fromisoformat(created)  # type: ignore[arg-type]  # TypeError is the check
    except (TypeError, ValueError) as error:
        raise _invalid("created", created, "null or an ISO date such as 2026-01-31") from error


def _check_entries(files: object) -> None:
    entries = _object(files, "files")
    for name, entry in entries.items():
        if not isinstance(entry, FileEntry):
            raise _invalid(f"files: {name}", entry, "a FileEntry")
    check_file_names(entries)
    total = sum(entry.size for entry in entries.values())
    if total > MAX_TOTAL_BYTES:
        raise _invalid("files: sum of sizes", total, f"at most {MAX_TOTAL_BYTES} bytes")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _refused(f"has the key {ascii(twice)[:80]} twice in one object")
    return tree


def _finite(text: str) -> float:
    value = float(text)  # JSON's 1e999 is infinity to Python
    if not math.isfinite(value):
        raise _refused(f"has the number {text[:40]}, which is not finite")
    return value


def _int(text: str) -> int:
    if len(text) > _MAX_INT_DIGITS:
        raise _refused(f"has a whole number of {len(text)} digits")
    return int(text)


def _check_tree(tree: object) -> None:
    """Bound the depth, and refuse strings that are not Unicode text (lone surrogates)."""
    level = [tree]
    for _ in range(_MAX_DEPTH + 1):
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str) and not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError as error:
                    raise _refused(f"has text that is not Unicode: {ascii(value)[:80]}") from error
        if not below:
            return
        level = below
    raise _refused(f"nests deeper than {_MAX_DEPTH} levels")
