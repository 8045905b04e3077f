"""Leave one source out: train without it, measure on it, so that generalisation is a figure."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.data.dataset import SPLITS, Dataset, group_names, require_classes
from synthdetect.data.identity import images_sha256
from synthdetect.data.splits import split
from synthdetect.ensemble.learn import learn_decision
from synthdetect.errors import DataError, TrainingError
from synthdetect.evaluation.files import write_whole
from synthdetect.evaluation.interval import rate_of
from synthdetect.evaluation.left_out import LeaveOneOut, LeftOut, LeftOutFigures
from synthdetect.evaluation.ranking import auroc
from synthdetect.images.views import view_to_dict
from synthdetect.members.spectrum import SpectralMember, SpectralScorer
from synthdetect.training.decide import Learners, all_logits
from synthdetect.training.log import TrainingLog
from synthdetect.training.member import train_members
from synthdetect.training.preflight import require_readable
from synthdetect.training.recipe import Recipe, augmentation_of, recipe_to_dict
from synthdetect.training.spectral import all_features

Floats = NDArray[np.float64]

_RESULT = "left-out.json"
# Of train, val and test, where the data has no splits.
_SHARES = (0.6, 0.2, 0.2)


def leave_one_out(
    dataset: Dataset,
    recipe: Recipe,
    *,
    out: Path,
    by: str = "source",
    only: Sequence[str] = (),
    log: TrainingLog | None = None,
    jobs: int = 1,
) -> LeaveOneOut:
    """Train without each source in turn and measure on it.

    In each fold members learn on `train`, and their thresholds on `val`, both without the source.
    Then all images of the source are measured, together with the `test` images of the class that it
    lacks, which no fold learns from. Groups with an image of the source leave with it. Features
    of spectral members do not depend on the fold and are computed once.

    Parameters
    ----------
    dataset : Dataset
        With images in all three splits, or with none in any: then it is split by class and group.
    recipe : Recipe
    out : Path
        Has a folder for each fold. Folds that are finished there are read, not repeated; one that
        was stopped goes on where it was.
    by : str, default="source"
        The column whose values are left out, `source` or one of the dataset's facets.
    only : sequence of str, optional
        Values to leave out; by default each that is not empty.
    log : TrainingLog, optional
        By default the log of `out`, on standard error.
    jobs : int, default=1
        Networks of a fold that are trained at once.

    Returns
    -------
    table : LeaveOneOut

    Raises
    ------
    DataError
        If a column, a value or a split is not there, or without a value a class is too rare.
    TrainingError
        If `out` has folds of another recipe, other data or another column.
    ImageError
        If an image cannot be read.
    """
    data = _with_splits(dataset, recipe.seed)
    column = _column(data, by)
    values = _values(column, by, only)
    # Before the first fold, which may take hours.
    folds = [_fold(data, column, by, value) for value in values]
    out.mkdir(parents=True, exist_ok=True)
    log = log or TrainingLog(out)
    require_readable(data, out, log)
    training = _Training(data, recipe, out, log, jobs)
    return LeaveOneOut(by, tuple(_measured(training, fold) for fold in folds))


@dataclass(frozen=True)
class _Fold:
    """Rows of the data that learn, teach the threshold, and are measured."""

    by: str
    value: str
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    left_out: NDArray[np.int64]
    against: NDArray[np.int64]

    @property
    def folder(self) -> str:
        """A name for files that no value can break out of, or share with another."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", self.value).strip("-")[:40]
        return f"{words}-{_sha256_of_text(self.value)[:8]}"


@dataclass(frozen=True)
class _Training:
    """What the folds have in common."""

    data: Dataset
    recipe: Recipe
    out: Path
    log: TrainingLog
    jobs: int

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of images, labels, and splits, which may have been dealt here."""
        told = "\0".join([images_sha256(self.data), *self.data.split, *self.data.source])
        return _sha256_of_text(told)

    def logits(self, fold: _Fold, rows: NDArray[np.int64]) -> Floats:
        """Train the fold's members, or read them, and score images; columns as the recipe."""
        folder = self.out / fold.folder
        spectral = {m.name: m for m in self.recipe.members if isinstance(m, SpectralMember)}
        networks = tuple(m for m in self.recipe.members if m.name not in spectral)
        found = {name: self._spectral(member, fold, rows) for name, member in spectral.items()}
        if networks:
            trained = train_members(
                self.data.take(fold.train),
                self.data.take(fold.val),
                replace(self.recipe, members=networks),
                out=folder,
                log=self.log,
                jobs=self.jobs,
            )
            scored = all_logits(self.data.take(rows).images, trained, log=self.log)
            found |= {member.name: scored[:, i] for i, member in enumerate(networks)}
        return np.column_stack([found[member.name] for member in self.recipe.members])

    def _spectral(self, member: SpectralMember, fold: _Fold, rows: NDArray[np.int64]) -> Floats:
        X, image, copy = self._features(member)
        learns = np.isin(image, fold.train)
        arrays = member.fit_arrays(X[learns], self.data.y[image[learns]], seed=self.recipe.seed)
        # Untouched images stand in the order of the data.
        return SpectralScorer.from_arrays(arrays).logit_of_features(X[copy == 0][rows])

    def _features(
        self, member: SpectralMember
    ) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
        """Return features, and the image and the copy of each row; read if they are there."""
        facts = {
            "view": view_to_dict(member.view),
            "copies": member.copies,
            "augmentation": asdict(augmentation_of(member, self.recipe)),
            "seed": self.recipe.seed,
            "data": self.digest,
        }
        file = self.out / f"features-{_sha256(facts)[:16]}.npz"
        if file.exists():
            with np.load(file, allow_pickle=False) as stored:
                return stored["X"], stored["image"], stored["copy"]
        copies = np.where(self.data.split == "test", 0, member.copies)
        rows = [(i, c) for i, n in enumerate(copies.tolist()) for c in range(n + 1)]
        X = all_features(
            member,
            self.data,
            rows,
            augmentation=augmentation_of(member, self.recipe),
            seed=self.recipe.seed,
            log=self.log,
        )
        image, copy = np.array(rows, dtype=np.int64).T
        temporary = self.out / "writing.npz"
        np.savez(temporary, X=X, image=image, copy=copy)
        temporary.replace(file)
        return X, image, copy


