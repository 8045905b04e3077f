"""Train the spectral member: features of images and of augmented copies, then its classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.data.dataset import Dataset, require_classes
from synthdetect.images.decode import decode, source_name
from synthdetect.images.perturb import Augmentation, augment
from synthdetect.members.spectrum import SpectralMember, features
from synthdetect.training.log import TrainingLog
from synthdetect.training.preflight import other_training

_CHUNK = 64


def train_spectral(
    member: SpectralMember,
    train: Dataset,
    *,
    augmentation: Augmentation,
    seed: int,
    fingerprint: str,
    folder: Path,
    log: TrainingLog,
) -> dict[str, NDArray[Any]]:
    """Train the member, or read what an earlier call with this fingerprint trained.

    Parameters
    ----------
    member : SpectralMember
    train : Dataset
    augmentation : Augmentation
        Of the `member.copies` augmented copies; each image is used untouched once as well.
    seed : int
    fingerprint : str
        Of everything that decides the result (`training.recipe.member_hash`).
    folder : Path
        Of this member alone; made if it is not there.
    log : TrainingLog

    Returns
    -------
    arrays : dict of str to ndarray

    Raises
    ------
    DataError
        If a class has fewer than 10 images.
    TrainingError
        If the folder holds the training of another recipe or other data.
    """
    require_classes(train, what="the training split", at_least=10)
    folder.mkdir(parents=True, exist_ok=True)
    trained = folder / f"trained-{fingerprint[:16]}.npz"
    if trained.exists():
        with np.load(trained, allow_pickle=False) as arrays:
            return dict(arrays)
    if any(folder.glob("trained-*.npz")):
        raise other_training(folder)
    rows = [(i, copy) for i in range(len(train)) for copy in range(member.copies + 1)]
    X = all_features(member, train, rows, augmentation=augmentation, seed=seed, log=log)
    y = train.y[[i for i, _ in rows]]
    log.event("features", member=member.name, images=len(train), rows=len(X), columns=X.shape[1])
    learned = member.fit_arrays(X, y, seed=seed)
    stored: dict[str, Any] = {**learned}
    temporary = folder / "writing.npz"
    np.savez(temporary, **stored)
    temporary.replace(trained)
    return learned


def all_features(
    member: SpectralMember,
    images: Dataset,
    rows: Sequence[tuple[int, int]],
    *,
    augmentation: Augmentation,
    seed: int,
    log: TrainingLog,
) -> NDArray[np.float64]:
    """Return features of images and of their augmented copies, computed on every core.

    Parameters
    ----------
    member : SpectralMember
    images : Dataset
    rows : sequence of (int, int)
        Position of an image, and the number of its copy; 0 is the untouched image.
    augmentation : Augmentation
    seed : int
    log : TrainingLog

    Returns
    -------
    X : ndarray of shape (rows, d), float64

    Raises
    ------
    ImageError
        If an image cannot be read.
    """
    from joblib import Parallel, delayed

    parts = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    jobs = (
        delayed(_features)(member, [images.images[i] for i, _ in part], part, augmentation, seed)
        for part in parts
    )
    found = []
    with log.bar(f"{member.name} features", len(parts)) as advance:
        for chunk in Parallel(n_jobs=-1, return_as="generator")(jobs):
            found.append(chunk)
            advance()
    return np.concatenate(found)


def _features(
    member: SpectralMember,
    images: Sequence[Any],
    rows: Sequence[tuple[int, int]],
    augmentation: Augmentation,
    seed: int,
) -> NDArray[np.float64]:
    """Features of images and copies; copy 0 is the untouched image."""
    found = []
    for source, (index, copy) in zip(images, rows, strict=True):
        pixels = decode(source, name=source_name(source, index))
        if copy:
            pixels = augment(pixels, augmentation, np.random.default_rng([seed, index, copy]))
        found.append(features(member.view.apply(pixels)))
    return np.stack(found)
