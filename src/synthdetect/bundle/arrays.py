"""Arrays as bytes: npz files without pickle, and without trust in what their headers say.

The headers are read by one regular expression, not by numpy's parser, which evaluates Python
literals; and an array is made only of bytes that are there, so a header cannot ask for memory.
"""

import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthdetect.bundle.archive import open_zip, write_zip
from synthdetect.errors import BundleError

MAX_ARRAYS = 1024
MAX_ARRAY_BYTES = 2**29

_DTYPES = frozenset(
    "|b1 |i1 |u1 <i2 <i4 <i8 <u2 <u4 <u8 <f2 <f4 <f8".split()  # noqa: SIM905
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_MAGIC = b"\x93NUMPY\x01\x00"
_MAX_HEADER = 4096  # 32 axes of 18 digits take 700 bytes
# What numpy.save writes, to the letter; 32 axes is numpy 1's limit.
_HEADER = re.compile(
    rb"\{'descr': '([|<][biuf][1248])', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}, ){1,31}\d{1,18}|\d{1,18},|)\), \} *\n"
)


def arrays_to_bytes(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return an npz file whose bytes depend on the arrays only.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Boolean, integer (8 to 64 bit) or float (16 to 64 bit) arrays of any shape, finite. Names
        are letters, digits, `_`, `.` and `-`, at most 100. Neither order nor layout matters.

    Returns
    -------
    npz : bytes
        Stored, little-endian, C order; `numpy.load` reads it too.

    Raises
    ------
    BundleError
        If a name, a dtype or a value is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> arrays_from_bytes(arrays_to_bytes({"weights": np.array([0.5, 2.0])}), name="a.npz")
    {'weights': array([0.5, 2. ])}
    """
    contents = {}
    if len(arrays) > MAX_ARRAYS:
        raise BundleError(f"{len(arrays)} arrays; keep at most {MAX_ARRAYS} in one file")
    for name in sorted(arrays, key=str):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise BundleError(f"array name {ascii(name)[:120]}; use letters, digits, '_', '.', '-'")
        array = np.asarray(arrays[name])
        dtype = array.dtype.newbyteorder("<")
        if dtype.str not in _DTYPES:
            raise BundleError(
                f"array {name} has dtype {array.dtype}; convert it to bool, int8 to int64, "
                "uint8 to uint64 or float16 to float64"
            )
        _check_finite(array, f"array {name}")
        stream = io.BytesIO()
        # asarray with order="C", as ascontiguousarray makes scalars one-dimensional.
        plain = np.asarray(array, dtype=dtype, order="C")
        np.lib.format.write_array(stream, plain, version=(1, 0), allow_pickle=False)
        contents[f"{name}.npy"] = stream.getvalue()
    stream = io.BytesIO()
    write_zip(stream, contents)
    return stream.getvalue()


Shapes = Mapping[str, tuple[int, ...]]


def arrays_from_bytes(
    content: bytes,
    *,
    name: str,
    max_bytes: int = MAX_ARRAY_BYTES,
    check: Callable[[Shapes], None] | None = None,
) -> dict[str, NDArray[np.generic]]:
    """Read the arrays of an untrusted npz file.

    Parameters
    ----------
    content : bytes
        An npz file.
    name : str
        Name of the file, for the errors.
    max_bytes : int, default=2**29
        Bound on the sum of the arrays' bytes, headers included, before anything is decompressed.
    check : callable, optional
        Called with the shape of each array by name, before memory is taken for any; raises
        BundleError for shapes that are not wanted.

    Returns
    -------
    arrays : dict of str to ndarray
        Writeable, in native byte order; sorted by name.

    Raises
    ------
    BundleError
        If the file is damaged or too large, or an array has a wrong name, an unusual header, a
        dtype of objects, text or structures, a shape that is not that of its bytes, or NaN.
    """
    with open_zip(io.BytesIO(content), name, MAX_ARRAYS) as (sizes, read):
        total = sum(sizes.values())
        if total > max_bytes:
            raise BundleError(f"{name}: its arrays have {total} bytes, more than {max_bytes}")
        headers = {}
        for entry, size in sizes.items():
            key = entry.removesuffix(".npy")
            if key == entry or not _NAME.fullmatch(key):
                raise BundleError(f"{name}: {ascii(entry)[:120]} is no array; get the bundle again")
            head = read(entry, size, _MAX_HEADER)
            headers[key] = _header(head, size, f"{name}: array {key}")
        if check is not None:
            try:
                check({key: header.shape for key, header in headers.items()})
            except BundleError as error:
                raise BundleError(f"{name}: {error}") from error
        return {
            key: _array(read(f"{key}.npy", sizes[f"{key}.npy"]), header, f"{name}: array {key}")
            for key, header in sorted(headers.items())
        }


@dataclass(frozen=True)
class _Header:
    """What the header of an npy file says; its values start at `end`."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    fortran: bool
    end: int


def _header(content: bytes, size: int, where: str) -> _Header:
    """The header of an npy file of `size` bytes, of which `content` is the start."""
    start = len(_MAGIC) + 2
    end = start + int.from_bytes(content[len(_MAGIC) : start], "little")
    header = _HEADER.fullmatch(content[start:end])
    if not content.startswith(_MAGIC) or header is None:
        shown = ascii(content[start : min(end, start + 100)].decode("latin-1"))
        raise BundleError(
            f"{where}: its header {shown} is not that of a plain array (bool, int, uint or float, "
            "little-endian); write the file with arrays_to_bytes"
        )
    descr, fortran, axes = (group.decode("ascii") for group in header.groups())
    if descr not in _DTYPES:
        raise BundleError(f"{where}: dtype {descr} is not supported; use {sorted(_DTYPES)}")
    dtype = np.dtype(descr)
    shape = tuple(int(axis) for axis in axes.split(",") if axis.strip())
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != size - end:
        raise BundleError(
            f"{where}: shape {shape} of {descr} takes {wanted} bytes, the file has "
            f"{size - end}; get the bundle again"
        )
    return _Header(dtype, shape, fortran == "True", end)


def _array(content: bytes, header: _Header, where: str) -> NDArray[np.generic]:
    """The array of the bytes of one npy file."""
    dtype, shape, end = header.dtype, header.shape, header.end
    if dtype.kind == "b" and content[end:].translate(None, b"\x00\x01"):
        raise BundleError(f"{where}: a boolean is neither 0 nor 1; get the bundle again")
    try:
        n_values = math.prod(shape)
        flat = np.frombuffer(content, dtype=dtype, offset=end) if n_values else np.empty(0, dtype)
        order = flat.reshape(shape[::-1]).T if header.fortran else flat.reshape(shape)
    except ValueError as error:  # shapes with a zero and an axis beyond what numpy can count
        raise BundleError(f"{where}: shape {shape} is impossible ({error})") from error
    _check_finite(order, where)
    return order.astype(dtype.newbyteorder("="))


def _check_finite(array: NDArray[np.generic], where: str) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        n_bad = int(array.size - np.isfinite(array).sum())
        raise BundleError(f"{where}: {n_bad} of {array.size} values are NaN or infinite; retrain")
