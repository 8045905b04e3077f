"""What kinds of member there are, and how each is read from its options or its files."""

from synthdetect.errors import BundleError
from synthdetect.members.backbones import BACKBONES, BackboneMember
from synthdetect.members.base import Scorer, TrainedMember
from synthdetect.members.spectral_features import SIZE
from synthdetect.members.spectrum import SpectralMember, SpectralScorer
from synthdetect.runtime.openvino import Graph

KINDS: tuple[str, ...] = (*BACKBONES, SpectralMember.kind)

AnyMember = BackboneMember | SpectralMember


def member_type(kind: str) -> type[AnyMember]:
    """Return the dataclass that holds the options of a kind of `KINDS`."""
    return SpectralMember if kind == SpectralMember.kind else BackboneMember


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
        If the kind is unknown, or what it holds is not what the kind needs.
    """
    if trained.kind not in KINDS:
        raise BundleError(
            f"member {trained.name}: kind {trained.kind!r} is not known to this synthdetect; "
            f"it knows {', '.join(KINDS)}"
        )
    if trained.kind == SpectralMember.kind:
        if trained.view.size != SIZE:
            raise BundleError(
                f"member {trained.name}: its view has size {trained.view.size}; "
                f"spectral features need {SIZE}"
            )
        return SpectralScorer.from_arrays(trained.arrays)
    if set(trained.graph) != {"xml", "bin"}:
        raise BundleError(
            f"member {trained.name}: has files {sorted(trained.graph)}; "
            f"a {trained.kind} needs xml and bin"
        )
    return Graph(
        trained.graph["xml"],
        trained.graph["bin"],
        crops=(trained.view.n_crops, trained.view.size, trained.view.size, 3),
        precision=precision,
        name=f"member {trained.name}",
    )
