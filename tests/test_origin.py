"""Where a detector comes from stays with it, and its figures say what was changed since."""

import pytest

from synthdetect.bundle.assemble import take_apart
from synthdetect.bundle.format import read_bundle
from synthdetect.bundle.origin import Origin, described


@pytest.fixture
def origin(tiny_bundle):
    return Origin.of(read_bundle(tiny_bundle))


def test_it_is_what_the_manifest_says(origin, tiny_bundle):
    bundle = read_bundle(tiny_bundle)
    assert (origin.name, origin.license, origin.digest) == ("tiny", "Apache-2.0", bundle.digest)
    assert origin.facts["figures"] == bundle.manifest.figures
    assert "note" not in origin.facts["figures"]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("threshold", "before the threshold was changed; AUROC holds, rates do not"),
        ("probability", "before calibrator and threshold were changed"),
        ("combiner", "before combiner, calibrator and threshold were changed"),
        ("all", "before combiner, calibrator and threshold were changed"),
    ],
)
def test_figures_say_what_was_changed(origin, what, told):
    changed = origin.changed(what)
    assert told in changed.facts["figures"]["note"]
    assert changed.digest == "unsaved"
    assert changed.facts["created"] == "2026-01-31"


def test_a_later_smaller_change_takes_nothing_back(origin):
    once = origin.changed("all")
    assert once.changed("threshold").facts == once.facts
    assert origin.changed("threshold").changed("all").facts == once.facts


def test_without_figures_there_is_no_note():
    assert Origin("mine", {}).changed("threshold").facts == {}


def test_the_licence_of_the_weights_stays(origin):
    other = Origin("theirs", {}, license="CC-BY-4.0")
    assert other.changed("threshold").license == "CC-BY-4.0"


def test_the_description_names_members_threshold_and_figures(origin, tiny_bundle):
    members, decision = take_apart(read_bundle(tiny_bundle))
    text = described(members, decision, origin.changed("threshold"))
    assert text.startswith(
        "tiny (unsaved), licence Apache-2.0, not signed\n  member spectral: spectral, "
    )
    assert f"threshold {decision.threshold.value:.4f} by Youden(), learned on n = 40" in text
    assert "(measured before the threshold was changed" in text
    assert text.endswith("trained 2026-01-31 on data without a manifest")
