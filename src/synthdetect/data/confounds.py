"""How well facts of the files alone tell the classes apart: what a detector may learn instead."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthdetect.data.dataset import CLASSES, Dataset, group_names, labels_to_y
from synthdetect.errors import DataError, ImageError
from synthdetect.images.facts import FileFacts, read_facts

# From here on, facts of the files are a better detector than many that look at pixels.
ALARM = 0.75
MAX_IMAGES = 10_000
_N_FOLDS = 5
_N_TOLD = 3

Facts = Sequence[FileFacts | ImageError]
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Separation:
    """An AUROC with its 95 % interval.

    Parameters
    ----------
    value, low, high : float
        0.5 is chance, 1 a perfect separation; a low value below 0.5 is chance too.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Confounds:
    """What `confounds` found.

    Parameters
    ----------
    n_real, n_synthetic : int
        Images that were looked at.
    together : Separation
        Of all facts together.
    alone : mapping of str to Separation
        Of each fact alone, the strongest first.
    constant : tuple of str
        Facts that are the same for all images.
    """

    n_real: int
    n_synthetic: int
    together: Separation
    alone: Mapping[str, Separation]
    constant: tuple[str, ...]

    @property
    def alarming(self) -> bool:
        """Whether the interval of all facts together lies above `ALARM`."""
        return self.together.low > ALARM

    @property
    def verdict(self) -> str:
        """What it means, in one sentence."""
        figure = f"AUROC {self.together}, n = {self.n_real + self.n_synthetic}"
        telling = [name for name, found in self.alone.items() if found.low > 0.5][:_N_TOLD]
        most = f", most of all by {', '.join(telling)}" if telling else ""
        if self.alarming:
            return (
                f"file facts alone tell the classes apart ({figure}){most}: a detector trained on "
                "this may learn the compression, not the generator; crop, scale and encode both "
                "classes alike"
            )
        if self.together.low > 0.5:
            return (
                f"file facts alone say something about the class ({figure}){most}: a part of what "
                "a detector seems to know may be that; compare its AUROC with this one"
            )
        if self.together.high > ALARM:
            return f"too few images to say whether file facts tell the classes apart ({figure})"
        return f"no sign that file facts tell the classes apart ({figure})"

    def __str__(self) -> str:
        width = max(map(len, ("all together", *self.alone)))
        rows = {"all together": self.together, **self.alone}
        lines = [self.verdict, *(f"  {name:<{width}}  {found}" for name, found in rows.items())]
        if self.constant:
            lines.append(f"  the same for all images: {', '.join(self.constant)}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return asdict(self) | {"verdict": self.verdict, "alarming": self.alarming}


def confounds(
    facts: Facts, y: ArrayLike, *, groups: NDArray[Any] | None = None, seed: int = 0
) -> Confounds:
    """Measure how well facts of the files predict the label.

    Gradient-boosted trees learn the label from each fact alone and from all together, on four
    fifths of the images, and score the other fifth, five times in turn; groups are not divided.
    The AUROC is that of pairs of images of one fifth. Its interval is normal on the logit. Its
    variance is that of the placements, summed by group (Obuchowski 1997), times 2.25, as the fifths
    were scored by trees that learned on each other's images (Nadeau and Bengio 2003): of 60 and 60
    images whose facts were drawn alike for both classes, the area's standard deviation was 1.3
    times that of the placements alone. A perfect ranking has the Clopper-Pearson interval of as
    many right answers as the smaller class has groups.

    Parameters
    ----------
    facts : sequence of n FileFacts or ImageError
        Of `synthdetect.images.facts.read_facts`; images that could not be read do not count. Of
        more than 10,000 images as many are drawn at random.
    y : array-like of shape (n,)
        0 = real, 1 = synthetic.
    groups : ndarray of shape (n,), optional
        Images with equal values belong together; by default each is its own.
    seed : int, default=0

    Returns
    -------
    found : Confounds

    Raises
    ------
    DataError
        If a class has fewer than 5 groups, or the arrays do not fit.

    References
    ----------
    .. [1] Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53(2), 1997.
    .. [2] Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
    """
    labels = labels_to_y(y, n=len(facts))
    read = [(i, found) for i, found in enumerate(facts) if isinstance(found, FileFacts)]
    rng = np.random.default_rng(seed)
    if len(read) > MAX_IMAGES:
        read = [read[i] for i in np.sort(rng.choice(len(read), MAX_IMAGES, replace=False))]
    rows = np.array([i for i, _ in read], dtype=np.int64)
    kept = labels[rows]
    named = np.arange(len(facts)) if groups is None else np.asarray(groups)
    _, group = np.unique(named[rows], return_inverse=True)
    fold = _folds(kept, group, seed)
    columns = _columns([found for _, found in read])
    varying = {name: X for name, X in columns.items() if _varies(X)}
    alone = {name: _cross_validated(X, kept, fold, group, seed) for name, X in varying.items()}
    if len(alone) == 1:
        (together,) = alone.values()
    else:
        everything = np.hstack([*varying.values(), np.zeros((len(kept), 1))])
        together = _cross_validated(everything, kept, fold, group, seed)
    return Confounds(
        n_real=int(np.sum(kept == 0)),
        n_synthetic=int(np.sum(kept == 1)),
        together=together,
        alone=dict(sorted(alone.items(), key=lambda item: -item[1].value)),
        constant=tuple(name for name in columns if name not in varying),
    )


def dataset_confounds(
    dataset: Dataset, *, seed: int = 0, max_images: int = MAX_IMAGES
) -> Confounds:
    """Read the facts of a dataset's files and measure how well they predict the label.

    Parameters
    ----------
    dataset : Dataset
        Images that are neither paths nor bytes have no file and do not count.
    seed : int, default=0
    max_images : int, default=10,000
        Of more files as many are drawn at random.

    Returns
    -------
    found : Confounds

    Raises
    ------
    DataError
        As `confounds` does.
    """
    rows = np.flatnonzero([isinstance(i, str | os.PathLike | bytes) for i in dataset.images])
    if len(rows) > max_images:
        chosen = np.random.default_rng(seed).choice(len(rows), max_images, replace=False)
        rows = rows[np.sort(chosen)]
    part = dataset.take(rows)
    return confounds(read_facts(part.images), part.y, groups=group_names(part), seed=seed)


def _columns(facts: Sequence[FileFacts]) -> dict[str, _Floats]:
    """Return the columns of each fact, of shape (n, columns); what is not known is NaN."""
    by_name: dict[str, list[list[Any]]] = {
        "format": [[f.format for f in facts]],
        "colour mode": [[f.mode for f in facts]],
        "width and height": [[f.width for f in facts], [f.height for f in facts]],
        "bytes per pixel": [[f.bytes_per_pixel for f in facts]],
        "JPEG quality": [[f.jpeg_quality for f in facts], [f.jpeg_standard for f in facts]],
        "chroma subsampling": [[f.subsampling for f in facts]],
        "progressive": [[f.progressive for f in facts]],
        "EXIF": [[f.has_exif for f in facts]],
        "colour profile": [[f.has_icc for f in facts]],
    }
    return {name: np.stack([*map(_numbers, parts)], axis=1) for name, parts in by_name.items()}


def _numbers(values: list[Any]) -> _Floats:
    """Numbers as they are, words by their place in the alphabet, None as NaN."""
    words = sorted({value for value in values if isinstance(value, str)})
    if words:
        return np.array([np.nan if v is None else words.index(v) for v in values], dtype=np.float64)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _varies(X: _Floats) -> bool:
    return any(len(np.unique(column)) > 1 for column in X.T)


def _folds(y: NDArray[np.int64], group: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the fold of each image; groups are not divided."""
    from sklearn.model_selection import StratifiedGroupKFold

    for label, name in enumerate(CLASSES):
        n = len(np.unique(group[y == label]))
        if n < _N_FOLDS:
            raise DataError(
                f"there are {n} {name} image files that can be read (a group counts once); to "
                f"check what file facts tell, at least {_N_FOLDS} of each class are needed"
            )
    fold = np.empty(len(y), dtype=np.int64)
    dealt = StratifiedGroupKFold(_N_FOLDS, shuffle=True, random_state=seed)
    for number, (_, rows) in enumerate(dealt.split(np.zeros(len(y)), y, group)):
        fold[rows] = number
    return fold


def _cross_validated(
    X: _Floats, y: NDArray[np.int64], fold: NDArray[np.int64], group: NDArray[np.int64], seed: int
) -> Separation:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    scores = np.zeros(len(y))
    for number in range(_N_FOLDS):
        learn, score = fold != number, fold == number
        if len(np.unique(y[learn])) < len(CLASSES) or not score.any():
            continue  # Large groups can leave one class: all its scores stay tied.
        trees = HistGradientBoostingClassifier(
            max_iter=40, max_leaf_nodes=15, min_samples_leaf=10, random_state=seed
        )
        # With so few columns threads only wait for each other: on a busy machine, 14 times as long.
        with threadpool_limits(1):
            scores[score] = trees.fit(X[learn], y[learn]).decision_function(X[score])
    # Nadeau and Bengio's 1 / k + n_test / n_train, over the 1 / k of independent folds.
    factor = 1 + _N_FOLDS / (_N_FOLDS - 1)
    return separation(scores, y, fold=fold, group=group, variance_factor=factor)


def separation(
    scores: _Floats,
    y: NDArray[np.int64],
    *,
    fold: NDArray[np.int64],
    group: NDArray[np.int64],
    variance_factor: float = 1.0,
) -> Separation:
    """Return the AUROC of pairs within folds; see `confounds` for its interval.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64
        Higher for synthetic; comparable within a fold.
    y : ndarray of shape (n,), int64
        Each class at least once in some fold that has the other as well.
    fold, group : ndarray of shape (n,), int64
        From 0. Groups are independent of each other.
    variance_factor : float, default=1.0
        1 for scores that were learned on other images altogether.

    Returns
    -------
    area : Separation
    """
    from scipy.special import expit, logit, ndtri
    from scipy.stats import rankdata

    right = 0.0  # Pairs in the right order; a tie is half of one.
    n_pairs = 0
    influence = np.zeros(len(y))
    for number in np.unique(fold):
        real = np.flatnonzero((fold == number) & (y == 0))
        synthetic = np.flatnonzero((fold == number) & (y == 1))
        if not len(real) or not len(synthetic):
            continue
        ranks = rankdata(np.concatenate([scores[real], scores[synthetic]]))
        below = ranks[len(real) :] - rankdata(scores[synthetic])
        above = len(synthetic) - (ranks[: len(real)] - rankdata(scores[real]))
        influence[synthetic] = below - below.mean()
        influence[real] = above - above.mean()
        right += below.sum()
        n_pairs += len(real) * len(synthetic)
    area = right / n_pairs
    n_groups = group.max() + 1
    by_group = np.bincount(group, influence / n_pairs)
    variance = variance_factor * float(np.sum(by_group**2)) * n_groups / max(n_groups - 1, 1)
    n_sure = min(len(np.unique(group[y == label])) for label in (0, 1))
    tail = 0.025
    if area in (0.0, 1.0):
        end = tail ** (1 / n_sure)
        return Separation(area, end if area else 0.0, 1.0 if area else 1 - end)
    variance = variance or area * (1 - area) / n_sure
    half = -ndtri(tail) * np.sqrt(variance) / (area * (1 - area))
    return Separation(
        float(area), float(expit(logit(area) - half)), float(expit(logit(area) + half))
    )
