"""What the text of a graph may say, before OpenVINO's native parsers see it.

OpenVINO takes bytes of any format that it reads (IR, ONNX, TensorFlow, Paddle, GGUF, ...), and some
of those name other files. A bundle's graph is an IR with the operations that trained members have,
whose constants lie within its own weights.
"""

import re
from typing import NoReturn
from xml.parsers import expat

from synthdetect.errors import BundleError

MAX_TEXT_BYTES = 32 << 20
_MAX_LAYERS = 20_000
_MAX_DEPTH = 64

# Those of the networks in members.backbones as OpenVINO exports them, and their like. None reads or
# writes a variable or a file, runs a body of its own, or draws at random.
# fmt: off
OPERATIONS = frozenset((
    "Abs", "Add", "AvgPool", "BatchNormInference", "Clamp", "Concat", "Const", "Convert",
    "Convolution", "Divide", "Elu", "Exp", "FakeQuantize", "Gather", "Gelu", "GroupConvolution",
    "HSigmoid", "HSwish", "Interpolate", "MatMul", "MaxPool", "Maximum", "Minimum", "Mish",
    "Multiply", "Negative", "PReLU", "Pad", "Parameter", "Power", "ReLU", "ReduceMax", "ReduceMean",
    "ReduceSum", "Reshape", "Result", "ShapeOf", "Sigmoid", "Slice", "SoftMax", "SoftPlus",
    "Softmax", "Split", "Sqrt", "Squeeze", "StridedSlice", "Subtract", "Swish", "Tanh", "Transpose",
    "Unsqueeze", "VariadicSplit",
))
# fmt: on
_OPSET = re.compile(r"opset\d{1,2}")
_SPACE = b" \t\r\n"


def check_graph_text(xml: bytes, *, n_weight_bytes: int, name: str) -> None:
    """Refuse a graph that is more than numbers and known operations.

    Parameters
    ----------
    xml : bytes
        Text of an OpenVINO IR.
    n_weight_bytes : int
        Size of its weights.
    name : str
        Of the file, for the errors.

    Raises
    ------
    BundleError
        If it is no IR, names an operation that no member has or one of a custom extension, has
        entities, or a constant outside the weights.
    """
    if len(xml) > MAX_TEXT_BYTES:
        raise BundleError(f"{name}: it has {len(xml)} bytes, more than {MAX_TEXT_BYTES}")
    if not xml.lstrip(_SPACE).startswith((b"<?xml", b"<net")):
        raise BundleError(f"{name}: it is no OpenVINO IR (XML); get the bundle again")
    try:
        # No other encoding: what it hides from this parser the other one might see.
        xml.decode("utf-8")
        _Reader(n_weight_bytes, name).read(xml)
    except (UnicodeDecodeError, expat.ExpatError) as error:
        raise BundleError(f"{name}: it is no whole XML ({error}); get the bundle again") from error


class _Reader:
    """Walks through the elements of an IR and keeps the path and the layer that it is in."""

    def __init__(self, n_weight_bytes: int, name: str) -> None:
        self._n_weight_bytes = n_weight_bytes
        self._name = name
        self._path: list[str] = []
        self._layer = ""
        self._n_layers = 0

    def read(self, xml: bytes) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.StartDoctypeDeclHandler = lambda *_: self._refuse("has a DOCTYPE")
        parser.ProcessingInstructionHandler = lambda *_: self._refuse("has an instruction")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = lambda _: self._path.pop()
        parser.Parse(xml, True)
        if not self._n_layers:
            self._refuse("has no layers")

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        if not self._path and element != "net":
            self._refuse(f"starts with <{element[:40]!a}>, not <net>")
        self._path.append(element)
        if len(self._path) > _MAX_DEPTH:
            self._refuse(f"nests deeper than {_MAX_DEPTH} levels")
        if "rt_info" in self._path[:-1]:
            return  # notes of the converter, which nothing depends on
        if element in ("body", "port_map", "back_edges", "extensions"):
            self._refuse(f"has <{element}>")
        if element == "layer":
            self._start_layer(attributes)
        elif element == "data" and self._layer == "Const":
            self._check_constant(attributes)

    def _start_layer(self, attributes: dict[str, str]) -> None:
        self._layer = attributes.get("type", "")
        version = attributes.get("version", "")
        self._n_layers += 1
        if self._layer not in OPERATIONS or not _OPSET.fullmatch(version):
            shown = f"{self._layer[:60]!a} of {version[:60]!a}"
            self._refuse(f"has the operation {shown}, which no member of this synthdetect has")
        if self._n_layers > _MAX_LAYERS:
            self._refuse(f"has over {_MAX_LAYERS} layers")

    def _check_constant(self, attributes: dict[str, str]) -> None:
        offset, size = attributes.get("offset", ""), attributes.get("size", "")
        plain = all(re.fullmatch("[0-9]{1,12}", text) for text in (offset, size))
        if not plain or int(offset) + int(size) > self._n_weight_bytes:
            where = f"{offset[:20]!a} + {size[:20]!a}"
            self._refuse(f"has a constant at {where} of {self._n_weight_bytes} bytes of weights")

    def _refuse(self, reason: str) -> NoReturn:
        raise BundleError(f"{self._name}: its graph {reason}; get the bundle again")
