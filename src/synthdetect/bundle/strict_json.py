"""JSON of strangers: no duplicate keys, no NaN, no depth or size without bound."""

import json
import math
from typing import Any

from synthdetect.errors import BundleError

MANIFEST_NAME = "manifest.json"

MAX_MANIFEST_BYTES = 4 * 2**20

_MAX_DEPTH = 64

_MAX_INT_DIGITS = 100  # room for 128-bit seeds; int() of millions of digits takes minutes


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


def _refused(reason: str) -> BundleError:
    return BundleError(f"{MANIFEST_NAME}: it {reason}; get the bundle again")


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
