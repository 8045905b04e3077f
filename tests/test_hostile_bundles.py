"""Hostile bundles whose hashes are right: nothing outside is touched, run or left unnamed."""

import ast
import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

import synthdetect
from synthdetect.bundle.arrays import arrays_from_bytes, arrays_to_bytes
from synthdetect.bundle.entries import MemberEntry
from synthdetect.bundle.format import read_bundle, write_bundle
from synthdetect.detector import Detector
from synthdetect.errors import BundleError
from synthdetect.images.views import CenterCrop
from synthdetect.members.spectral_features import feature_names
from synthdetect.members.spectrum import check_shapes
from synthdetect.runtime.graph_text import MAX_TEXT_BYTES, OPERATIONS, check_graph_text
from synthdetect.runtime.openvino import Graph

SIDE = 64
NET = "members/net.xml"


def graph_files(folder: Path, *, enlarge: int = 0) -> dict[str, bytes]:
    """A small real network as OpenVINO IR, padded by `enlarge` pixels on each side."""
    rng = np.random.default_rng(0)
    crops = ops.parameter([-1, SIDE, SIDE, 3], np.uint8, name="crops")
    x = ops.transpose(ops.convert(crops, np.float32), np.array([0, 3, 1, 2]))
    kernel = rng.normal(size=(4, 3, 3, 3)).astype(np.float32) / 255
    x = ops.relu(ops.convolution(x, kernel, [2, 2], [1, 1], [1, 1], [1, 1]))
    if enlarge:
        pads = np.array([0, 0, enlarge, enlarge])
        x = ops.pad(x, pads, pads, "constant", np.float32(0))
    x = ops.reduce_mean(x, np.array([2, 3]))
    logit = ops.matmul(x, rng.normal(size=(4, 1)).astype(np.float32), False, False)
    path = folder / "graph.xml"
    ov.save_model(ov.Model([logit], [crops], "tiny"), path, compress_to_fp16=False)
    return {"xml": path.read_bytes(), "bin": path.with_suffix(".bin").read_bytes()}


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return graph_files(tmp_path_factory.mktemp("graph"))


@pytest.fixture
def forge(tiny_bundle, graph, tmp_path):
    """Write a bundle of a spectral member and a network, with changes and right hashes."""
    honest = read_bundle(tiny_bundle)

    def write(*, files=None, path=None, **changes):
        net = MemberEntry("net", "MobileNetV2", CenterCrop(SIDE), {"xml": NET, "bin": "b.bin"})
        contents = dict(honest.files) | {NET: graph["xml"], "b.bin": graph["bin"]}
        contents |= files or {}
        parts = {
            "members": (*honest.manifest.members, net),
            "combiner": {"kind": "soft_vote", "weights": [1.0, 0.5]},
        }
        path = path or tmp_path / "forged"
        write_bundle(path, dataclasses.replace(honest.manifest, **(parts | changes)), contents)
        return path

    return write


def image():
    return np.random.default_rng(5).integers(0, 256, (160, 160, 3), dtype=np.uint8)


def test_what_is_forged_below_loads_and_predicts_when_it_is_honest(forge):
    assert np.isfinite(Detector.load(forge()).predict_proba([image()])).all()


# Graphs


def layer(kind, version="opset1", inside=""):
    return f'<layer id="0" name="x" type="{kind}" version="{version}">{inside}</layer>'


def net(layers, before=""):
    text = (
        f'<?xml version="1.0"?>{before}<net name="n" version="11"><layers>{layers}</layers></net>'
    )
    return text.encode()


def constant(offset, size):
    return layer("Const", inside=f'<data element_type="f32" offset="{offset}" size="{size}"/>')


