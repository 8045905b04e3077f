"""Graphs: an image's logit is its own, whatever comes with it."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from synthdetect.errors import BundleError
from synthdetect.runtime.openvino import Graph, n_weights

K, SIDE = 3, 32


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small real network as OpenVINO IR: convolution, ReLU, mean, one logit."""
    rng = np.random.default_rng(0)
    crops = ops.parameter([-1, SIDE, SIDE, 3], np.uint8, name="crops")
    x = ops.transpose(ops.convert(crops, np.float32), np.array([0, 3, 1, 2]))
    x = ops.multiply(x, np.float32(1 / 255))
    kernel = rng.normal(size=(16, 3, 3, 3)).astype(np.float32)
    x = ops.relu(ops.convolution(x, kernel, [2, 2], [1, 1], [1, 1], [1, 1]))
    x = ops.reduce_mean(x, np.array([2, 3]))
    logit = ops.matmul(x, rng.normal(size=(16, 1)).astype(np.float32), False, False)
    path = tmp_path_factory.mktemp("graph") / "graph.xml"
    ov.save_model(ov.Model([logit], [crops], "tiny"), path, compress_to_fp16=False)
    return path.read_bytes(), path.with_suffix(".bin").read_bytes()


@pytest.fixture(scope="module")
def images():
    shape = (9, K, SIDE, SIDE, 3)
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def graph(files):
    return Graph(*files, crops=(K, SIDE, SIDE, 3))


def test_logit_is_the_mean_over_the_crops_of_an_image(files, images):
    one_crop = Graph(*files, crops=(1, SIDE, SIDE, 3))
    each = one_crop.logits(images.reshape(-1, 1, SIDE, SIDE, 3)).reshape(-1, K)
    whole = Graph(*files, crops=(K, SIDE, SIDE, 3)).logits(images)
    np.testing.assert_allclose(whole, each.mean(axis=1), rtol=1e-5, atol=1e-7)
    assert whole.dtype == np.float64


def test_logit_is_bit_equal_in_any_batch_and_order(graph, images):
    together = graph.logits(images)
    np.testing.assert_array_equal(together[::-1], graph.logits(images[::-1]))
    np.testing.assert_array_equal(together[2:5], graph.logits(images[2:5]))
    np.testing.assert_array_equal(together, [graph.logits(image[None])[0] for image in images])


def test_no_images_give_no_logits(graph, images):
    assert graph.logits(images[:0]).shape == (0,)


def test_threads_share_a_graph(graph, images):
    expected = graph.logits(images)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: graph.logits(images), range(32)))
    for got in results:
        np.testing.assert_array_equal(got, expected)


def test_pickle_carries_the_files_and_gives_equal_logits(graph, images):
    again = pickle.loads(pickle.dumps(graph))  # noqa: S301 - our own object
    np.testing.assert_array_equal(again.logits(images), graph.logits(images))


def test_bfloat16_is_close_but_no_substitute_for_float32(files, graph, images):
    rough = Graph(*files, crops=(K, SIDE, SIDE, 3), precision="bf16").logits(images)
    np.testing.assert_allclose(rough, graph.logits(images), rtol=0.05, atol=0.05)


def test_unknown_precision_is_refused(files):
    with pytest.raises(ValueError, match="precision is 'f64'; use one of f32, bf16"):
        Graph(*files, crops=(K, SIDE, SIDE, 3), precision="f64")


@pytest.mark.parametrize("damage", ["xml", "weights", "shape"])
def test_what_is_no_graph_of_that_shape_is_refused_by_name(files, images, damage):
    xml, weights = files
    crops = (K, SIDE, SIDE, 3)
    if damage == "xml":
        xml = xml[: len(xml) // 2]
    elif damage == "weights":
        weights = weights[:8]
    else:
        crops = (K, SIDE, SIDE, 4)
    with pytest.raises(BundleError, match="member net: OpenVINO cannot use this graph"):
        Graph(xml, weights, crops=crops, name="member net").logits(images)


def test_weights_are_counted_and_shapes_are_not(files):
    # The kernel, the last layer and the scale; integers are axes and orders.
    assert n_weights(*files) == 16 * 3 * 3 * 3 + 16 + 1
    with pytest.raises(BundleError, match="OpenVINO cannot read this graph"):
        n_weights(files[0][:50], files[1])
