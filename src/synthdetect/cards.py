"""Make member cards of bundles: all members of all of them look at each image once."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.bundle.assemble import take_apart
from synthdetect.bundle.format import Bundle
from synthdetect.bundle.hub import open_bundle
from synthdetect.data.dataset import Dataset, group_names, require_sources
from synthdetect.ensemble.learn import Decision, learn_decision
from synthdetect.ensemble.scaling import TemperatureScaling
from synthdetect.errors import DataError, ImageError
from synthdetect.evaluation.evaluate import evaluate
from synthdetect.evaluation.members import SOURCE, MemberCard, against_best
from synthdetect.evaluation.metrics import figures
from synthdetect.images.decode import decode, source_name
from synthdetect.images.limits import Limits
from synthdetect.members.base import Scorer, TrainedMember
from synthdetect.members.registry import load_scorer
from synthdetect.members.score import score_stream
from synthdetect.runtime.openvino import n_weights

Floats = NDArray[np.float64]

_N_TIMED, _BATCH = 64, 16


@dataclass(frozen=True)
class Cards:
    """What `member_cards` makes.

    Parameters
    ----------
    cards : tuple of MemberCard
        Best AUROC first.
    unread : tuple of ImageError
        Of images that could not be read and do not count.
    """

    cards: tuple[MemberCard, ...]
    unread: tuple[ImageError, ...]


def member_cards(
    bundles: Sequence[str | os.PathLike[str]],
    measured: Dataset,
    *,
    teaching: Dataset | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    note: str = "",
    advance: Callable[[], None] | None = None,
    seed: int = 0,
) -> Cards:
    """Measure every member of bundles, and each bundle's ensemble, on the same images.

    A bundle has the threshold of its ensemble, and none for a member alone. A member's temperature
    and Youden threshold are learned on `teaching`, cross-fitted; without it, its logit is taken at
    its word, and above 0 means synthetic.

    Parameters
    ----------
    bundles : sequence of str or path-like
        As `Detector.load` takes them.
    measured : Dataset
        Images that no member has learned from.
    teaching : Dataset, optional
        Other images, such as those of the split `val`.
    pairs : sequence of (str, str)
        A real and a synthetic source that share crop, size and history.
    note : str
        What the images are.
    advance : callable, optional
        Called after each image of both datasets.
    seed : int
        Of the folds of `teaching`, and of bootstraps.

    Returns
    -------
    cards : Cards

    Raises
    ------
    BundleError
        If a bundle cannot be used.
    DataError
        If no image can be read, a class is missing, or a source of a pair is unknown.
    """
    require_sources(measured, [name for pair in pairs for name in pair], what="pair")
    contestants = [one for named in _named(bundles) for one in _contestants(*named)]
    members = [one for one in contestants if one.member is not None]
    scored = _Scored.of(members, measured, teaching, advance)
    measuring = _Measuring(scored, tuple(pairs), note, seed)
    milliseconds = _milliseconds(members, scored.measured)
    cards = [_card(contestant, measuring, milliseconds) for contestant in contestants]
    return Cards(against_best(cards), scored.unread)


@dataclass(frozen=True)
class _Contestant:
    """A member alone, or, where there is no `member`, the ensemble of the parts."""

    name: str
    parts: tuple[str, ...]
    n_parameters: int
    size_bytes: int
    member: TrainedMember | None = None
    decision: Decision | None = None


def _named(bundles: Sequence[str | os.PathLike[str]]) -> Iterator[tuple[str, Bundle]]:
    """Yield bundles by their own name, or, where two share it, by how they were given."""
    paths = [os.fspath(given) for given in bundles]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise DataError(f"bundle {twice[0]} is given twice; give each once")
    opened = [(path, open_bundle(path)) for path in paths]
    names = [bundle.manifest.name for _, bundle in opened]
    for given, bundle in opened:
        own = bundle.manifest.name
        yield (own if names.count(own) == 1 else given), bundle


def _contestants(name: str, bundle: Bundle) -> list[_Contestant]:
    """Return the members of a bundle, then its ensemble."""
    members, decision = take_apart(bundle)
    found = []
    for member, entry in zip(members, bundle.manifest.members, strict=True):
        part = f"{name}/{member.name}"
        size = sum(len(bundle.files[file]) for file in entry.files.values())
        found.append(_Contestant(part, (part,), _n_parameters(member), size, member=member))
    return [
        *found,
        _Contestant(
            f"{name}/ensemble",
            tuple(one.name for one in found),
            sum(one.n_parameters for one in found),
            sum(one.size_bytes for one in found),
            decision=decision,
        ),
    ]


def _n_parameters(member: TrainedMember) -> int:
    """Return what training counted, or, of a bundle that does not tell, what its files hold."""
    if told := member.details.get("n_parameters"):
        return int(told)
    if member.graph:
        return n_weights(member.graph["xml"], member.graph["bin"])
    return sum(array.size for array in member.arrays.values())


@dataclass(frozen=True)
class _Scored:
    """Logits by the contestant's name, of the images that could be read."""

    measured: Dataset
    logits: dict[str, Floats]
    teaching: Dataset | None
    taught: dict[str, Floats]
    unread: tuple[ImageError, ...]

    @classmethod
    def of(
        cls,
        members: Sequence[_Contestant],
        measured: Dataset,
        teaching: Dataset | None,
        advance: Callable[[], None] | None,
    ) -> "_Scored":
        trained = [c.member for c in members if c.member is not None]
        images = measured.images + (teaching.images if teaching else ())
        rows, unread = [], []
        stream = score_stream(
            _counted(images, advance),
            [member.view for member in trained],
            [load_scorer(member) for member in trained],
            limits=Limits(),
        )
        for scored in stream:
            rows.append(scored.logits)
            if scored.error is not None:
                unread.append(scored.error)
        logits = np.stack(rows) if rows else np.empty((0, len(members)))
        good = np.all(~np.isnan(logits), axis=1)
        here, there = good[: len(measured)], good[len(measured) :]
        if not here.any():
            raise DataError(f"none of {len(measured)} images can be read; {unread[0]}")
        first, second = logits[: len(measured)][here], logits[len(measured) :][there]
        return cls(
            measured.take(here),
            {c.name: first[:, i] for i, c in enumerate(members)},
            teaching.take(there) if teaching else None,
            {c.name: second[:, i] for i, c in enumerate(members)},
            tuple(unread),
        )