BAD_GRAPHS = {
    "nothing": (b"", "no OpenVINO IR"),
    "a path": (b"/etc/hosts", "no OpenVINO IR"),
    "onnx": (b"\x08\x07\x12\x07pytorch:\x80\x01\x0a\x10/etc/passwd", "no OpenVINO IR"),
    "gguf": (b"GGUF\x03\0\0\0" + bytes(40), "no OpenVINO IR"),
    "pickle": (b"\x80\x04cposix\nsystem\n", "no OpenVINO IR"),
    "html": (b"<?xml version='1.0'?><html/>", "not <net>"),
    "cut": (net(layer("Parameter"))[:-9], "no whole XML"),
    "no layers": (net(""), "has no layers"),
    "not utf-8": (net(layer("Parameter")).replace(b"name", b"n\xffme"), "no whole XML"),
    "utf-16": (net(layer("Parameter")).decode().encode("utf-16"), "no OpenVINO IR|no whole XML"),
    "external entity": (
        net(layer("Parameter"), "<!DOCTYPE net [<!ENTITY a SYSTEM 'file:///etc/hosts'>]>"),
        "has a DOCTYPE",
    ),
    "laughs": (
        net(layer("Parameter"), "<!DOCTYPE net [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]>"),
        "has a DOCTYPE",
    ),
    "instruction": (net("<?include href='/etc/hosts'?>" + layer("Parameter")), "an instruction"),
    "custom extension": (net(layer("Add", "my_extension")), "'Add' of 'my_extension'"),
    "unknown operation": (net(layer("RunCommand")), "the operation 'RunCommand'"),
    "state": (net(layer("ReadValue", "opset6")), "the operation 'ReadValue'"),
    "loop": (net(layer("Loop", "opset5")), "the operation 'Loop'"),
    "random": (net(layer("RandomUniform", "opset8")), "the operation 'RandomUniform'"),
    "body": (net(layer("Add", inside="<body/>")), "has <body>"),
    "extensions": (net("<extensions path='/tmp/evil.so'/>" + layer("Add")), "has <extensions>"),
    "constant beyond": (net(constant(0, 10**9)), "constant at '0' . '1000000000'"),
    "constant before": (net(constant(-8, 8)), "constant at '-8'"),
    "constant nowhere": (net(constant("", "")), "constant at ''"),
    "deep": (net("<a>" * 99 + layer("Add") + "</a>" * 99), "nests deeper than 64"),
    "many": (net(layer("Add") * 20_001), "over 20000 layers"),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_a_graph_that_is_more_than_known_operations_is_refused_by_name(name, forge):
    xml, message = BAD_GRAPHS[name]
    with pytest.raises(BundleError, match=rf"{NET}: .*{message}".replace("+", ".")):
        Detector.load(forge(files={NET: xml}))


def test_a_graph_of_32_megabytes_is_refused_unread():
    with pytest.raises(BundleError, match=r"a\.xml: it has .* bytes, more than"):
        check_graph_text(b"<net" + bytes(MAX_TEXT_BYTES), n_weight_bytes=0, name="a.xml")


def test_notes_of_the_converter_pass(graph):
    xml = graph["xml"].replace(b"</net>", b"<rt_info><body/><x><y/></x></rt_info></net>")
    check_graph_text(xml, n_weight_bytes=len(graph["bin"]), name="a.xml")


def test_no_known_operation_holds_others_or_a_state():
    assert not OPERATIONS & {"If", "Loop", "TensorIterator", "ReadValue", "Assign", "Read"}


def test_graphs_that_ship_pass():
    for path in Path(synthdetect.__file__).parent.glob("bundles/*/members/*.xml"):
        size = path.with_suffix(".bin").stat().st_size
        check_graph_text(path.read_bytes(), n_weight_bytes=size, name=path.name)


def test_a_graph_that_would_take_gigabytes_is_refused_before_it_runs(tmp_path):
    files = graph_files(tmp_path, enlarge=9_000)
    graph = Graph(files["xml"], files["bin"], crops=(1, SIDE, SIDE, 3), name="member net")
    with pytest.raises(BundleError, match=r"member net: its graph computes 1,\d+,\d+,\d+ values"):
        graph.logits(image()[None, None, :SIDE, :SIDE])


def test_what_openvino_says_is_passed_on(graph):
    bad = Graph(graph["xml"], graph["bin"], crops=(1, SIDE, SIDE, 4), name="member net")
    with pytest.raises(BundleError, match=r"cannot use this graph \((?!Exception from)\w+"):
        bad.logits(np.zeros((1, 1, SIDE, SIDE, 4), np.uint8))


# Arrays


def spectral(**changes):
    """Arrays of an honest spectral member of one net, with changes."""
    d = len(feature_names())
    shapes = {"mean": (d,), "scale": (d,), "hidden_weights": (1, d, 2), "hidden_bias": (1, 2)}
    shapes |= {"output_weights": (1, 2), "output_bias": (1,)}
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()} | changes
    return {name: array for name, array in arrays.items() if array is not None}


