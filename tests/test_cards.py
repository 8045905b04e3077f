"""Member cards of bundles: the detector's own probabilities, and thresholds of other images."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conftest import labelled_arrays
from synthdetect.bundle.format import write_bundle
from synthdetect.bundle.hub import bundled_names, open_bundle
from synthdetect.cards import member_cards
from synthdetect.data.dataset import from_arrays, group_names
from synthdetect.detector import Detector
from synthdetect.ensemble.learn import learn_decision
from synthdetect.errors import BundleError, DataError

pytestmark = pytest.mark.filterwarnings("ignore:the threshold is learned on|the classes are sep")


def labelled(n_each, seed, bad=()):
    images, y = labelled_arrays(n_each, seed)
    for i in bad:
        images[i] = b"broken"
    data = from_arrays(images, y)
    return replace(data, source=np.where(y == 1, "gan", "cam"))


@pytest.fixture(scope="module")
def made(tiny_bundle):
    return member_cards([tiny_bundle], labelled(20, 5), teaching=labelled(20, 6), note="Here.")


def by_name(cards):
    return {card.name: card for card in cards.cards}


def test_there_is_a_card_for_each_member_and_one_for_the_ensemble(made):
    assert set(by_name(made)) == {"tiny/spectral", "tiny/ensemble"}
    assert {card.kind for card in made.cards} == {"spectral", "ensemble"}
    assert made.unread == ()
    assert all(card.evaluation.note == "Here." for card in made.cards)


def test_the_ensemble_has_the_detector_s_probabilities_and_threshold(made, tiny_bundle):
    detector = Detector.load(tiny_bundle)
    card = by_name(made)["tiny/ensemble"]
    images, _ = labelled_arrays(20, 5)
    assert np.array_equal(card.evaluation.p, detector.predict_proba(images)[:, 1])
    assert card.evaluation.threshold == detector.threshold_
    assert card.threshold_from == "of the bundle"


def test_a_member_s_threshold_is_learned_on_the_other_images(made, tiny_bundle):
    teaching = labelled(20, 6)
    detector = Detector.load(tiny_bundle)
    logits = detector.member_logits(list(teaching.images))
    wanted = learn_decision(logits, teaching.y, groups=group_names(teaching), seed=0)
    card = by_name(made)["tiny/spectral"]
    assert card.evaluation.threshold == wanted.threshold.value
    assert card.threshold_from == "learned on val, n = 40"


def test_without_other_images_a_logit_above_0_is_synthetic(tiny_bundle):
    data = labelled(10, 5)
    card = by_name(member_cards([tiny_bundle], data))["tiny/spectral"]
    logits = Detector.load(tiny_bundle).member_logits(list(data.images))[:, 0]
    assert_allclose(card.evaluation.p, 1 / (1 + np.exp(-logits)))
    assert np.array_equal(card.evaluation.called, logits >= 0)
    assert card.threshold_from == "logit above 0"


def test_too_few_other_images_teach_nothing_and_that_is_told(tiny_bundle):
    made = member_cards([tiny_bundle], labelled(10, 5), teaching=labelled(2, 6))
    told = by_name(made)["tiny/spectral"].threshold_from
    assert told.startswith("logit above 0, as val cannot teach: y has 2 real")


def test_size_and_parameters_are_those_of_the_files(made, tiny_bundle):
    card = by_name(made)["tiny/spectral"]
    assert card.size_bytes == (tiny_bundle / "members" / "spectral.npz").stat().st_size
    (member,) = Detector.load(tiny_bundle).members_
    assert card.n_parameters == sum(array.size for array in member.arrays.values())
    assert card.ms_per_image > 0
    assert by_name(made)["tiny/ensemble"].ms_per_image == card.ms_per_image


def test_pairs_are_measured_alone_and_together(tiny_bundle):
    data = labelled(20, 5)
    source = np.array(["a", "b"] * 10 + ["c", "d"] * 10)
    pairs = [("a", "c"), ("b", "d")]
    card = member_cards([tiny_bundle], replace(data, source=source), pairs=pairs).cards[0]
    assert {name: one.n for name, one in card.pairs.items()} == {
        "a / c": 20,
        "b / d": 20,
        "all pairs": 40,
    }
    with pytest.raises(DataError, match="no measured image is of source 'x'; sources: cam, gan"):
        member_cards([tiny_bundle], data, pairs=[("cam", "x")])


def test_bundles_are_scored_in_one_pass_and_those_of_one_name_told_apart(tiny_bundle, tmp_path):
    copy = shutil.copytree(tiny_bundle, tmp_path / "copy")
    looked = []
    data = labelled(6, 5)
    made = member_cards([tiny_bundle, copy], data, advance=lambda: looked.append(1))
    assert len(looked) == len(data)
    assert {f"{copy}/ensemble", f"{tiny_bundle}/spectral"} <= set(by_name(made))
    same = by_name(made)[f"{copy}/ensemble"], by_name(made)[f"{tiny_bundle}/ensemble"]
    assert np.array_equal(same[0].evaluation.p, same[1].evaluation.p)


def test_a_bundle_that_is_given_twice_is_refused_before_images_are_looked_at(tiny_bundle):
    with pytest.raises(DataError, match="is given twice; give each once"):
        member_cards(
            [tiny_bundle, tiny_bundle],
            labelled(6, 5),
            advance=lambda: pytest.fail("looked at an image"),
        )


def test_unread_images_do_not_count_and_are_told(tiny_bundle):
    made = member_cards([tiny_bundle], labelled(8, 5, bad=[0, 9]), teaching=labelled(9, 6, bad=[1]))
    assert len(made.unread) == 3
    card = made.cards[0]
    assert card.evaluation.n == 14
    assert "3 image(s) could not be read." in card.evaluation.note
    with pytest.raises(DataError, match="none of 4 images can be read"):
        member_cards([tiny_bundle], labelled(2, 5, bad=range(4)))


def test_a_missing_bundle_is_named(tmp_path):
    with pytest.raises(BundleError, match="nowhere"):
        member_cards([tmp_path / "nowhere"], labelled(2, 5))


@pytest.mark.skipif("ensemble-v1" not in bundled_names(), reason="not in this checkout")
def test_an_older_graph_s_parameters_are_counted_in_its_file(tmp_path):
    bundle = open_bundle("ensemble-v1")
    members = tuple(replace(one, details={}) for one in bundle.manifest.members)
    write_bundle(tmp_path / "older", replace(bundle.manifest, members=members), bundle.files)
    made = by_name(member_cards([tmp_path / "older"], labelled(2, 5)))
    card = next(card for name, card in made.items() if name.endswith("/mobilenetv2"))
    # 2,259,265 less the 4 of each BatchNorm that was folded, plus what it left.
    assert 2_150_000 < card.n_parameters < 2_259_265
