"""Between a detector's parts and a bundle's files."""

import dataclasses

import numpy as np
import pytest

from synthdetect.bundle.assemble import assemble, environment, take_apart
from synthdetect.bundle.format import read_bundle, write_bundle
from synthdetect.detector import Detector
from synthdetect.ensemble.calibrate import Platt
from synthdetect.ensemble.combine import TrimmedCombiner
from synthdetect.ensemble.isotonic import Isotonic
from synthdetect.ensemble.prevalence import Shifted
from synthdetect.ensemble.stacked import StackedCombiner
from synthdetect.errors import BundleError
from synthdetect.images.views import Crops, Resize


def test_parts_survive_the_bundle(tiny_bundle, tmp_path):
    bundle = read_bundle(tiny_bundle)
    members, decision = take_apart(bundle)
    manifest, files = assemble(
        members, decision, name="again", license_name="Apache-2.0", facts={"created": "2026-01-31"}
    )
    write_bundle(tmp_path / "again.zip", manifest, files)
    same, same_decision = take_apart(read_bundle(tmp_path / "again.zip"))
    assert same_decision == decision
    assert [(m.name, m.kind, m.view) for m in same] == [(m.name, m.kind, m.view) for m in members]
    for name, array in members[0].arrays.items():
        np.testing.assert_array_equal(same[0].arrays[name], array)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("combiner", {"kind": "soft_vote", "weights": [0.5, 0.5]}, "2 columns for 1 members"),
        ("combiner", {"kind": "oracle", "weights": [1.0]}, "combiner: kind is 'oracle'"),
        ("calibrator", {"kind": "temperature"}, "calibrator: temperature is missing"),
        ("threshold", {"kind": "guess"}, "threshold"),
    ],
)
def test_parts_that_are_not_ours_are_refused_by_name(tiny_bundle, part, value, message):
    bundle = read_bundle(tiny_bundle)
    forged = dataclasses.replace(
        bundle, manifest=dataclasses.replace(bundle.manifest, **{part: value})
    )
    with pytest.raises(BundleError, match=message):
        take_apart(forged)


@pytest.mark.parametrize(
    ("view", "ok"),
    [(Crops(5, 1024, flip=True), True), (Crops(5, 1100, flip=True), False), (Resize(4096), False)],
    ids=str,
)
def test_members_that_look_at_too_much_are_refused_before_any_image(tiny_bundle, view, ok):
    bundle = read_bundle(tiny_bundle)
    (entry,) = bundle.manifest.members
    forged = dataclasses.replace(
        bundle,
        manifest=dataclasses.replace(
            bundle.manifest, members=(dataclasses.replace(entry, view=view),)
        ),
    )
    if ok:
        take_apart(forged)
    else:
        with pytest.raises(BundleError, match=r"look at [\d,]+ bytes of each image"):
            take_apart(forged)


def test_environment_names_versions():
    versions = environment(trained=False)
    assert versions["numpy"] == np.__version__
    assert "keras" not in versions


@pytest.mark.parametrize(
    ("combiner", "calibrator"),
    [
        (TrimmedCombiner((0.5,), cut=0.5), Shifted(Platt(0.5, 1.0), training=0.5, deployed=0.1)),
        (StackedCombiner((2.0,), 0.5, (0.1,), (2.0,), (0.3,)), Isotonic((-1.0, 1.0), (0.2, 0.8))),
    ],
    ids=["trimmed", "stacked"],
)
def test_every_kind_of_decision_survives_the_bundle(tiny_bundle, tmp_path, combiner, calibrator):
    members, decision = take_apart(read_bundle(tiny_bundle))
    decision = dataclasses.replace(decision, combiner=combiner, calibrator=calibrator)
    manifest, files = assemble(members, decision, name="mine", license_name="MIT", facts={})
    write_bundle(tmp_path / "mine", manifest, files)
    again = take_apart(read_bundle(tmp_path / "mine"))[1]
    assert again == decision
    text = Detector.load(tmp_path / "mine").describe()
    assert f"combined by {type(combiner).__name__}" in text