D = len(feature_names())
BAD_ARRAYS = {
    "missing": ({"scale": None}, "array scale is missing"),
    "extra": ({"code": np.ones(3)}, "array code is not one of"),
    "wrong shape": ({"mean": np.ones(7, np.float32)}, "array mean has shape"),
    "transposed": ({"hidden_weights": np.ones((1, 2, D), np.float32)}, "array hidden_weights has"),
    "no nets": ({"hidden_weights": np.ones((0, D, 2), np.float32)}, "array hidden_weights has"),
    "flat": ({"hidden_weights": np.ones(9, np.float32)}, "array hidden_weights has shape"),
    "many nets": ({"hidden_weights": np.ones((65, D, 1), np.float32)}, "over 64 nets"),
    "whole numbers": ({"mean": np.ones(D, np.int64)}, "array mean has dtype int64"),
    "zero scale": ({"scale": np.zeros(D, np.float32)}, "array scale has values of 0"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_that_are_not_those_of_the_member_are_refused_by_name(name, forge, tiny_bundle):
    changes, message = BAD_ARRAYS[name]
    file = next(iter(read_bundle(tiny_bundle).files))
    with pytest.raises(BundleError, match=message):
        Detector.load(forge(files={file: arrays_to_bytes(spectral(**changes))}))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(value, forge, tiny_bundle):
    file = next(iter(read_bundle(tiny_bundle).files))
    with zipfile.ZipFile(io.BytesIO(arrays_to_bytes(spectral()))) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["mean.npy"] = entries["mean.npy"][:-4] + np.float32(value).tobytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(BundleError, match=f"{file}: array mean: 1 of .* NaN or infinite"):
        Detector.load(forge(files={file: packed.getvalue()}))


def test_shapes_are_checked_before_memory_is_taken():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in spectral(mean=np.zeros(10_000_000)).items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(f"{name}.npy", content.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=r"a\.npz: array mean has shape \(10000000,\)"):
            arrays_from_bytes(packed.getvalue(), name="a.npz", check=check_shapes)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


# Manifests


def test_an_unknown_kind_of_member_is_refused_before_its_files_are_parsed(forge):
    member = MemberEntry("net", "Oracle", CenterCrop(SIDE), {"xml": NET, "bin": "b.bin"})
    path = forge(files={NET: b"evil"}, members=(member,))
    with pytest.raises(BundleError, match="member net: kind 'Oracle' is not known"):
        Detector.load(path)


@pytest.mark.parametrize("role", ["npz", "py", "keras"])
def test_a_file_that_a_member_does_not_need_is_refused(role, forge):
    files = {"xml": NET, "bin": "b.bin", role: "b.bin"}
    member = MemberEntry("net", "MobileNetV2", CenterCrop(SIDE), files)
    with pytest.raises(BundleError, match="a MobileNetV2 needs xml and bin"):
        Detector.load(forge(members=(member,)))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"combiner": {"kind": "os.system"}}, "combiner: kind is 'os.system'"),
        (
            {"combiner": {"kind": "soft_vote", "weights": [1e308, 1e308, 1]}},
            "the combiner has 3 columns for 2",
        ),
        ({"calibrator": {"kind": "exec"}}, "calibrator: kind is 'exec'"),
        ({"threshold": {"kind": "policy.py"}}, "threshold.*policy.py"),
        ({"combiner": {"kind": "x" * 100_000}}, "combiner: kind is 'x"),
    ],
)
def test_an_unknown_step_is_refused_by_a_short_message(part, message, forge):
    with pytest.raises(BundleError, match=f"manifest.json: {message}") as caught:
        Detector.load(forge(**part))
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "change",
    [
        {"figures": {"val": {"evil\x1b]0;owned\x07": "\x1b[2J"}}},
        {"figures": {"split": 7, "n": None, "ensemble": [], "members": "abc", "pairs": 3}},
        {"training_data": {"manifest_sha256": "\x1b[31m\rb"}},
        {
            "threshold": {
                "kind": "cutoff",
                "value": 0.5,
                "policy": "\x1b]0;owned\x07",
                "n_real": 9,
                "n_synthetic": 9,
            }
        },
    ],
)
def test_what_a_bundle_says_of_itself_neither_fails_nor_commands_a_terminal(change, forge):
    text = Detector.load(forge(**change)).describe()
    assert "member net: MobileNetV2" in text
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("licence", ["MIT\nmember evil: trusted", "\x1b[2J", "a\u202eb", "\u2028"])
def test_a_licence_is_one_printable_line(licence, forge):
    with pytest.raises(BundleError, match="license"):
        forge(license=licence)


# Files


