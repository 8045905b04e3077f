"""Graphs on the CPU by OpenVINO: compiled once for each use, fed one image a request.

One request carries the crops of one image, and its shape never changes. So the kernels that compute
an image's logit, and their rounding, do not depend on the batch that it came in.
"""

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.errors import BundleError
from synthdetect.locks import Lock

PRECISIONS = ("f32", "bf16")
# Float32 values in all outputs between operations: 1 GiB. Members have about 30 million.
_MAX_VALUES = 2**28


def check_precision(precision: str) -> None:
    """Raise ValueError unless it is one of `PRECISIONS`."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; use one of {', '.join(PRECISIONS)}")


class Graph:
    """An OpenVINO graph from (k, size, size, 3) uint8 to (k, 1) float32 logits.

    Safe to share between threads. What is pickled are the files; each process compiles its own.

    Parameters
    ----------
    xml, weights : bytes
        The two files of an OpenVINO IR.
    crops : tuple of int
        Shape of one image's crops, (k, size, size, 3).
    precision : {"f32", "bf16"}
        Arithmetic of the CPU; bf16 is faster where the CPU has it, with relative errors near 1e-2.
    name : str
        Named in errors.

    Raises
    ------
    BundleError
        If the files are no graph of that shape.
    """

    uses_all_cores = True

    def __init__(
        self,
        xml: bytes,
        weights: bytes,
        *,
        crops: tuple[int, int, int, int],
        precision: str = "f32",
        name: str = "graph",
    ) -> None:
        check_precision(precision)
        self._options = (xml, weights, crops, precision, name)
        self._lock = Lock()
        self._compiled: dict[tuple[int, str], Any] = {}

    def __getstate__(self) -> tuple[Any, ...]:
        return self._options

    def __setstate__(self, options: tuple[Any, ...]) -> None:
        xml, weights, crops, precision, name = options
        self.__init__(xml, weights, crops=crops, precision=precision, name=name)  # type: ignore[misc]

    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Score images.

        Parameters
        ----------
        crops : ndarray of shape (n, k, size, size, 3), uint8

        Returns
        -------
        logits : ndarray of shape (n,), float64
            The mean over the k crops of each image.
        """
        if len(crops) == 1:
            model = self._model("LATENCY")
            return np.array([_mean_logit(model.create_infer_request().infer([crops[0]])[0])])
        return self._batch(crops)

    def _batch(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Keep one request a stream in flight, in turn.

        No AsyncInferQueue with a Python callback: a compiled model that is freed while a stream
        thread waits for the interpreter's lock to call back never returns.
        """
        model = self._model("THROUGHPUT")
        n_requests = min(len(crops), model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        requests = [model.create_infer_request() for _ in range(n_requests)]
        result = np.empty(len(crops))
        for index in range(len(crops) + n_requests):
            request = requests[index % n_requests]
            if index >= n_requests:
                request.wait()
                result[index - n_requests] = _mean_logit(request.get_output_tensor(0).data)
            if index < len(crops):
                request.start_async([crops[index]])
        return result

    def _model(self, hint: str) -> Any:
        """Compile on first use, once in each process: a forked child must not use our threads."""
        key = (os.getpid(), hint)
        with self._lock:
            if key not in self._compiled:
                self._compiled[key] = self._compile(hint)
            return self._compiled[key]

    def _compile(self, hint: str) -> Any:
        import openvino as ov

        xml, weights, crops, precision, name = self._options
        try:
            core = ov.Core()
            model = core.read_model(xml, ov.Tensor(np.frombuffer(weights, np.uint8)))
            model.reshape(list(crops))
            _check_size(model, name)
            return core.compile_model(
                model,
                "CPU",
                {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": precision},
            )
        except RuntimeError as error:
            raise BundleError(
                f"{name}: OpenVINO cannot use this graph ({_first_reason(error)}); "
                "export it again or download the bundle again"
            ) from error


def n_weights(xml: bytes, weights: bytes) -> int:
    """Return how many floats a graph holds: what it learned, and the scales of its input.

    BatchNorm that the export folded into convolutions does not count.

    Parameters
    ----------
    xml, weights : bytes
        The two files of an OpenVINO IR.

    Returns
    -------
    n : int

    Raises
    ------
    BundleError
        If they are no graph.
    """
    import openvino as ov

    try:
        model = ov.Core().read_model(xml, ov.Tensor(np.frombuffer(weights, np.uint8)))
    except RuntimeError as error:
        raise BundleError(
            f"OpenVINO cannot read this graph ({_first_reason(error)}); "
            "export it again or download the bundle again"
        ) from error
    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return sum(
        int(np.prod(node.get_output_shape(0)))
        for node in constants
        if node.get_output_element_type(0).is_real()
    )


def _check_size(model: Any, name: str) -> None:
    """Refuse a graph whose outputs would take gigabytes, or have no size."""
    shapes = [output.get_partial_shape() for op in model.get_ops() for output in op.outputs()]
    if not all(shape.is_static for shape in shapes):
        raise BundleError(f"{name}: its graph has outputs without a size; export it again")
    n_values = sum(math.prod(shape.to_shape()) for shape in shapes)
    if n_values > _MAX_VALUES:
        raise BundleError(
            f"{name}: its graph computes {n_values:,} values an image, over {_MAX_VALUES:,}; use a "
            "smaller view"
        )


def _first_reason(error: RuntimeError) -> str:
    """The first line of OpenVINO's message that is not the place in its own sources."""
    lines = [line for line in str(error).splitlines() if line and "Exception from" not in line]
    return lines[0][:300] if lines else "no reason given"


def _mean_logit(logits: NDArray[np.float32]) -> float:
    return float(np.mean(logits, dtype=np.float64))