def _measured(training: _Training, fold: _Fold) -> LeftOut:
    """Train and measure one fold, or read what an earlier call measured."""
    folder = training.out / fold.folder
    file = folder / _RESULT
    fingerprint = _fingerprint(training, fold)
    if file.exists():
        return _stored(file, fingerprint)
    folder.mkdir(exist_ok=True)
    measured = np.concatenate([fold.left_out, fold.against])
    logits = training.logits(fold, np.concatenate([fold.val, measured]))
    taught, judged = logits[: len(fold.val)], logits[len(fold.val) :]
    val = training.data.take(fold.val)
    y = training.data.y[measured]
    columns = {m.name: [i] for i, m in enumerate(training.recipe.members)}
    if len(columns) > 1:
        columns["ensemble"] = list(range(len(columns)))
    rows = []
    learners = Learners().or_those_of(training.recipe.decision)
    for name, column in columns.items():
        decision = learn_decision(
            taught[:, column],
            val.y,
            combiner=learners.combiner,
            calibrator=learners.calibrator,
            groups=group_names(val),
            seed=training.recipe.seed,
        )
        p = decision.probability(judged[:, column])
        wrong = (p >= decision.threshold.value) != (y == 1)
        n = len(fold.left_out)
        rows.append(
            LeftOutFigures(
                name,
                decision.threshold.value,
                auroc(y, p),
                rate_of(wrong[:n]),
                rate_of(wrong[n:]),
            )
        )
    n_synthetic = int(training.data.y[fold.left_out].sum())
    found = LeftOut(
        fold.value,
        len(fold.left_out) - n_synthetic,
        n_synthetic,
        len(fold.against),
        tuple(rows),
    )
    text = json.dumps({"fingerprint": fingerprint, "left_out": found.to_dict()}, indent=2)
    write_whole(file, text + "\n")
    training.log.event(
        "left out", **{fold.by: fold.value}, auroc=rows[-1].auroc.value, error=rows[-1].error.value
    )
    return found


def _stored(file: Path, fingerprint: str) -> LeftOut:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["fingerprint"] != fingerprint:
            raise TrainingError(
                f"{file} is of another recipe, other data or another column; use another folder"
            )
        return LeftOut.from_dict(told["left_out"])
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{file} cannot be read ({error}); delete it, and its fold is measured again"
        ) from error


def _fingerprint(training: _Training, fold: _Fold) -> str:
    """Return the SHA-256 of all that decides the figures of a fold."""
    facts = {
        "recipe": recipe_to_dict(training.recipe),
        "data": training.digest,
        "by": fold.by,
        "value": fold.value,
        "left_out": fold.left_out.tolist(),
    }
    return _sha256(facts)


def _sha256(facts: Mapping[str, Any]) -> str:
    return _sha256_of_text(json.dumps(facts, sort_keys=True))


def _sha256_of_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _with_splits(dataset: Dataset, seed: int) -> Dataset:
    given = set(dataset.split.tolist())
    if given <= {""}:
        return split(dataset, _SHARES, seed=seed)
    if missing := [name for name in SPLITS if name not in given]:
        raise DataError(
            f"there are no images of split {missing[0]!r}; leaving out needs train, val and test, "
            "or no splits at all: then they are dealt here"
        )
    return dataset


def _column(dataset: Dataset, by: str) -> NDArray[np.str_]:
    known: dict[str, Any] = {"source": dataset.source, **dataset.facets}
    if by not in known:
        raise DataError(f"there is no column {by!r} to leave out by; use {', '.join(known)}")
    return np.asarray(known[by])


def _values(column: NDArray[np.str_], by: str, only: Sequence[str]) -> list[str]:
    known = sorted(set(column.tolist()) - {""})
    if not known:
        raise DataError(f"no image has a {by}; add a column {by!r} to the manifest")
    for value in only:
        if value not in known:
            raise DataError(f"{by} {value!r} is not in the data; use {', '.join(known)}")
    return list(only) or known


def _fold(data: Dataset, column: NDArray[np.str_], by: str, value: str) -> _Fold:
    """Deal the rows of one fold."""
    left_out = column == value
    group = group_names(data)
    learns = ~np.isin(group, group[left_out])
    lacking = [label for label in (0, 1) if not np.any(data.y[left_out] == label)]
    rows = {
        "train": learns & (data.split == "train"),
        "val": learns & (data.split == "val"),
        "against": learns & (data.split == "test") & np.isin(data.y, lacking),
    }
    for name in ("train", "val"):
        what = f"the split {name!r} without {by} {value!r}"
        require_classes(data.take(rows[name]), what=what, at_least=10)
    against = np.flatnonzero(rows["against"])
    if lacking and not len(against):
        raise DataError(
            f"there is no held-out image to measure {by} {value!r} against; give split 'test' "
            "images of the other class"
        )
    return _Fold(
        by,
        value,
        np.flatnonzero(rows["train"]),
        np.flatnonzero(rows["val"]),
        np.flatnonzero(left_out),
        against,
    )
