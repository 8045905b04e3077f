"""Kinds of member and how they are made ready."""

import numpy as np
import pytest

from synthdetect.errors import BundleError
from synthdetect.images.views import CenterCrop
from synthdetect.members import registry
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


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_member_that_gives_no_number_is_an_error_and_no_answer(monkeypatch, value):
    class Broken:
        uses_all_cores = False

        def logits(self, crops):
            return np.array([0.5, value])

    monkeypatch.setattr(registry.SpectralScorer, "from_arrays", lambda arrays: Broken())
    scorer = load_scorer(TrainedMember("x", "spectral", CenterCrop(128)))
    assert not scorer.uses_all_cores
    with pytest.raises(BundleError, match=f"member x: gives {value} .* its weights are damaged"):
        scorer.logits(np.zeros((2, 1, 128, 128, 3), np.uint8))


@pytest.mark.parametrize("kind", ["spectral", "MobileNetV2"])
def test_an_unknown_precision_is_refused_whatever_the_kind(kind):
    with pytest.raises(ValueError, match="precision is 'fp16'; use one of f32, bf16"):
        load_scorer(TrainedMember("x", kind, CenterCrop(128)), precision="fp16")
