"""Kinds of member and how they are made ready."""

import pytest

from synthdetect.errors import BundleError
from synthdetect.images.views import CenterCrop
from synthdetect.members.backbones import BACKBONES, BackboneMember
from synthdetect.members.base import TrainedMember
from synthdetect.members.registry import KINDS, load_scorer, member_type
from synthdetect.members.spectrum import SpectralMember


def test_every_kind_has_options():
    types = {kind: member_type(kind) for kind in KINDS}
    assert types.pop("spectral") is SpectralMember
    assert set(types) == set(BACKBONES)
    assert set(types.values()) == {BackboneMember}


def test_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(BundleError, match=r"kind 'Oracle' is not known.*MobileNetV2, .*spectral"):
        load_scorer(TrainedMember("x", "Oracle", CenterCrop(64)))


@pytest.mark.parametrize("graph", [{}, {"xml": b""}, {"xml": b"", "bin": b"", "py": b""}])
def test_graph_with_other_files_is_refused(graph):
    with pytest.raises(BundleError, match=r"member x: has files .*needs xml and bin"):
        load_scorer(TrainedMember("x", "MobileNetV2", CenterCrop(64), graph=graph))


def test_arrays_that_are_missing_are_named():
    with pytest.raises(BundleError, match="array hidden_bias is missing"):
        load_scorer(TrainedMember("x", "spectral", CenterCrop(128)))
