"""What a bundle says about itself: the schema of `manifest.json`, checked value by value.

A manifest that exists is valid: `Manifest(...)` and `Manifest.from_json` refuse everything else.
The schema version is an integer, raised whenever a reader of today would misread a bundle of
tomorrow; a reader refuses versions that are not in `READABLE_VERSIONS`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from synthdetect.bundle.entries import (
    MAX_TOTAL_BYTES,
    SCHEMA_VERSION,
    FileEntry,
    MemberEntry,
    check_match,
    exact_keys,
    invalid,
    json_list,
    json_object,
    read_file_entry,
    read_member,
)
from synthdetect.bundle.model_card import ModelCard, read_card
from synthdetect.bundle.names import check_file_names
from synthdetect.bundle.strict_json import MANIFEST_NAME, parse_json
from synthdetect.errors import BundleError
from synthdetect.images.views import view_to_dict
from synthdetect.members.base import DETECTOR_NAME

READABLE_VERSIONS = (1,)

CLASSES = ("real", "synthetic")

MAX_MEMBERS = 64

# Keys that a file need not have; they came later.
_OPTIONAL = ("cascade", "card")


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
    cascade : mapping or None
        A JSON object, likewise; None (and no key in the file) if members are always all asked.
    card : ModelCard or None
        What it is for and how it measured; None (and no key in the file) if nobody has said.

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
    cascade: Mapping[str, Any] | None = None
    card: ModelCard | None = None

    def __post_init__(self) -> None:
        _check_version(self.schema_version)
        if tuple(self.classes) != CLASSES:
            raise invalid("classes", self.classes, f"exactly {list(CLASSES)}")
        check_match(self.name, DETECTOR_NAME, "name", "1 to 64 letters, digits, '.', '-' and '_'")
        _check_members(self.members)
        for part in ("combiner", "calibrator", "threshold"):
            kind = json_object(getattr(self, part), part).get("kind")
            if not isinstance(kind, str) or not kind:
                raise invalid(f"{part}: kind", kind, "the name of its class, a string")
        for part in ("training_data", "recipe", "figures"):
            json_object(getattr(self, part), part)
        if self.cascade is not None:
            json_object(self.cascade, "cascade")
        if self.card is not None and not isinstance(self.card, ModelCard):
            raise invalid("card", self.card, "a ModelCard, or None")
        for library, version in json_object(self.environment, "environment").items():
            if not isinstance(version, str):
                raise invalid(f"environment: {library}", version, "a version, as a string")
        license_ = self.license
        if not isinstance(license_, str) or not license_.strip() or not license_.isprintable():
            raise invalid("license", license_, "the licence of the weights, one line of text")
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
        tree = json_object(parse_json(content), "the whole")
        # The version comes first: the keys of another version would only confuse.
        _check_version(tree.get("schema_version"))
        names = [f.name for f in fields(cls)]
        wanted = [name for name in names if name in tree or name not in _OPTIONAL]
        values = exact_keys(tree, wanted, "the whole")
        values["members"] = tuple(
            read_member(value, i) for i, value in enumerate(json_list(tree["members"], "members"))
        )
        values["classes"] = tuple(json_list(tree["classes"], "classes"))
        values["files"] = {
            name: read_file_entry(value, name)
            for name, value in json_object(tree["files"], "files").items()
        }
        if "card" in tree:
            values["card"] = read_card(tree["card"])
        manifest = cls(**values)
        for member in manifest.members:
            for name in member.files.values():
                if name not in manifest.files:
                    raise invalid(f"member {member.name}: files", name, "a file listed in 'files'")
        return manifest

    def to_json(self) -> bytes:
        """Return canonical JSON: sorted keys, indent 2, UTF-8, one newline at the end.

        Raises
        ------
        BundleError
            If a free part holds what JSON cannot say: NaN, infinity, arrays, objects of classes.
        """
        tree = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in _OPTIONAL:
            if tree[name] is None:
                del tree[name]
        if self.card is not None:
            tree["card"] = self.card.to_dict()
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


def _check_version(version: object) -> None:
    if type(version) is not int or version not in READABLE_VERSIONS:
        readable = ", ".join(map(str, READABLE_VERSIONS))
        raise BundleError(
            f"{MANIFEST_NAME}: schema_version is {ascii(version)[:40]}; this synthdetect reads "
            f"version {readable}: upgrade synthdetect, or get a bundle of a version it reads"
        )


def _check_members(members: object) -> None:
    if not isinstance(members, tuple) or not 1 <= len(members) <= MAX_MEMBERS:
        raise invalid("members", members, f"1 to {MAX_MEMBERS} members")
    seen: set[str] = set()
    for member in members:
        if not isinstance(member, MemberEntry):
            raise invalid("members", member, "MemberEntry objects")
        if member.name.casefold() in seen:
            raise invalid("members", member.name, "used once only: names of members are unique")
        seen.add(member.name.casefold())


def _check_created(created: object) -> None:
    if created is None:
        return
    try:
        datetime.fromisoformat(created)  # type: ignore[arg-type]  # TypeError is the check
    except (TypeError, ValueError) as error:
        raise invalid("created", created, "null or an ISO date such as 2026-01-31") from error


def _check_entries(files: object) -> None:
    entries = json_object(files, "files")
    for name, entry in entries.items():
        if not isinstance(entry, FileEntry):
            raise invalid(f"files: {name}", entry, "a FileEntry")
    check_file_names(entries)
    total = sum(entry.size for entry in entries.values())
    if total > MAX_TOTAL_BYTES:
        raise invalid("files: sum of sizes", total, f"at most {MAX_TOTAL_BYTES} bytes")
