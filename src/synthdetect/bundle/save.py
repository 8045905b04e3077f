"""A detector to a bundle on disk: as it was read, or put together anew."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from synthdetect.bundle.assemble import assemble
from synthdetect.bundle.format import Bundle, write_bundle
from synthdetect.bundle.model_card import ModelCard
from synthdetect.bundle.origin import Origin
from synthdetect.bundle.signature import kept, signer
from synthdetect.ensemble.cascade import Cascade
from synthdetect.ensemble.learn import Decision
from synthdetect.members.base import TrainedMember


def save_bundle(
    path: str | os.PathLike[str],
    members: Sequence[TrainedMember],
    decision: Decision,
    origin: Origin,
    *,
    cascade: Cascade | None = None,
    loaded: Bundle | None = None,
    sign: Any = None,
) -> Bundle:
    """Write a detector as a bundle.

    Parameters
    ----------
    path : str or path-like
    members : sequence of TrainedMember
    decision : Decision
    origin : Origin
    cascade : Cascade, optional
    loaded : Bundle, optional
        What the detector was loaded from, if nothing of it has changed since: it is written as it
        is, and keeps its signature.
    sign : private key, optional
        As for `synthdetect.bundle.signature.signer`.

    Returns
    -------
    bundle : Bundle

    Raises
    ------
    BundleError
        As `write_bundle`, or if `sign` is no key.
    MissingExtraError
        If `sign` is given and cryptography is not installed.
    """
    signs = signer(sign) if sign is not None else kept(loaded) if loaded is not None else None
    if loaded is not None:
        return write_bundle(path, loaded.manifest, loaded.files, sign=signs)
    manifest, files = assemble(
        members,
        decision,
        name=origin.name,
        license_name=origin.license,
        facts=origin.facts,
        cascade=cascade,
        card=origin.card,
    )
    return write_bundle(path, manifest, files, sign=signs)


def save_with_card(
    path: str | os.PathLike[str], bundle: Bundle, card: ModelCard, *, sign: Any = None
) -> Bundle:
    """Write a bundle again with a model card; all else of it stays.

    Parameters
    ----------
    path : str or path-like
        It may be where the bundle is; it is then replaced at once.
    bundle : Bundle
    card : ModelCard
        Takes the place of an earlier one.
    sign : private key, optional
        As for `synthdetect.bundle.signature.signer`. Without it, the signature of the bundle is
        kept only if the card is the one that it has.

    Returns
    -------
    bundle : Bundle

    Raises
    ------
    BundleError
        As `write_bundle`, or if `sign` is no key.
    MissingExtraError
        If `sign` is given and cryptography is not installed.
    """
    signs = signer(sign) if sign is not None else kept(bundle)
    return write_bundle(path, replace(bundle.manifest, card=card), bundle.files, sign=signs)
