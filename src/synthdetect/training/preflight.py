"""What is found out before the first epoch, and not when hours of training are over."""

from pathlib import Path

import numpy as np

from synthdetect.data.dataset import (
    Dataset,
    group_names,
    hold_out,
    require_classes,
    require_sources,
)
from synthdetect.data.identity import images_sha256
from synthdetect.errors import ImageError, TrainingError
from synthdetect.evaluation.files import write_whole
from synthdetect.images.batches import prepared
from synthdetect.training.log import TrainingLog
from synthdetect.training.recipe import Recipe

_VAL_FRACTION = 0.2
# What joins members is cross-fitted in as many folds.
_MIN_HELD_OUT = 5
_READABLE = "readable.txt"
_N_NAMED = 5


def train_and_val(dataset: Dataset, recipe: Recipe, log: TrainingLog) -> tuple[Dataset, Dataset]:
    """Return the images that members learn from and those that judge them.

    Parameters
    ----------
    dataset : Dataset
        Without a split `val`, a fifth of the images is held out, by class and group.
    recipe : Recipe
    log : TrainingLog
        Warned of images that have no split where others have.

    Returns
    -------
    train, val : Dataset

    Raises
    ------
    DataError
        If a class has too few images, or a source of the recipe's pairs has none that will be
        measured.
    """
    require_classes(dataset, what="the data", at_least=1)
    given = set(dataset.split.tolist())
    pool = dataset.part("train") if "train" in given else dataset.take(dataset.split == "")
    n_left = int(np.sum(dataset.split == "")) if "train" in given else 0
    if n_left:
        log.event(
            "warning",
            text=f"{n_left} images have no split where others have: they are not used; name a "
            "split for each",
        )
    if "val" in given:
        val = dataset.part("val")
        require_classes(val, what="the validation split", at_least=10)
    else:
        parts = hold_out(pool, fraction=_VAL_FRACTION, seed=recipe.seed)
        pool, val = parts.part("train"), parts.part("val")
        _, first = np.unique(group_names(val), return_index=True)
        what = "the validation part (a group counts once)"
        require_classes(val.take(first), what=what, at_least=_MIN_HELD_OUT)
    measured = dataset.part("test") if "test" in given else val
    require_sources(measured, [name for pair in recipe.pairs for name in pair], what="pairs")
    return pool, val


def require_readable(dataset: Dataset, out: Path, log: TrainingLog) -> None:
    """Decode every image once, unless an earlier call has done so in this folder.

    Parameters
    ----------
    dataset : Dataset
    out : Path
        Of the training; keeps a note of what was readable.
    log : TrainingLog

    Raises
    ------
    ImageError
        Of the first image that cannot be read; it names others.
    """
    note, identity = out / _READABLE, images_sha256(dataset)
    if note.exists() and note.read_text(encoding="utf-8").strip() == identity:
        return
    errors = []
    with log.bar("reading images", len(dataset)) as advance:
        for image in prepared(dataset.images, lambda pixels: None):
            if image.error is not None:
                errors.append(image.error)
            advance()
    if errors:
        raise _all_of(errors)
    write_whole(note, f"{identity}\n")


def other_training(folder: Path) -> TrainingError:
    """Return the error of a member's folder that has been used for something else."""
    return TrainingError(
        f"{folder} holds the training of another recipe or other data; "
        "choose another --out, or delete it"
    )


def _all_of(errors: list[ImageError]) -> ImageError:
    first, others = errors[0], errors[1:]
    if not others:
        return first
    names = ", ".join(error.source for error in others[:_N_NAMED])
    more = ", ..." if len(others) > _N_NAMED else ""
    reason = f"{first.reason}; nor can {len(others)} more images be read: {names}{more}"
    return ImageError(first.source, reason)
