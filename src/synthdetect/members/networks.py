"""The networks below the head: those of Keras, the study's own, and one for residuals.

Each function takes the module `keras`, the side of the input and the file of initial weights (or
None), and returns a model from float32 (n, size, size, 3) to feature maps.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

Network = Callable[[Any, int, str | None], Any]

# Residuals of photographs are about this much smaller than the photographs.
_RESIDUAL_GAIN = 4.0


def of_keras(name: str) -> Network:
    """Return the network that `keras.applications` has under `name`, without its top."""
    return partial(_application, name)


def _application(name: str, keras: Any, size: int, weights: str | None) -> Any:
    constructor = getattr(keras.applications, name)
    # Constructors add layers for weights="imagenet" only: one graph, and weights put into it.
    model = constructor(include_top=False, weights=None, input_shape=(size, size, 3))
    if weights == "imagenet":
        downloaded = constructor(include_top=False, weights=weights, input_shape=(size, size, 3))
        model.set_weights(downloaded.get_weights())
        _square_variance(keras, model)
    elif weights is not None:
        model.load_weights(weights)
    if name == "ResNet50" and weights is not None:
        _take_rgb(model.get_layer("conv1_conv"))
    return model


def _take_rgb(first: Any) -> None:
    """Turn the kernels round: ResNet50's weights are for blue, green, red."""
    kernel, bias = first.get_weights()
    first.set_weights([kernel[:, :, ::-1], bias])


def _square_variance(keras: Any, model: Any) -> None:
    """Divide by the deviation as EfficientNet's weights expect.

    Its stored "variance" is the deviation, which Keras corrects by one more layer where it loads
    these weights itself: https://github.com/keras-team/keras-applications/issues/180.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            mean, deviation, *count = layer.get_weights()
            layer.set_weights([mean, deviation**2, *count])
            layer.finalize_state()


def sequential(keras: Any, size: int, weights: str | None) -> Any:
    """Return the convolutional part of the study's own network."""
    layers = keras.layers
    model = keras.Sequential(name="sequential_cnn")
    model.add(keras.Input((size, size, 3)))
    blocks = ((64, 2, 0.0), (128, 2, 0.25), (256, 1, 0.25))
    for block, (n_filters, n_convolutions, dropout) in enumerate(blocks, start=1):
        for i in range(1, n_convolutions + 1):
            name = f"block_{block}_conv_{i}"
            model.add(layers.Conv2D(n_filters, 3, activation="relu", name=name))
        model.add(layers.MaxPooling2D())
        model.add(layers.BatchNormalization(name=f"block_{block}_norm"))
        if dropout:
            model.add(layers.Dropout(dropout))
    if weights is not None:
        model.load_weights(weights)
    return model


def residual(keras: Any, size: int, weights: str | None) -> Any:
    """Return a residual network at full resolution that sees colours and high-pass residuals.

    Inverted residual blocks of MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) up to its
    fifteenth, without the down-sampling of its first layer, which costs a detector most
    (Gragnaniello et al. 2021, arXiv:2104.02617). Beside the colours, the first layer gets what a
    pixel differs from the mean of its neighbours (the idea of SRM filters and of NPR,
    arXiv:2312.10461). `weights` are those of a MobileNetV2 without its top; the kernel for the
    residuals starts as the one for colours.
    """
    layers = keras.layers
    base = of_keras("MobileNetV2")(keras, 2 * size, weights)
    # Blocks pad by the parity of their input: at twice the side, those after the first layer see
    # what they would see here.
    blocks = keras.Model(base.get_layer("Conv1_relu").output, base.get_layer("block_15_add").output)
    inputs = keras.Input((size, size, 3))
    high_pass = layers.DepthwiseConv2D(
        3, padding="same", use_bias=False, trainable=False, name="high_pass"
    )
    both = layers.Concatenate()([inputs, high_pass(inputs)])
    stem = layers.Conv2D(32, 3, padding="same", use_bias=False, name="stem")
    norm = layers.BatchNormalization(epsilon=1e-3, name="stem_norm")
    features = blocks(layers.ReLU(6.0, name="stem_relu")(norm(stem(both))))
    kernel = np.full((3, 3, 3, 1), -_RESIDUAL_GAIN / 8, np.float32)
    kernel[1, 1] = _RESIDUAL_GAIN
    high_pass.set_weights([kernel])
    colours = base.get_layer("Conv1").get_weights()[0]
    stem.set_weights([np.concatenate([colours, colours], axis=2)])
    norm.set_weights(base.get_layer("bn_Conv1").get_weights())
    return keras.Model(inputs, features, name="residual")
