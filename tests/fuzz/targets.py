"""What is fuzzed: readers of bytes from strangers, which may raise our own errors and no others.

`TARGETS` maps a name to its function and to seeds, which are built here and copied from nowhere.
"""

import dataclasses
import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from hostile_images import HOSTILE_IMAGES
from synthdetect.bundle.arrays import arrays_from_bytes, arrays_to_bytes
from synthdetect.bundle.assemble import cascade_of, take_apart
from synthdetect.bundle.entries import MemberEntry
from synthdetect.bundle.format import Bundle, read_bundle, write_bundle
from synthdetect.bundle.manifest import Manifest
from synthdetect.ensemble.bounds import counted_rate
from synthdetect.errors import BundleError, ImageError
from synthdetect.images.decode import decode
from synthdetect.images.facts import file_facts
from synthdetect.images.limits import Limits
from synthdetect.images.views import CenterCrop, Crops
from synthdetect.members.spectral_features import feature_names
from synthdetect.runtime.graph_text import check_graph_text

_LIMITS = Limits(max_pixels=1_000_000, min_side=1)
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF")


def fuzz_decode(content: bytes) -> None:
    """An image gives uint8 RGB, or an `ImageError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pixels = decode(content, name="fuzzed", limits=_LIMITS)
        except ImageError:
            return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.flags.c_contiguous


def fuzz_facts(content: bytes) -> None:
    """A header gives facts, or an `ImageError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            facts = file_facts(content, name="fuzzed", limits=_LIMITS)
        except ImageError:
            return
    assert facts.width * facts.height <= _LIMITS.max_pixels
    json.dumps(facts.to_dict())


def fuzz_arrays(content: bytes) -> None:
    """An npz gives finite arrays, or a `BundleError`."""
    try:
        arrays = arrays_from_bytes(content, name="fuzzed.npz", max_bytes=2**20)
    except BundleError:
        return
    assert sum(array.nbytes for array in arrays.values()) <= 2**20
    assert all(array.dtype.kind in "biuf" and np.isfinite(array).all() for array in arrays.values())


def fuzz_manifest(content: bytes) -> None:
    """A manifest that is read is written as JSON again, and its parts are taken or refused."""
    try:
        manifest = Manifest.from_json(content)
    except BundleError:
        return
    assert Manifest.from_json(manifest.to_json()) == manifest
    files = dict.fromkeys(manifest.files, b"")
    for role, name in manifest.members[0].files.items():
        files[name] = _member_files().get(role, b"")
    try:
        bundle = Bundle(manifest, files, "", content)
        cascade_of(bundle, take_apart(bundle)[1].combiner)
    except BundleError:
        return


def fuzz_graph(content: bytes) -> None:
    """The text of a graph passes, or is a `BundleError`."""
    try:
        check_graph_text(content, n_weight_bytes=64, name="fuzzed.xml")
    except BundleError:
        return


def fuzz_bundle(content: bytes) -> None:
    """A zip is a bundle that can be written again, or a `BundleError`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzzed.zip"
        path.write_bytes(content)
        try:
            bundle = read_bundle(path)
        except BundleError:
            bundle = None
        assert [p.name for p in Path(folder).iterdir()] == ["fuzzed.zip"]
        if bundle is not None:
            again = write_bundle(Path(folder) / "again.zip", bundle.manifest, bundle.files)
            assert again.files == bundle.files


def image_seeds() -> list[bytes]:
    """Small pictures of each format, and the hostile ones of at most 4 kB."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8))
    seeds = []
    for format_name in _FORMATS:
        buffer = io.BytesIO()
        image.save(buffer, format_name)
        seeds.append(buffer.getvalue())
    small = (build() for name, (build, _) in HOSTILE_IMAGES.items() if name.startswith(_SMALL))
    return seeds + [content for content in small if 0 < len(content) <= 4_096]


# Kinds that are built quickly and are small.
_SMALL = ("exif-orientation-0", "exif-cyclic", "tiff-cmyk", "tiff-fax", "tiff-jpeg", "bmp-rle")
_SMALL += ("jpeg-ycck", "jpeg-grey", "png-palette", "png-inter", "png-16", "gif-frame", "webp-cut")


def _spectral_arrays() -> dict[str, np.ndarray]:
    d = len(feature_names())
    shapes = {
        "mean": (d,),
        "scale": (d,),
        "hidden_weights": (1, d, 1),
        "hidden_bias": (1, 1),
        "output_weights": (1, 1),
        "output_bias": (1,),
    }
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


def _member_files() -> dict[str, bytes]:
    return {"npz": arrays_to_bytes({"w": np.ones(2)}), "xml": GRAPH, "bin": bytes(64)}


GRAPH = b"""<?xml version="1.0"?>
<net name="n" version="11"><layers>
<layer id="0" name="x" type="Parameter" version="opset1">
<data shape="1,3" element_type="f32"/><output><port id="0" precision="FP32"><dim>1</dim>
<dim>3</dim></port></output></layer>
<layer id="1" name="c" type="Const" version="opset1">
<data element_type="f32" shape="3" offset="0" size="12"/></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges>
<rt_info><a value="b"/></rt_info></net>
"""


def _bundle() -> tuple[Manifest, dict[str, bytes]]:
    files = {"a.npz": arrays_to_bytes(_spectral_arrays()), "b.xml": GRAPH, "b.bin": bytes(64)}
    manifest = Manifest(
        name="seed",
        members=(
            MemberEntry("a", "spectral", Crops(1, 128), {"npz": "a.npz"}),
            MemberEntry("b", "MobileNetV2", CenterCrop(64), {"xml": "b.xml", "bin": "b.bin"}),
        ),
        combiner={"kind": "soft_vote", "weights": [0.5, 0.5]},
        calibrator={"kind": "temperature", "temperature": 1.5},
        threshold={
            "kind": "cutoff",
            "value": 0.5,
            "policy": "Youden()",
            "n_real": 10,
            "n_synthetic": 10,
        },
        license="Apache-2.0",
        cascade={
            "stages": [
                {
                    "columns": [0],
                    "calibrator": {"kind": "temperature", "temperature": 2.0},
                    "low": 0.1,
                    "high": 0.9,
                }
            ],
            "changed": counted_rate(0, 20).to_dict(),
            "stopped": [counted_rate(8, 20).to_dict()],
        },
    )
    return manifest, files


def _written() -> tuple[bytes, bytes]:
    """A zip and its manifest."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed.zip"
        bundle = write_bundle(path, *_bundle())
        return path.read_bytes(), bundle.manifest.to_json()


def manifest_seeds() -> list[bytes]:
    """A whole manifest, one of one member, and JSON of other shapes."""
    whole = _written()[1]
    manifest = Manifest.from_json(whole)
    alone = dataclasses.replace(
        manifest,
        members=manifest.members[:1],
        combiner={"kind": "stacking", "bias": 0.0, "weights": [1.0], "pairs": []},
        calibrator={"kind": "isotonic", "logit": [-1.0, 1.0], "p": [0.1, 0.9]},
        cascade=None,
    )
    return [whole, alone.to_json(), b"[]", b'{"schema_version": 1}', b"[1e999]", b"[" * 99]


def array_seeds() -> list[bytes]:
    """Arrays as we write them and as numpy does, compressed and not."""
    buffers = [io.BytesIO(), io.BytesIO()]
    np.savez(buffers[0], a=np.arange(3.0), b=np.ones((2, 2), bool))
    np.savez_compressed(buffers[1], a=np.zeros((40, 3), np.float32, order="F"))
    ours = arrays_to_bytes({"w": np.ones((2, 3), np.float16), "n": np.array(7)})
    return [ours, *(buffer.getvalue() for buffer in buffers)]


def bundle_seeds() -> list[bytes]:
    """A bundle's zip, the same deflated, and an empty zip."""
    stored = _written()[0]
    deflated = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(stored)) as old,
        zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return [stored, deflated.getvalue(), b"PK\x05\x06" + bytes(18)]


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "decode": (fuzz_decode, image_seeds),
    "facts": (fuzz_facts, image_seeds),
    "arrays": (fuzz_arrays, array_seeds),
    "manifest": (fuzz_manifest, manifest_seeds),
    "graph": (fuzz_graph, lambda: [GRAPH]),
    "bundle": (fuzz_bundle, bundle_seeds),
}
