"""Between a detector's parts and a bundle's files."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from synthdetect.bundle.arrays import arrays_from_bytes, arrays_to_bytes
from synthdetect.bundle.entries import MemberEntry
from synthdetect.bundle.format import Bundle
from synthdetect.bundle.manifest import Manifest
from synthdetect.bundle.model_card import ModelCard
from synthdetect.ensemble.cascade import Cascade
from synthdetect.ensemble.combine import Combiner
from synthdetect.ensemble.learn import Decision
from synthdetect.errors import BundleError
from synthdetect.members.base import TrainedMember
from synthdetect.members.registry import check_files
from synthdetect.members.spectrum import check_shapes
from synthdetect.runtime.graph_text import check_graph_text

_LIBRARIES = ("synthdetect", "numpy", "scipy", "scikit-learn", "pillow", "openvino")
_TRAINING_LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras")
_ARRAYS = "npz"
# Of all views of an image together: 11 megapixels, of which a batch of images waits in memory.
_MAX_VIEWED_BYTES = 1 << 25


def assemble(
    members: Sequence[TrainedMember],
    decision: Decision,
    *,
    name: str,
    license_name: str,
    facts: Mapping[str, Any],
    cascade: Cascade | None = None,
    card: ModelCard | None = None,
) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest and the files of a detector, for `write_bundle`.

    Parameters
    ----------
    members : sequence of TrainedMember
    decision : Decision
    name : str
        Of the detector.
    license_name : str
        Of the weights.
    facts : mapping
        `training_data`, `recipe`, `figures`, `environment` and `created` of the manifest.
    cascade : Cascade, optional
    card : ModelCard, optional

    Returns
    -------
    manifest : Manifest
        Without hashes.
    files : dict of str to bytes

    Raises
    ------
    BundleError
        If a name or a value does not fit the schema.
    """
    files: dict[str, bytes] = {}
    entries = []
    for member in members:
        contents = dict(member.graph)
        if member.arrays:
            contents[_ARRAYS] = arrays_to_bytes(member.arrays)
        names = {role: f"members/{member.name}.{role}" for role in contents}
        files |= {names[role]: content for role, content in contents.items()}
        entries.append(
            MemberEntry(
                name=member.name,
                kind=member.kind,
                view=member.view,
                files=names,
                details=member.details,
            )
        )
    manifest = Manifest(
        name=name,
        members=tuple(entries),
        license=license_name,
        cascade=None if cascade is None else cascade.to_dict(),
        card=card,
        **decision.to_dict(),
        **facts,
    )
    return manifest, files


def take_apart(bundle: Bundle) -> tuple[tuple[TrainedMember, ...], Decision]:
    """Return the members and the decision of a verified bundle.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    members : tuple of TrainedMember
    decision : Decision

    Raises
    ------
    BundleError
        If a member's kind is unknown, its files are not those of its kind, arrays or graph are
        damaged or unusual, the members look at more pixels than fit in memory, or the combiner,
        calibrator or threshold is not one of ours.
    """
    manifest = bundle.manifest
    _check_views(manifest.members)
    members = []
    for entry in manifest.members:
        check_files(entry.name, entry.kind, entry.files)
        contents = {role: bundle.files[name] for role, name in entry.files.items()}
        packed = contents.pop(_ARRAYS, None)
        arrays = {}
        if packed is not None:
            arrays = arrays_from_bytes(packed, name=entry.files[_ARRAYS], check=check_shapes)
        else:
            check_graph_text(
                contents["xml"], n_weight_bytes=len(contents["bin"]), name=entry.files["xml"]
            )
        members.append(
            TrainedMember(
                entry.name, entry.kind, entry.view, contents, arrays, details=entry.details
            )
        )
    try:
        decision = Decision.from_dict(
            {key: getattr(manifest, key) for key in ("combiner", "calibrator", "threshold")}
        )
    except ValueError as error:
        raise BundleError(f"manifest.json: {str(error)[:500]}") from error
    n_members = decision.combiner.n_members
    if n_members != len(members):
        raise BundleError(
            f"manifest.json: the combiner has {n_members} columns for {len(members)} members; "
            "get the bundle again"
        )
    return tuple(members), decision


def cascade_of(bundle: Bundle, combiner: Combiner) -> Cascade | None:
    """Return the cascade of a verified bundle, if it has one.

    Parameters
    ----------
    bundle : Bundle
    combiner : Combiner
        The bundle's own.

    Raises
    ------
    BundleError
        If it is not one of ours.
    """
    described = bundle.manifest.cascade
    if described is None:
        return None
    try:
        cascade = Cascade.from_dict(described, n_members=combiner.n_members)
        cascade.check(combiner)
    except ValueError as error:
        raise BundleError(f"manifest.json: {str(error)[:500]}") from error
    return cascade


def environment(*, trained: bool) -> dict[str, str]:
    """Return the versions of Python and of the libraries that made a bundle.

    Parameters
    ----------
    trained : bool
        Name the libraries of training as well.

    Returns
    -------
    versions : dict of str to str
    """
    versions = {"python": platform.python_version()}
    for library in (*_LIBRARIES, *(_TRAINING_LIBRARIES if trained else ())):
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _check_views(entries: Sequence[MemberEntry]) -> None:
    views = {entry.view for entry in entries}
    n_bytes = sum(view.n_crops * view.size**2 * 3 for view in views)
    if n_bytes > _MAX_VIEWED_BYTES:
        raise BundleError(
            f"manifest.json: its members look at {n_bytes:,} bytes of each image, over "
            f"{_MAX_VIEWED_BYTES:,}; use fewer or smaller crops"
        )
