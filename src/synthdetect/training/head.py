"""Train the head of a network first, on features of the frozen rest that are computed once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.images.random_views import random_view
from synthdetect.members.backbones import BackboneMember
from synthdetect.training.log import TrainingLog
from synthdetect.training.sequence import PixelCache, class_weights

_RATE = 1e-3


def warm_up_head(
    keras: Any,
    model: Any,
    member: BackboneMember,
    pixels: PixelCache,
    y: NDArray[np.int64],
    *,
    size: int,
    seed: int,
    log: TrainingLog,
) -> None:
    """Train the head of `model` for `member.schedule.head_epochs` epochs.

    Each image gives the features of one random view, in memory as float16, so that an epoch takes
    seconds.

    Parameters
    ----------
    keras : module
    model : keras.Model
        Of `members.backbones.build`; its head is changed in place.
    member : BackboneMember
    pixels : PixelCache
        Of the training images.
    y : ndarray of shape (n,), int64
    size : int
        Side of the crops in pixels.
    seed : int
    log : TrainingLog
    """
    plan = member.schedule
    base = model.get_layer("base")
    below = keras.Model(model.input, base(model.layers[1](model.input)))
    features = []
    starts = range(0, len(y), plan.batch_size)
    with log.bar(f"{member.name} features", len(starts)) as advance:
        for start in starts:
            rows = range(start, min(start + plan.batch_size, len(y)))
            crops = [
                random_view(pixels[i], member.view, size, np.random.default_rng([seed, i]))
                for i in rows
            ]
            maps = below.predict_on_batch(np.stack(crops))
            features.append(np.asarray(maps, np.float16))
            advance()
    top = model.get_layer("top")
    top.compile(
        keras.optimizers.AdamW(_RATE, weight_decay=plan.weight_decay),
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=plan.label_smoothing),
    )
    history = top.fit(
        np.concatenate(features),
        y[:, np.newaxis].astype(np.float32),
        sample_weight=class_weights(y) if plan.balanced else None,
        batch_size=plan.batch_size,
        epochs=plan.head_epochs,
        verbose=0,
    ).history
    log.event("head", member=member.name, epochs=plan.head_epochs, loss=history["loss"][-1])
