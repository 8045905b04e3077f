"""Train an ensemble by a recipe: members, then combiner, calibrator and threshold, then figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthdetect.data.confounds import dataset_confounds
from synthdetect.data.dataset import Dataset
from synthdetect.ensemble.cascade import Cascade
from synthdetect.ensemble.learn import Decision
from synthdetect.errors import DataError, TrainingError
from synthdetect.evaluation.placement import score_quantiles
from synthdetect.evaluation.report import measure
from synthdetect.images.decode import decode, source_name
from synthdetect.members.base import TrainedMember
from synthdetect.members.real_spectrum import measure_real_spectrum
from synthdetect.training.decide import Learners, Lesson, all_logits, lesson
from synthdetect.training.log import TrainingLog
from synthdetect.training.member import train_members
from synthdetect.training.preflight import require_readable, train_and_val
from synthdetect.training.recipe import Recipe, only_members, recipe_to_dict

# Enough for an interval of 0.04 either way, and read and learned in about two seconds.
_N_CONFOUND_CHECKS = 2000
# Their 5 % quantile then lies between the 3.7 % and the 6.4 % of all; two milliseconds an image.
_N_SPECTRA = 1000


@dataclass(frozen=True)
class TrainedEnsemble:
    """All that training gives.

    Parameters
    ----------
    name : str
    members : tuple of TrainedMember
    decision : Decision
    figures, recipe, training_data : dict
        JSON-ready: how it measured, how it was trained, on what.
    cascade : Cascade or None
        Where the recipe has one.
    """

    name: str
    members: tuple[TrainedMember, ...]
    decision: Decision
    figures: dict[str, Any]
    recipe: dict[str, Any]
    training_data: dict[str, Any]
    cascade: Cascade | None = None


def train_ensemble(
    dataset: Dataset,
    recipe: Recipe,
    *,
    out: Path,
    resume: bool = False,
    learners: Learners | None = None,
    log: TrainingLog | None = None,
    jobs: int = 1,
) -> TrainedEnsemble:
    """Train all members of a recipe and what joins them.

    Members learn on the split `train`; `val` chooses their epochs and teaches combiner, calibrator
    and threshold, cross-fitted; `test`, where there is one, is only measured. Data without splits
    is split by class and group.

    Parameters
    ----------
    dataset : Dataset
    recipe : Recipe
    out : Path
        Holds checkpoints and `log.jsonl`, a folder for each member.
    resume : bool, default=False
        Go on in a folder that has something in it; members that are trained are not trained again.
    learners : Learners, optional
    log : TrainingLog, optional
        By default the log of `out`, on standard error.
    jobs : int, default=1
        Members that are trained at once, each in a process of its own; pupils wait for teachers.

    Returns
    -------
    ensemble : TrainedEnsemble

    Raises
    ------
    DataError
        If a split lacks a class, or the recipe's pairs name a source that will not be measured.
    TrainingError
        If a network diverges, or `out` is not empty and `resume` is False, or holds another
        recipe's training.
    ImageError
        If an image cannot be read.
    """
    train, val, log = _started(dataset, recipe, out, resume, log)
    members = train_members(train, val, recipe, out=out, log=log, jobs=jobs)
    learners = (learners or Learners()).or_those_of(recipe.decision)
    taught = lesson(val, members, recipe.decision, seed=recipe.seed, log=log)
    decision = taught.decision(learners, seed=recipe.seed)
    figures = _figures(dataset, val, taught, members, decision, learners, recipe, log)
    log.event("done", figures_on=figures["split"], auroc=figures["ensemble"]["auroc"]["value"])
    return TrainedEnsemble(
        name=recipe.name,
        members=members,
        decision=decision,
        figures=figures,
        recipe=recipe_to_dict(recipe),
        cascade=_cascade(taught, decision, recipe),
        training_data={
            "manifest_sha256": dataset.sha256,
            "counts": dataset.counts(),
            "calibration_scores": score_quantiles(
                taught.untouched,
                val.y,
                decision.combiner,
                [member.name for member in members],
                on="the validation images, which chose epochs, combiner and threshold",
            ),
            "real_spectrum": _real_spectrum(train, recipe.seed),
        },
    )


def train_some(
    dataset: Dataset,
    recipe: Recipe,
    names: Sequence[str],
    *,
    out: Path,
    resume: bool = False,
    log: TrainingLog | None = None,
    jobs: int = 1,
) -> tuple[str, ...]:
    """Train some members of a recipe, and the teachers that they need, but no ensemble.

    What `train_ensemble` finds in `out` afterwards it does not train again. So members can be
    trained at different times, or at once by several processes.

    Parameters
    ----------
    dataset, recipe, out, resume, log, jobs
        As for `train_ensemble`.
    names : sequence of str
        Of members of the recipe.

    Returns
    -------
    others : tuple of str
        Members of the recipe that this call did not train.

    Raises
    ------
    RecipeError
        If the recipe has no member of a name.
    DataError, TrainingError, ImageError
        As `train_ensemble`.
    """
    part = only_members(recipe, names)
    train, val, log = _started(dataset, part, out, resume, log)
    trained = train_members(train, val, part, out=out, log=log, jobs=jobs)
    done = {member.name for member in trained}
    return tuple(member.name for member in recipe.members if member.name not in done)


def _started(
    dataset: Dataset, recipe: Recipe, out: Path, resume: bool, log: TrainingLog | None
) -> tuple[Dataset, Dataset, TrainingLog]:
    """Check folder and images, tell what begins, and return train, val and the log."""
    if out.exists() and not out.is_dir():
        raise TrainingError(f"{out} is a file; use another name for the folder of the training")
    if out.exists() and any(out.iterdir()) and not resume:
        raise TrainingError(f"{out} is not empty; use --resume to go on there, or another folder")
    out.mkdir(parents=True, exist_ok=True)
    log = log or TrainingLog(out)
    train, val = train_and_val(dataset, recipe, log)
    log.event("start", train=len(train), val=len(val), members=[m.name for m in recipe.members])
    require_readable(dataset, out, log)
    _tell_confounds(train, recipe.seed, log)
    return train, val, log


def _real_spectrum(train: Dataset, seed: int) -> dict[str, Any]:
    """Measure the radial spectrum of some real training images, for explanations."""
    rows = np.flatnonzero(train.y == 0)
    if len(rows) > _N_SPECTRA:
        chosen = np.random.default_rng(seed).choice(rows, _N_SPECTRA, replace=False)
        rows = np.sort(chosen)
    pixels = (decode(train.images[i], name=source_name(train.images[i], i)) for i in rows.tolist())
    return measure_real_spectrum(pixels, on="real training images").to_dict()


def _tell_confounds(train: Dataset, seed: int, log: TrainingLog) -> None:
    """Log how well facts of the files alone tell the classes apart, and warn if they do."""
    try:
        found = dataset_confounds(train, seed=seed, max_images=_N_CONFOUND_CHECKS)
    except DataError as error:
        log.event("confounds", verdict=f"not checked: {error}")
        return
    together = found.together
    log.event(
        "confounds",
        auroc=together.value,
        low=together.low,
        high=together.high,
        n=found.n_real + found.n_synthetic,
        verdict=found.verdict,
    )
    if found.alarming:
        log.event("warning", text=found.verdict)


def _cascade(taught: Lesson, decision: Decision, recipe: Recipe) -> Cascade | None:
    if not recipe.cascade:
        return None
    names = [member.name for member in recipe.members]
    order = [names.index(name) for name in recipe.cascade]
    return taught.cascade(decision, order, seed=recipe.seed)


def _figures(
    dataset: Dataset,
    val: Dataset,
    taught: Lesson,
    members: Sequence[TrainedMember],
    decision: Decision,
    learners: Learners,
    recipe: Recipe,
    log: TrainingLog,
) -> dict[str, Any]:
    """Measure on `test`, or, where there is none, on `val` with cross-fitted probabilities."""
    columns = {"ensemble": [*range(len(members))]}
    columns |= {member.name: [i] for i, member in enumerate(members)}
    has_test = bool(np.any(dataset.split == "test"))
    data = dataset.part("test") if has_test else val
    logits = all_logits(data.images, members, log=log) if has_test else taught.untouched
    p, thresholds = {}, {}
    for name, column in columns.items():
        alone = decision
        if name != "ensemble":
            alone = taught.decision(learners, seed=recipe.seed, columns=column)
        if has_test:
            p[name] = alone.probability(logits[:, column])
        else:
            p[name] = taught.out_of_fold(learners, seed=recipe.seed, columns=column)
        thresholds[name] = alone.threshold.value
    split = "test" if has_test else "val (it chose the epochs and the threshold: optimistic)"
    return measure(data.y, p, thresholds, split=split, source=data.source, pairs=recipe.pairs)
