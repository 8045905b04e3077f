"""Arrays in bundles: round trips, and headers that lie."""

import io
import pickle
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from synthdetect.bundle.arrays import arrays_from_bytes, arrays_to_bytes
from synthdetect.errors import BundleError

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64"]  # fmt: skip

plain_arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        elements={"allow_nan": False, "allow_infinity": False} if "float" in dtype else None,
    )
)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)


def npz(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def npy(descr: str, shape: str, content: bytes, fortran: str = "False") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def saved(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(names, plain_arrays, max_size=4))
@example({"A": np.array(False), "A.": np.array(True)})
def test_arrays_come_back_bit_equal(arrays: dict[str, np.ndarray]) -> None:
    back = arrays_from_bytes(arrays_to_bytes(arrays), name="a.npz")
    assert list(back) == sorted(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()
        assert back[name].flags.writeable


@settings(max_examples=30, deadline=None)
@given(plain_arrays)
def test_bytes_do_not_depend_on_layout_or_order(array: np.ndarray) -> None:
    other = {"b": np.asfortranarray(array).reshape(array.shape), "a": array}
    if array.dtype.kind != "b":
        other["b"] = other["b"].astype(array.dtype.newbyteorder(">"))
    assert arrays_to_bytes({"a": array, "b": array}) == arrays_to_bytes(other)


def test_numpy_reads_what_is_written() -> None:
    content = arrays_to_bytes({"w": np.arange(6.0).reshape(2, 3), "n": np.array(3)})
    with np.load(io.BytesIO(content), allow_pickle=False) as loaded:
        assert loaded["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert loaded["n"].shape == ()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_writes_is_read(save: Any, order: str) -> None:
    array = np.asarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4), order=order)
    stream = io.BytesIO()
    save(stream, w=array, v=np.arange(3), s=np.float64(1.5), e=np.zeros((0, 3)))
    back = arrays_from_bytes(stream.getvalue(), name="a.npz")
    assert np.array_equal(back["w"], array)
    assert back["v"].tolist() == [0, 1, 2]
    assert back["s"].shape == ()
    assert back["e"].shape == (0, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.array([object()]),
        np.array(["text"]),
        np.array([b"bytes"]),
        np.array([1j]),
        np.array(["2026-01-01"], "datetime64[D]"),
        np.zeros(2, dtype=[("a", "f4")]),
        np.array([np.nan]),
        np.array([np.inf], np.float16),
        None,
    ],
)
def test_unusual_arrays_are_not_written(array: Any) -> None:
    with pytest.raises(BundleError, match="array w"):
        arrays_to_bytes({"w": array})


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a b", "é", "a\0", 7, ".a", "x" * 101])
def test_unusual_names_are_not_written(name: Any) -> None:
    with pytest.raises(BundleError, match="array name"):
        arrays_to_bytes({name: np.zeros(1)})


