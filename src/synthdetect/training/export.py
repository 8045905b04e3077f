"""From Keras weights to an OpenVINO graph that is checked against Keras before it is used."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.errors import TrainingError
from synthdetect.members.backbones import BackboneMember, build, leaves
from synthdetect.optional import require
from synthdetect.runtime.openvino import Graph

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """A network as an OpenVINO graph.

    Parameters
    ----------
    files : dict of str to bytes
        `xml` and `bin`.
    difference : float
        ||graph - Keras|| / ||Keras|| over the logits of real images.
    n_parameters : int
        Of the network, those that do not learn included.
    """

    files: dict[str, bytes]
    difference: float
    n_parameters: int


def export_graph(member: BackboneMember, weights: Path, crops: NDArray[np.uint8]) -> Exported:
    """Export a trained network with its normalisation inside.

    Weights are stored as float16. So that this changes nothing, BatchNorm is folded into the
    convolutions and their weights are rounded to float16 in Keras first; the graph is then compared
    with that network.

    Parameters
    ----------
    member : BackboneMember
    weights : Path
        Keras weights, as `train_network` returns them.
    crops : ndarray of shape (n, k, size, size, 3), uint8
        Real images through the member's view, to compare on.

    Returns
    -------
    exported : Exported

    Raises
    ------
    TrainingError
        If the backend of Keras is not TensorFlow, or the graph differs by more than 1e-4.
    """
    keras = require("keras", extra="train")
    if keras.backend.backend() != "tensorflow":
        raise TrainingError(
            f"export needs Keras on TensorFlow and it runs on {keras.backend.backend()}; the "
            "trained weights are kept: run again with KERAS_BACKEND=tensorflow and --resume"
        )
    model = build(member, size=member.view.size, weights=None)
    model.load_weights(weights)
    fold_batchnorm(keras, model)
    files = _convert(model)
    expected = model.predict(crops.reshape(-1, *crops.shape[2:]), batch_size=32, verbose=0)
    wanted = np.asarray(expected, dtype=np.float64).reshape(crops.shape[:2]).mean(axis=1)
    shape = (crops.shape[1], crops.shape[2], crops.shape[3], crops.shape[4])
    got = Graph(files["xml"], files["bin"], crops=shape, name=member.name).logits(crops)
    difference = float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"member {member.name}: the exported graph differs from Keras by {difference:.2e} "
            f"(at most {TOLERANCE:.0e} is accepted); report this with the versions of both"
        )
    return Exported(files, difference, model.count_params())


def fold_batchnorm(keras: Any, model: Any) -> None:
    """Fold each BatchNorm into the convolution before it and round all weights to float16.

    The network computes the same function up to that rounding. A BatchNorm that follows no
    convolution becomes a scale and a shift, rounded too.

    Parameters
    ----------
    keras : module
    model : keras.Model
        Changed in place.
    """
    layers = leaves(keras, model)
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            _fold(keras, layer)
    for layer in layers:
        if not isinstance(layer, keras.layers.BatchNormalization | keras.layers.Normalization):
            layer.set_weights([_half(weight) for weight in layer.get_weights()])


def _fold(keras: Any, norm: Any) -> None:
    gamma, beta, mean, variance = (np.asarray(weight, np.float64) for weight in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    before = norm.input._keras_history.operation
    linear = getattr(before, "activation", None) in (None, keras.activations.linear)
    bias: list[Any] = []
    if linear and isinstance(before, keras.layers.Conv2D | keras.layers.SeparableConv2D):
        *first, kernel = before.get_weights()[: -1 if before.use_bias else None]
        bias = before.get_weights()[-1:] if before.use_bias else []
        kernel, scale, applied = kernel * scale, np.ones_like(gamma), scale
        before.set_weights([*first, kernel, *(np.zeros_like(b) for b in bias)])
    elif linear and isinstance(before, keras.layers.DepthwiseConv2D):
        kernel, *bias = before.get_weights()
        kernel, scale, applied = kernel * scale[:, np.newaxis], np.ones_like(gamma), scale
        before.set_weights([kernel, *(np.zeros_like(b) for b in bias)])
    else:
        applied = scale
    shift = beta + ((bias[0] if bias else 0.0) - mean) * applied
    # mean and variance are chosen so that the layer is exactly "x * gamma + beta".
    zero, one = np.zeros_like(gamma), np.ones_like(gamma)
    norm.set_weights([_half(scale), _half(shift), zero, one - norm.epsilon])


def _half(values: Any) -> NDArray[np.float32]:
    return np.asarray(values).astype(np.float16).astype(np.float32)


def _convert(model: Any) -> dict[str, bytes]:
    ov = require("openvino", extra="train")
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "saved"
        model.export(saved, format="tf_saved_model", verbose=False)
        graph = ov.convert_model(saved)
        xml = Path(folder) / "graph.xml"
        ov.save_model(graph, xml, compress_to_fp16=True)
        return {"xml": xml.read_bytes(), "bin": xml.with_suffix(".bin").read_bytes()}