def test_two_files_that_were_swapped_are_refused(forge):
    path = forge()
    a, b = path / NET, path / "b.bin"
    a.rename(path / "aside")
    b.rename(a)
    (path / "aside").rename(b)
    with pytest.raises(BundleError, match=r"(b\.bin|net\.xml) has"):
        read_bundle(path)


def test_a_hard_link_to_another_file_is_refused_by_its_content(forge, tmp_path):
    path = forge()
    (tmp_path / "secret").write_bytes(b"secret" * 99)
    (path / "b.bin").unlink()
    os.link(tmp_path / "secret", path / "b.bin")
    with pytest.raises(BundleError, match=r"b\.bin has 594 bytes") as caught:
        read_bundle(path)
    assert "secret" not in str(caught.value)


def test_a_hard_link_with_the_right_content_is_a_file_like_any_other(forge, tmp_path):
    path = forge()  # installers link files from their cache
    os.link(path / "b.bin", tmp_path / "cache.bin")
    assert read_bundle(path).files["b.bin"]


@pytest.mark.parametrize("edit", ["size", "sha256", "swap"])
def test_a_manifest_that_lies_about_a_file_is_refused_by_name(edit, forge):
    path = forge() / "manifest.json"
    tree = json.loads(path.read_bytes())
    if edit == "swap":
        tree["files"][NET], tree["files"]["b.bin"] = tree["files"]["b.bin"], tree["files"][NET]
    else:
        tree["files"]["b.bin"][edit] = 7 if edit == "size" else "0" * 64
    path.write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(BundleError, match=r"(b\.bin|net\.xml) has .*the manifest says"):
        read_bundle(path.parent)


# What Python does while a bundle is loaded and used

AUDIT = """
import os, sys
sys.path[:0] = {paths!r}
sys.path.append(os.path.dirname({second!r}))
import numpy as np
from synthdetect.detector import Detector

image = np.random.default_rng(5).integers(0, 256, (160, 160, 3), dtype=np.uint8)
Detector.load({first!r}).predict_proba([image])  # libraries are loaded by now
modules, inside, found = set(sys.modules), os.path.realpath({second!r}), []
shipped = os.path.join({paths!r}[0], "synthdetect", "bundles")  # is listed for a bundled name

def watch(event, arguments):
    if event == "open":
        path = arguments[0]
        known = isinstance(path, int) or os.path.realpath(os.fsdecode(path)).startswith(inside)
        if not known:
            found.append((event, str(path)))
    elif event in ("exec", "compile", "import", "marshal.loads", "pickle.find_class"):
        found.append((event, str(arguments)[:200]))
    elif event.split(".")[0] in ("socket", "subprocess", "os", "ctypes", "urllib", "shutil"):
        if event not in ("os.listdir", "os.scandir"):
            found.append((event, str(arguments)[:200]))
        elif not os.path.realpath(arguments[0]).startswith((inside, shipped)):
            found.append((event, str(arguments[0])))

sys.addaudithook(watch)
p = Detector.load({second!r}).predict_proba([image])
{also}
new = sorted(set(sys.modules) - modules)
result = (found, new, bool(np.isfinite(p).all()))
print(result)
"""


def audited(first: Path, second: Path, also: str = "") -> tuple[list, list, bool]:
    """What happens when `second` is loaded and used, after `first` was."""
    paths = [str(Path(synthdetect.__file__).parents[1])]
    code = AUDIT.format(paths=paths, first=str(first), second=str(second), also=also)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=second.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout)


@pytest.fixture
def two(forge, tmp_path):
    """An honest bundle twice, the second with modules beside it that would be found by import."""
    first = forge(path=tmp_path / "first")
    (tmp_path / "elsewhere").mkdir()
    second = tmp_path / "elsewhere" / "second"
    shutil.copytree(first, second)
    for name in ("members", "net", "tiny", "spectral"):
        (second.parent / f"{name}.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    return first, second


def test_loading_and_predicting_runs_nothing_and_opens_nothing_but_the_bundle(two):
    assert audited(*two) == ([], [], True)


@pytest.mark.parametrize(
    ("also", "event"),
    [
        ("open('/etc/hosts').close()", "open"),
        ("eval('1 + 1')", "compile"),
        ("import wave", "import"),
        ("import socket; socket.socket().close()", "socket.__new__"),
        ("os.system('true')", "os.system"),
    ],
)
def test_the_watch_sees_what_must_not_happen(also, event, two):
    found, _, _ = audited(*two, also=also)
    assert event in {name for name, _ in found}
