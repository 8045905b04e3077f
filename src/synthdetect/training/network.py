"""Train one network: epochs with checkpoints, a resumable state and early stopping."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.data.dataset import Dataset, require_classes
from synthdetect.errors import TrainingError
from synthdetect.evaluation.ranking import auroc
from synthdetect.images.perturb import Augmentation
from synthdetect.images.views import View
from synthdetect.members.backbones import BackboneMember, build, leaves
from synthdetect.optional import require
from synthdetect.training.head import warm_up_head
from synthdetect.training.log import TrainingLog
from synthdetect.training.optimise import compile_model, fast_arithmetic, freeze, judged_weights
from synthdetect.training.preflight import other_training
from synthdetect.training.sequence import PixelCache, Teacher, epoch_batches


@dataclass(frozen=True)
class Progress:
    """How far a network's training is; stored as `state.json` beside its checkpoints."""

    fingerprint: str
    epoch: int = 0
    best_epoch: int = 0
    best_auroc: float = 0.0
    done: bool = False


def train_network(
    member: BackboneMember,
    train: Dataset,
    val: Dataset,
    *,
    augmentation: Augmentation,
    teacher: Teacher | None = None,
    seed: int,
    fingerprint: str,
    folder: Path,
    log: TrainingLog,
) -> Path:
    """Train a network, or go on where an earlier call stopped.

    Each epoch ends with a checkpoint of weights and optimizer and then a new `state.json`, so a
    process that is killed loses at most the epoch it was in.

    Parameters
    ----------
    member : BackboneMember
    train, val : Dataset
        `val` chooses the epoch whose weights are kept, by AUROC.
    augmentation : Augmentation
    teacher : callable, optional
        From crops (n, 1, size, size, 3), uint8, to logits (n,), where `member.teacher` names one.
    seed : int
    fingerprint : str
        Of everything that decides the result (`training.recipe.member_hash`).
    folder : Path
        Of this member alone; made if it is not there.
    log : TrainingLog

    Returns
    -------
    weights : Path
        Keras weights of the best epoch.

    Raises
    ------
    DataError
        If a class has fewer training images than a batch has places for it.
    TrainingError
        If the folder holds the training of another recipe or other data, or the network diverges.
    """
    plan = member.schedule
    require_classes(train, what="the training split", at_least=plan.batch_size // 2)
    require_classes(val, what="the validation split", at_least=2)
    folder.mkdir(parents=True, exist_ok=True)
    state = _read_state(folder, fingerprint)
    best = folder / "best.weights.h5"
    if state.done:
        return best
    keras = require("keras", extra="train")
    keras.utils.set_random_seed(seed)
    pixels = PixelCache(train)
    val_crops = _views(val, member.view)
    judge = build(member, size=member.view.size, weights=None)
    model: Any = None
    size = 0
    while not state.done:
        epoch = state.epoch + 1
        if size != plan.crop(epoch):
            size = plan.crop(epoch)
            model = _open(keras, member, size, folder, state.epoch, n_train=len(train))
            if epoch == 1 and plan.head_epochs:
                warm_up_head(keras, model, member, pixels, train.y, size=size, seed=seed, log=log)
        batches = epoch_batches(
            pixels.__getitem__,
            train.y,
            view=member.view,
            plan=plan,
            augmentation=augmentation,
            teacher=teacher,
            seed=seed,
            epoch=epoch,
        )
        _reseed_dropout(keras, model, seed, epoch)
        loss = _one_epoch(keras, model, batches, log, f"{member.name} epoch {epoch}")
        judge.set_weights(judged_weights(model, plan))
        logits = judge.predict(val_crops, batch_size=plan.batch_size, verbose=0)
        means = np.asarray(logits, dtype=np.float64).reshape(len(val), -1).mean(axis=1)
        if not (np.isfinite(loss) and np.isfinite(means).all()):
            raise TrainingError(
                f"member {member.name} diverged in epoch {epoch} (its loss is {loss}, and logits "
                f"are no numbers); use a lower learning_rate than {plan.learning_rate:g}"
            )
        val_auroc = auroc(val.y, means).value
        log.event("epoch", member=member.name, epoch=epoch, loss=loss, val_auroc=val_auroc)
        state = _checkpoint(model, judge, folder, state, member, epoch, val_auroc)
    return best


def _open(
    keras: Any, member: BackboneMember, size: int, folder: Path, epoch: int, *, n_train: int
) -> Any:
    """Build the network for crops of `size`, at its start or as an epoch left it.

    Padding depends on the size in some networks, so one network that takes any size would not be
    the one that is exported.
    """
    with fast_arithmetic(keras):
        model = build(member, size=size, weights=None if epoch else member.weights)
    freeze(keras, model, member)
    compile_model(keras, model, member.schedule, n_train=n_train)
    if epoch:
        model.optimizer.build(model.trainable_variables)
        model.load_weights(folder / f"epoch-{epoch:03d}.weights.h5")
    return model


def _one_epoch(keras: Any, model: Any, batches: Any, log: TrainingLog, what: str) -> float:
    with log.bar(what, len(batches)) as advance:
        tick = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs=None: advance())
        fitted = model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[tick])
    return float(fitted.history["loss"][-1])


def _reseed_dropout(keras: Any, model: Any, seed: int, epoch: int) -> None:
    """Make an epoch's dropout depend on the epoch alone: generators are in no checkpoint."""
    for index, layer in enumerate(leaves(keras, model)):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(
                np.array([(seed * 1009 + epoch * 31 + index) % 2**31, 0], generator.state.dtype)
            )


def _views(dataset: Dataset, view: View) -> NDArray[np.uint8]:
    pixels = PixelCache(dataset, max_bytes=0)
    return np.concatenate([view.apply(pixels[i]) for i in range(len(dataset))])


def _checkpoint(
    model: Any,
    judge: Any,
    folder: Path,
    state: Progress,
    member: BackboneMember,
    epoch: int,
    score: float,
) -> Progress:
    """Save the epoch, and only then the state that names it."""
    _save_weights(model, folder / f"epoch-{epoch:03d}.weights.h5")
    better = score > state.best_auroc
    if better:
        _save_weights(judge, folder / "best.weights.h5")
    best_epoch = epoch if better else state.best_epoch
    after = Progress(
        fingerprint=state.fingerprint,
        epoch=epoch,
        best_epoch=best_epoch,
        best_auroc=max(score, state.best_auroc),
        done=epoch >= member.schedule.epochs or epoch - best_epoch >= member.schedule.patience,
    )
    temporary = folder / "state.json.tmp"
    temporary.write_text(json.dumps(vars(after)), encoding="utf-8")
    temporary.replace(folder / "state.json")
    for old in folder.glob("epoch-*.weights.h5"):
        if after.done or old.name != f"epoch-{epoch:03d}.weights.h5":
            old.unlink()
    return after


def _save_weights(model: Any, path: Path) -> None:
    """Write beside and rename, so that a file under its final name is whole."""
    temporary = path.with_name(f"writing-{path.name}")
    model.save_weights(temporary, overwrite=True)
    temporary.replace(path)


def _read_state(folder: Path, fingerprint: str) -> Progress:
    path = folder / "state.json"
    if not path.exists():
        return Progress(fingerprint)
    try:
        state = Progress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(
            f"{path}: not readable ({error}); delete {folder} to start again"
        ) from error
    if state.fingerprint != fingerprint:
        raise other_training(folder)
    return state
