"""Train the members of a recipe: each once, teachers before pupils, several at a time if asked."""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.data.dataset import Dataset
from synthdetect.data.identity import images_sha256
from synthdetect.images.decode import decode, source_name
from synthdetect.images.views import Pixels, Resize
from synthdetect.members.backbones import BackboneMember
from synthdetect.members.base import TrainedMember
from synthdetect.members.registry import AnyMember
from synthdetect.runtime.openvino import Graph
from synthdetect.training.export import export_graph
from synthdetect.training.log import TrainingLog
from synthdetect.training.network import train_network
from synthdetect.training.recipe import (
    Recipe,
    augmentation_of,
    member_hash,
    member_options,
    teacher_of,
)
from synthdetect.training.sequence import Teacher
from synthdetect.training.spectral import train_spectral

_N_EXPORT_CHECKS = 24


def train_members(
    train: Dataset,
    val: Dataset,
    recipe: Recipe,
    *,
    out: Path,
    log: TrainingLog,
    jobs: int = 1,
) -> tuple[TrainedMember, ...]:
    """Train the members that have no teacher, then their pupils, and so on.

    A member that was trained in `out` by the same recipe on the same data is read, not repeated.

    Parameters
    ----------
    train, val : Dataset
    recipe : Recipe
    out : Path
        Has a folder for each member.
    log : TrainingLog
    jobs : int, default=1
        Members that are trained at once, each in a process of its own.

    Returns
    -------
    members : tuple of TrainedMember
        In the order of the recipe.

    Raises
    ------
    DataError, TrainingError, ImageError
        As `training.fit.train_ensemble`.
    """
    from joblib import Parallel, delayed

    data_sha256 = images_sha256(train, val)
    done: dict[str, TrainedMember] = {}
    while waiting := [m for m in recipe.members if m.name not in done]:
        ready = [m for m in waiting if (t := teacher_of(m, recipe)) is None or t.name in done]
        # One by one in this process, where progress can be seen.
        run = Parallel(n_jobs=jobs if len(ready) > 1 else 1)
        trained = run(
            delayed(_train_member)(
                m,
                train,
                val,
                recipe,
                out / m.name,
                log,
                done.get(getattr(m, "teacher", "")),
                data_sha256,
            )
            for m in ready
        )
        done |= {member.name: member for member in trained}
    return tuple(done[m.name] for m in recipe.members)


def _train_member(
    member: AnyMember,
    train: Dataset,
    val: Dataset,
    recipe: Recipe,
    folder: Path,
    log: TrainingLog,
    teacher: TrainedMember | None,
    data_sha256: str,
) -> TrainedMember:
    options: dict[str, Any] = {
        "augmentation": augmentation_of(member, recipe),
        "seed": recipe.seed,
        "fingerprint": member_hash(member, recipe, data_sha256),
        "folder": folder,
        "log": log,
    }
    details: dict[str, Any] = {"options": member_options(member), "n_train": len(train)}
    if not isinstance(member, BackboneMember):
        arrays = train_spectral(member, train, **options)
        details["n_parameters"] = int(sum(array.size for array in arrays.values()))
        return TrainedMember(member.name, member.kind, member.view, arrays=arrays, details=details)
    weights = train_network(member, train, val, teacher=_as_teacher(teacher), **options)
    chosen = np.linspace(0, len(val) - 1, min(len(val), _N_EXPORT_CHECKS)).astype(int)
    crops = np.stack(
        [
            member.view.apply(decode(val.images[i], name=source_name(val.images[i], i)))
            for i in chosen
        ]
    )
    exported = export_graph(member, weights, crops)
    log.event(
        "export",
        member=member.name,
        difference=exported.difference,
        bytes=len(exported.files["bin"]),
    )
    details |= {
        "n_parameters": exported.n_parameters,
        "export_difference": exported.difference,
        "export_checked_on": len(chosen),
    }
    if member.weights not in (None, "imagenet"):
        details["initial_weights_sha256"] = sha256(Path(member.weights).read_bytes()).hexdigest()
    return TrainedMember(
        member.name, member.kind, member.view, graph=exported.files, details=details
    )


def _as_teacher(trained: TrainedMember | None) -> Teacher | None:
    """Let a trained network score crops of any size, as its pupils see them.

    One that looks at whole pictures takes a crop for one, and scales it to the size that it knows.
    """
    if trained is None:
        return None
    view = trained.view

    @lru_cache
    def graph(size: int) -> Graph:
        xml, weights = trained.graph["xml"], trained.graph["bin"]
        return Graph(xml, weights, crops=(1, size, size, 3), name=f"teacher {trained.name}")

    def logits(crops: Pixels) -> NDArray[np.float64]:
        if isinstance(view, Resize):
            scaled = Resize(view.size)
            crops = np.stack([scaled.apply(crop) for crop in crops[:, 0]])
        return graph(crops.shape[2]).logits(crops)

    return logits