EIGHT = bytes(8)
BAD_ENTRIES = [
    (npy("'<f8'", "(10000000000,)", EIGHT), r"shape \(10000000000,\) of <f8 takes 80000000000 by"),
    (npy("'<f8'", "(99999999, 99999999, 99999999)", EIGHT), "takes"),
    (npy("'<f8'", "(999999999999999999, 999999999999999999)", EIGHT), "takes"),
    (npy("'<f8'", "(0, 999999999999999999, 999999999999999999)", b""), "is impossible"),
    (npy("'<f8'", "(" + "1" * 5000 + ",)", EIGHT), "its header"),
    (npy("'<f8'", "(-1,)", EIGHT), "its header"),
    (npy("'<f8'", "(True,)", EIGHT), "its header"),
    (npy("'<f8'", "1", EIGHT), "its header"),
    (npy("'<f8'", "(1)", EIGHT), "its header"),
    (npy("'<f8'", "(" + "1, " * 40 + "1)", EIGHT), "its header"),
    (npy("'<f8'", "(2,)", EIGHT), "takes 16 bytes, the file has 8"),
    (npy("'<f8'", "()", EIGHT * 2), "takes 8 bytes, the file has 16"),
    (npy("'<f8'", "(1,)", EIGHT, fortran="1"), "its header"),
    (npy("'|O'", "(1,)", pickle.dumps([1])), "its header"),
    (npy("'<U2'", "(1,)", EIGHT), "its header"),
    (npy("'>f8'", "(1,)", EIGHT), "its header"),
    (npy("'<f1'", "(8,)", EIGHT), "dtype <f1 is not supported"),
    (npy("'|f8'", "(1,)", EIGHT), "dtype |f8 is not supported"),
    (npy("[('a', '<f8')]", "(1,)", EIGHT), "its header"),
    (npy("__import__('os').system('true')", "(1,)", EIGHT), "its header"),
    (npy("(" * 3000 + ")" * 3000, "(1,)", EIGHT), "its header"),
    (npy("'<f8'", "(1,)", np.array([np.nan]).tobytes()), "1 of 1 values are NaN or infinite"),
    (npy("'|b1'", "(2,)", b"\x00\x02"), "a boolean is neither 0 nor 1"),
    (b"\x93NUMPY\x02\x00" + npy("'<f8'", "(1,)", EIGHT)[8:], "its header"),
    (b"\x93NUMPY\x01\x00\xff\xff{", "its header"),
    (b"\x93NUMPY\x01", "its header"),
    (b"", "its header"),
    (pickle.dumps(np.zeros(3)), "its header"),
    (saved(np.array([{}]), allow_pickle=True), "its header"),
]


@pytest.mark.parametrize(("content", "message"), BAD_ENTRIES)
def test_a_lying_or_unusual_array_is_refused_without_memory(content: bytes, message: str) -> None:
    whole = npz({"w.npy": content})
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=message) as caught:
            arrays_from_bytes(whole, name="members/a.npz")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith("members/a.npz: array w: ")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["w", "../w.npy", "a/w.npy", "w.npy.npy/", ".npy", "w.pkl"])
def test_an_entry_that_is_no_array_is_refused(name: str) -> None:
    with pytest.raises(BundleError, match=r"members/a\.npz: "):
        arrays_from_bytes(npz({name: saved(np.zeros(1))}), name="members/a.npz")


def test_a_compressed_bomb_is_refused_by_its_declared_size() -> None:
    whole = npz({"w.npy": npy("'|u1'", "(50000000,)", bytes(50_000_000))}, zipfile.ZIP_DEFLATED)
    with pytest.raises(BundleError, match="more than 1000000"):
        arrays_from_bytes(whole, name="a.npz", max_bytes=1_000_000)


def test_a_compressed_bomb_with_a_lying_size_is_read_no_further() -> None:
    head = npy("'|u1'", "(9,)", b"")
    n = 50_000_000
    whole = npz({"w.npy": head + bytes(n - len(head))}, zipfile.ZIP_DEFLATED)
    whole = whole.replace(n.to_bytes(4, "little"), (len(head) + 9).to_bytes(4, "little"))
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=r"a\.npz: w\.npy"):
            arrays_from_bytes(whole, name="a.npz")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x04.", pickle.dumps([1]), b"PK\x05\x06"])
def test_what_is_no_zip_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"a\.npz: it is not a whole zip"):
        arrays_from_bytes(content, name="a.npz")


def test_every_changed_byte_is_refused_or_changes_no_value() -> None:
    array = np.arange(4, dtype=np.int16)
    whole = arrays_to_bytes({"w": array})
    n_refused = 0
    for i in range(len(whole)):
        for bits in (1, 0x80, 0xFF):
            content = bytearray(whole)
            content[i] ^= bits
            try:
                back = arrays_from_bytes(bytes(content), name="a.npz")
            except BundleError:
                n_refused += 1
            else:
                assert [a.tolist() for a in back.values()] == [array.tolist()]
    assert n_refused > 2 * len(whole)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_arrays_or_a_bundle_error(content: bytes) -> None:
    for whole in (content, npz({"w.npy": content}), npz({"w.npy": b"\x93NUMPY\x01\x00" + content})):
        with pytest.raises(BundleError):
            arrays_from_bytes(whole, name="a.npz")
