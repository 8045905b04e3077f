"""What learns in a network and how fast: frozen layers, AdamW in cosine cycles, weight averages."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from synthdetect.errors import RecipeError
from synthdetect.members.backbones import BackboneMember, leaves
from synthdetect.members.schedule import Schedule


def freeze(keras: Any, model: Any, member: BackboneMember) -> None:
    """Let only the layers of `member.schedule.unfreeze_from` learn.

    Frozen BatchNorm keeps its statistics, as Keras runs it in inference mode.

    Parameters
    ----------
    keras : module
    model : keras.Model
        Of `members.backbones.build`; changed in place, before it is compiled.
    member : BackboneMember

    Raises
    ------
    RecipeError
        If the network has no layer of that name.
    """
    start = member.schedule.unfreeze_from
    if start == "all":
        return
    base = model.get_layer("base")
    if start == "head":
        base.trainable = False
        return
    layers = leaves(keras, base)
    names = [layer.name for layer in layers]
    if start not in names:
        raise RecipeError(
            f"member {member.name}: unfreeze_from is {start!r}, no layer of {member.kind}; use "
            f"'all', 'head' or one of {', '.join(names)}"
        )
    for layer in layers[: names.index(start)]:
        layer.trainable = False


def compile_model(keras: Any, model: Any, plan: Schedule, *, n_train: int) -> None:
    """Give a model its loss and its optimizer.

    Parameters
    ----------
    keras : module
    model : keras.Model
    plan : Schedule
    n_train : int
        Images of an epoch.
    """
    steps = plan.epochs // len(plan.crops) * max(1, n_train // plan.batch_size)
    averaging = {"use_ema": True, "ema_momentum": plan.ema} if plan.ema else {}
    optimizer = _adamw(keras)(
        _cosine_cycles(keras, plan, steps), weight_decay=plan.weight_decay, **averaging
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=plan.label_smoothing),
    )


def _cosine_cycles(keras: Any, plan: Schedule, steps: int) -> Any:
    """Return the rate at each step: in each cycle a linear rise, then a cosine to zero."""
    warmup = int(plan.warmup * steps)

    class CosineCycles(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            ops = keras.ops
            done = ops.cast(ops.mod(step, steps), "float32")
            rise = 0.05 + 0.95 * done / max(1, warmup)
            fall = 0.5 + 0.5 * ops.cos(math.pi * (done - warmup) / (steps - warmup))
            return plan.learning_rate * ops.where(done < warmup, rise, fall)

    return CosineCycles()


def _adamw(keras: Any) -> Any:
    """Return an AdamW whose moving average replaces the weights when it is asked to.

    Keras puts the average in the place of the weights at the end of every `fit`, which is that of
    every epoch here: the next one would go on from the average.
    """

    class AdamW(keras.optimizers.AdamW):  # type: ignore[misc]
        def finalize_variable_values(self, var_list: Any) -> None:
            pass

        def average(self, var_list: Any) -> None:
            super().finalize_variable_values(var_list)

    return AdamW


def judged_weights(model: Any, plan: Schedule) -> list[Any]:
    """Return the weights to judge and keep: their moving average, where there is one.

    The model goes on with its own.
    """
    weights: list[Any] = model.get_weights()
    if not plan.ema:
        return weights
    model.optimizer.average(model.trainable_variables)
    averaged: list[Any] = model.get_weights()
    model.set_weights(weights)
    return averaged


@contextmanager
def fast_arithmetic(keras: Any) -> Iterator[None]:
    """Build models for mixed precision where there is a GPU, and restore the policy afterwards."""
    before = keras.config.dtype_policy()
    if _has_gpu(keras):
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _has_gpu(keras: Any) -> bool:
    try:
        return bool(keras.distribution.list_devices("gpu"))
    except (AttributeError, NotImplementedError, RuntimeError, ValueError):
        return False  # not every backend can tell
