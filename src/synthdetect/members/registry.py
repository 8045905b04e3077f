"""What kinds of member there are, and how each is read from its options or its files."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthdetect.errors import BundleError
from synthdetect.members.backbones import BACKBONES, BackboneMember
from synthdetect.members.base import Scorer, TrainedMember
from synthdetect.members.spectral_features import SIZE
from synthdetect.members.spectrum import SpectralMember, SpectralScorer
from synthdetect.runtime.openvino import Graph, check_precision

KINDS: tuple[str, ...] = (*BACKBONES, SpectralMember.kind)

AnyMember = BackboneMember | SpectralMember


def member_type(kind: str) -> type[AnyMember]:
    """Return the dataclass that holds the options of a kind of `KINDS`."""
    return SpectralMember if kind == SpectralMember.kind else BackboneMember


def check_files(name: str, kind: str, roles: Collection[str]) -> None:
    """Check that a member's files are those of its kind, before any is parsed.

    Parameters
    ----------
    name : str
        Of the member.
    kind : str
        Should be one of `KINDS`.
    roles : collection of str
        What its files are for.

    Raises
    ------
    BundleError
        If the kind is unknown, or a file is missing or too many.
    """
    if kind not in KINDS:
        raise BundleError(
            f"member {name}: kind {kind!r} is not known to this synthdetect; "
            f"it knows {', '.join(KINDS)}"
        )
    wanted = ("npz",) if kind == SpectralMember.kind else ("xml", "bin")
    if set(roles) != set(wanted):
        raise BundleError(
            f"member {name}: has files {sorted(roles)}; a {kind} needs {' and '.join(wanted)}"
        )


def load_scorer(trained: TrainedMember, *, precision: str = "f32") -> Scorer:
    """Make a trained member ready to look at images.

    Parameters
    ----------
    trained : TrainedMember
    precision : {"f32", "bf16"}
        Arithmetic of graphs.

    Returns
    -------
    scorer : Scorer

    Raises
    ------
    BundleError
        If the kind is unknown, or what it holds is not what the kind needs. The scorer raises it if
        a logit is not finite.
    ValueError
        If the precision is none of these.
    """
    check_precision(precision)
    is_spectral = trained.kind == SpectralMember.kind
    check_files(trained.name, trained.kind, [*trained.graph, *(["npz"] if is_spectral else [])])
    if is_spectral:
        if trained.view.size != SIZE:
            raise BundleError(
                f"member {trained.name}: its view has size {trained.view.size}; "
                f"spectral features need {SIZE}"
            )
        return _Finite(SpectralScorer.from_arrays(trained.arrays), trained.name)
    graph = Graph(
        trained.graph["xml"],
        trained.graph["bin"],
        crops=(trained.view.n_crops, trained.view.size, trained.view.size, 3),
        precision=precision,
        name=f"member {trained.name}",
    )
    return _Finite(graph, trained.name)


@dataclass(frozen=True)
class _Finite:
    """A scorer that gives numbers or an error: elsewhere, NaN means that a member was not asked."""

    scorer: Scorer
    name: str

    @property
    def uses_all_cores(self) -> bool:
        return self.scorer.uses_all_cores

    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        logits = self.scorer.logits(crops)
        if not np.isfinite(logits).all():
            raise BundleError(
                f"member {self.name}: gives {logits[~np.isfinite(logits)][0]} for an image, so its "
                "weights are damaged; get the bundle again"
            )
        return logits
