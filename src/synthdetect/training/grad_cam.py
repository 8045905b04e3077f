"""Grad-CAM of a network from its Keras weights, as training leaves them.

A bundle has the exported graph alone, which gives no gradients; so this needs the folder of a
training and the extra `train`. `synthdetect.explain` has maps that need neither.

References
----------
Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra, "Grad-CAM: visual explanations from deep networks
via gradient-based localization", ICCV 2017.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.errors import TrainingError
from synthdetect.images.decode import decode, source_name
from synthdetect.members.backbones import BackboneMember, build
from synthdetect.optional import require


@dataclass(frozen=True, eq=False)
class GradCam:
    """Where a network's last feature maps speak for synthetic.

    Parameters
    ----------
    maps : ndarray of shape (k, rows, columns), float64
        Of each crop of the member's view; at least 0, 0 where nothing speaks for synthetic.
    logits : ndarray of shape (k,), float64
        Of each crop; their mean is the member's.
    crops : ndarray of shape (k, size, size, 3), uint8
        What the network saw.
    """

    maps: NDArray[np.float64]
    logits: NDArray[np.float64]
    crops: NDArray[np.uint8]


def grad_cam(member: BackboneMember, weights: str | os.PathLike[str], image: Any) -> GradCam:
    """Compute Grad-CAM of one image.

    Parameters
    ----------
    member : BackboneMember
        As in the recipe of the training.
    weights : path-like
        `best.weights.h5` in the member's folder of the training. Exporting folds and rounds these
        weights, so the bundle's logit differs from this one by up to 1e-4 of its size.
    image : path, bytes, binary file object, PIL image or uint8 array

    Returns
    -------
    grad_cam : GradCam

    Raises
    ------
    TrainingError
        If there are no such weights, they are of another network, or Keras does not run on
        TensorFlow.
    ImageError
        If the image cannot be used.
    MissingExtraError
        Without Keras.
    """
    keras = require("keras", extra="train")
    if keras.backend.backend() != "tensorflow":
        raise TrainingError(
            f"Grad-CAM needs Keras on TensorFlow and it runs on {keras.backend.backend()}; set "
            "KERAS_BACKEND=tensorflow"
        )
    tensorflow = require("tensorflow", extra="train")
    crops = member.view.apply(decode(image, name=source_name(image, 0)))
    model = build(member, size=member.view.size, weights=None)
    path = Path(weights)
    try:
        model.load_weights(path)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path}: no weights of member {member.name} ({str(error).splitlines()[0]}); give "
            "best.weights.h5 of its training, and the member as in the recipe"
        ) from error
    scaling = next(one for one in model.layers if isinstance(one, keras.layers.Rescaling))
    with tensorflow.GradientTape() as tape:
        features = model.get_layer("base")(scaling(crops), training=False)
        tape.watch(features)
        logits = model.get_layer("top")(features, training=False)
    gradients = np.asarray(tape.gradient(logits, features), np.float64)
    channels = gradients.mean(axis=(1, 2), keepdims=True)
    maps = np.maximum((channels * np.asarray(features, np.float64)).sum(axis=-1), 0.0)
    return GradCam(maps, np.asarray(logits, np.float64)[:, 0], crops)
