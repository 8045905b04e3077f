"""What a manifest says of one file and of one member, and how its values are checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from synthdetect.bundle.names import check_file_name
from synthdetect.bundle.strict_json import MANIFEST_NAME
from synthdetect.errors import BundleError
from synthdetect.images.views import View, view_from_dict, view_to_dict
from synthdetect.members.base import DETECTOR_NAME, MEMBER_NAME

SCHEMA_VERSION = 1
MAX_TOTAL_BYTES = 2**30

_ROLE = re.compile(r"[a-z][a-z0-9_]{0,31}")

_SHA256 = re.compile(r"[0-9a-f]{64}")


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
            raise invalid("sha256", self.sha256, "64 lower-case hexadecimal digits")
        if type(self.size) is not int or not 0 <= self.size <= MAX_TOTAL_BYTES:
            raise invalid("size", self.size, f"a whole number of bytes, 0 to {MAX_TOTAL_BYTES}")


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
        check_match(self.name, MEMBER_NAME, "name", "1 to 64 of a-z, 0-9, '-' and '_'")
        where = f"member {self.name}"
        check_match(
            self.kind, DETECTOR_NAME, f"{where}: kind", "1 to 64 letters, digits, '.', '-' and '_'"
        )
        try:
            view_from_dict(view_to_dict(self.view))
        except (ValueError, StopIteration) as error:
            raise invalid(f"{where}: view", self.view, "a view of synthdetect") from error
        for role, name in json_object(self.files, f"{where}: files").items():
            check_match(role, _ROLE, f"{where}: a key of files", "a short lower-case word")
            check_file_name(name)
        json_object(self.details, f"{where}: details")


def invalid(where: str, value: object, wanted: str) -> BundleError:
    shown = ascii(value)
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    return BundleError(f"{MANIFEST_NAME}: {where} is {shown}; it must be {wanted}")


def check_match(value: object, pattern: re.Pattern[str], where: str, wanted: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise invalid(where, value, wanted)


def json_object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid(where, value, "a JSON object")
    return value


def json_list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(where, value, "a JSON list")
    return value


def exact_keys(tree: Mapping[str, Any], wanted: list[str], where: str) -> dict[str, Any]:
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


def read_member(value: object, index: int) -> MemberEntry:
    where = f"members[{index}]"
    values = exact_keys(json_object(value, where), [f.name for f in fields(MemberEntry)], where)
    try:
        values["view"] = view_from_dict(json_object(values["view"], f"{where}: view"))
    except BundleError:
        raise
    except ValueError as error:
        raise BundleError(f"{MANIFEST_NAME}: {where}: {error}") from error
    return MemberEntry(**values)


def read_file_entry(value: object, name: str) -> FileEntry:
    where = f"files: {ascii(name)[:120]}"
    values = exact_keys(json_object(value, where), ["sha256", "size"], where)
    try:
        return FileEntry(**values)
    except BundleError as error:
        raise BundleError(f"{error} ({where})") from None