@dataclass(frozen=True)
class _Measuring:
    """What all cards have in common."""

    scored: _Scored
    pairs: tuple[tuple[str, str], ...]
    note: str
    seed: int

    def judged(self, contestant: _Contestant) -> tuple[Floats, float, str]:
        """Return probabilities, the threshold, and where both come from."""
        logits = np.column_stack([self.scored.logits[part] for part in contestant.parts])
        if contestant.decision is not None:
            decision = contestant.decision
            return decision.probability(logits), decision.threshold.value, "of the bundle"
        teaching = self.scored.teaching
        if teaching is None:
            return _sigmoid(logits[:, 0]), 0.5, "logit above 0"
        column = self.scored.taught[contestant.name][:, np.newaxis]
        try:
            decision = learn_decision(
                column,
                teaching.y,
                calibrator=TemperatureScaling(),
                groups=group_names(teaching),
                seed=self.seed,
            )
        except DataError as error:
            return _sigmoid(logits[:, 0]), 0.5, f"logit above 0, as val cannot teach: {error}"
        told = f"learned on val, n = {len(teaching)}"
        return decision.probability(logits), decision.threshold.value, told


def _card(
    contestant: _Contestant, measuring: _Measuring, milliseconds: Mapping[str, float]
) -> MemberCard:
    scored, y = measuring.scored, measuring.scored.measured.y
    source = scored.measured.source
    p, threshold, told = measuring.judged(contestant)
    unread = f"{len(scored.unread)} image(s) could not be read." if scored.unread else ""
    rows = {" / ".join(pair): np.isin(source, pair) for pair in measuring.pairs}
    if len(measuring.pairs) > 1:
        rows["all pairs"] = np.isin(source, [name for pair in measuring.pairs for name in pair])
    return MemberCard(
        name=contestant.name,
        kind=contestant.member.kind if contestant.member else "ensemble",
        n_parameters=contestant.n_parameters,
        size_bytes=contestant.size_bytes,
        ms_per_image=sum(milliseconds[part] for part in contestant.parts),
        threshold_from=told,
        evaluation=evaluate(
            y,
            p,
            threshold,
            groups={SOURCE: np.where(source == "", "(unknown)", source)} if any(source) else None,
            note=" ".join(filter(None, (measuring.note, unread))),
            seed=measuring.seed,
        ),
        pairs={pair: figures(y[on], p[on], threshold) for pair, on in rows.items()},
    )


def _milliseconds(members: Sequence[_Contestant], readable: Dataset) -> dict[str, float]:
    """Time each member alone on views of the first images, in this process; medians."""
    images = readable.images[:_N_TIMED]
    pixels = [decode(source, name=source_name(source, i)) for i, source in enumerate(images)]
    found = {}
    for contestant in members:
        if contestant.member is not None:
            crops = np.stack([contestant.member.view.apply(image) for image in pixels])
            found[contestant.name] = 1000 * _seconds_per_image(
                load_scorer(contestant.member), crops
            )
    return found


def _seconds_per_image(scorer: Scorer, crops: NDArray[np.uint8]) -> float:
    """Return the median over batches, after one to warm up."""
    scorer.logits(crops[:_BATCH])
    seconds = []
    for start in range(0, len(crops), _BATCH):
        batch = crops[start : start + _BATCH]
        before = time.perf_counter()
        scorer.logits(batch)
        seconds.append((time.perf_counter() - before) / len(batch))
    return float(np.median(seconds))


def _counted(images: Iterable[Any], advance: Callable[[], None] | None) -> Iterator[Any]:
    for image in images:
        yield image
        if advance is not None:
            advance()


def _sigmoid(logit: Floats) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(logit))
