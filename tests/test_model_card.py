"""The model card of a manifest: what it takes and refuses, what follows from it, how it reads."""

import copy
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.bundle.card_text import as_lines, as_markdown, attention
from synthdetect.bundle.format import read_bundle
from synthdetect.bundle.manifest import Manifest
from synthdetect.bundle.model_card import MAX_ROWS, CardRow, read_card
from synthdetect.bundle.origin import Origin
from synthdetect.bundle.save import save_with_card
from synthdetect.detector import Detector
from synthdetect.errors import BundleError


def row(group: str, name: str, measure: str, value: Any, low: Any, high: Any, n: Any = 100) -> Any:
    values = {"value": value, "low": low, "high": high, "n": n}
    return {"group": group, "name": name, "measure": measure, **values}


FPR = "false positive rate"
TREE: dict[str, Any] = {
    "intended_use": "Flagging photographs for review.",
    "not_for": ["Sole evidence against a person."],
    "known_failures": ["Thumbnails | are missed."],
    "training_cost": "",
    "threshold": 0.5,
    "notes": {"overall": "Split test of faces.csv."},
    "rows": [
        row("overall", "all images", FPR, 0.02, 0.01, 0.04),
        row("overall", "all images", "AUROC", 0.99, 0.98, 0.995),
        row("source", "phone", FPR, 0.2, 0.1, 0.3),
        row("source", "camera", FPR, 0.07, 0.01, 0.2),
        row("source", "studio", FPR, 0.06, 0.01, 0.2),
        row("gender", "female", "true positive rate", 1.0, 0.9, 1.0),
        row("perturbation", "jpeg-30", FPR, 0.9, 0.8, 0.95),
        row("pair", "a / b", FPR, 0.9, 0.8, 0.95),
        row("left out", "mean", "AUROC", 0.8, None, None),
    ],
    "stale": "",
}


@pytest.fixture
def manifest(tiny_bundle) -> Manifest:
    data = {"manifest_sha256": "ab" * 32, "counts": {"train": {"real": 3, "synthetic": 4}}}
    plain = read_bundle(tiny_bundle).manifest
    return dataclasses.replace(plain, card=read_card(TREE), training_data=data)


def changed(*keys: Any, value: Any) -> dict[str, Any]:
    tree = copy.deepcopy(TREE)
    place: Any = tree
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return tree


def test_a_card_becomes_values_and_the_same_json_again():
    assert read_card(TREE).to_dict() == TREE
    assert read_card(json.loads(json.dumps(read_card(TREE).to_dict()))) == read_card(TREE)


def test_a_manifest_keeps_its_card_and_without_one_has_no_key(manifest):
    assert Manifest.from_json(manifest.to_json()).card == manifest.card
    without = dataclasses.replace(manifest, card=None)
    assert "card" not in json.loads(without.to_json())
    assert Manifest.from_json(without.to_json()).card is None


@pytest.mark.parametrize("key", sorted(TREE))
def test_each_missing_key_is_named(key):
    with pytest.raises(BundleError, match=f"card has missing keys: '{key}'"):
        read_card({name: value for name, value in TREE.items() if name != key})


WRONG = [
    (("code",), "x", "unknown keys: 'code'"),
    (("intended_use",), "", "card: intended_use is ''"),
    (("intended_use",), "a\nb", "card: intended_use"),
    (("intended_use",), "\x1b[2J", "card: intended_use"),
    (("intended_use",), "a\u202eb", "card: intended_use"),
    (("intended_use",), "x" * 2001, "card: intended_use"),
    (("not_for",), "everything", "card: not_for"),
    (("not_for",), ["x"] * 51, "card: not_for is .*at most 50"),
    (("not_for", 0), 7, r"card: not_for\[0\] is 7"),
    (("known_failures",), None, "card: known_failures"),
    (("training_cost",), None, "card: training_cost"),
    (("threshold",), 1.5, "card: threshold is 1.5"),
    (("threshold",), True, "card: threshold is True"),
    (("threshold",), "0.5", "card: threshold"),
    (("notes",), [], "card: notes"),
    (("notes",), {f"{i}": "x" for i in range(51)}, "card: notes"),
    (("notes", "overall"), {}, "card: notes: overall"),
    (("notes", "a\nb"), "x", "card: a key of notes"),
    (("rows",), {}, "card: rows"),
    (("rows",), [TREE["rows"][0]] * 2, "twice"),
    (("rows",), [{}] * (MAX_ROWS + 1), "card: rows is 2001"),
    (("rows", 0), 7, r"card: rows\[0\] is 7"),
    (("rows", 0, "url"), "x", r"card: rows\[0\] has unknown keys: 'url'"),
    (("rows", 0, "group"), "", "card: rows: group"),
    (("rows", 0, "name"), "x" * 201, "card: rows: name"),
    (("rows", 0, "measure"), None, "card: rows: measure"),
    (("rows", 0, "value"), 1.1, f"all images, {FPR}: value is 1.1"),
    (("rows", 0, "value"), 10**99, f"{FPR}: value is 1000"),
    (("rows", 0, "value"), True, f"{FPR}: value is True"),
    (("rows", 0, "low"), None, "low and high"),
    (("rows", 0, "low"), 0.5, f"{FPR}: low is 0.5; it must be at most high, 0.04"),
    (("rows", 0, "n"), -1, f"{FPR}: n is -1"),
    (("rows", 0, "n"), 1.0, f"{FPR}: n is 1.0"),
    (("rows", 0, "n"), 10**60, f"{FPR}: n is 1000"),
    (("stale",), ["x"], "card: stale"),
]


@pytest.mark.parametrize(("keys", "value", "message"), WRONG)
def test_a_wrong_value_is_named(keys, value, message):
    with pytest.raises(BundleError, match=message) as caught:
        read_card(changed(*keys, value=value))
    assert len(str(caught.value)) < 900


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(TREE)), JSON)
def test_any_value_in_any_place_is_a_card_that_can_be_told_or_a_bundle_error(key, value):
    try:
        card = read_card(TREE | {key: value})
    except BundleError:
        return
    assert as_lines(card)


@pytest.mark.parametrize("card", [7, {}, TREE, "x"])
def test_a_manifest_made_in_python_takes_cards_only(manifest, card):
    with pytest.raises(BundleError, match="card is"):
        dataclasses.replace(manifest, card=card)


def test_groups_far_over_the_overall_rate_are_found_and_whether_that_is_certain():
    # 3 x 0.02 = 0.06: studio is at it, not over it; pairs and perturbations are no groups of data.
    found = {one.row.name: one for one in read_card(TREE).disparities()}
    assert {name: one.certain for name, one in found.items()} == {"phone": True, "camera": False}
    assert found["phone"].times == pytest.approx(10)


def test_without_an_overall_rate_nothing_is_compared():
    assert read_card(changed("rows", 0, "value", value=None)).disparities() == ()


def test_a_column_without_real_images_is_found():
    assert read_card(TREE).without_false_positives() == ("gender",)


def test_what_stands_out_is_told_in_sentences():
    first, second, third = attention(read_card(TREE))
    assert first.startswith("source phone: false positive rate 20.0 % (10.0 % to 30.0 %), n = 100")
    assert "10.0 times the overall 2.0 %" in first
    assert "whole interval is above" in first
    assert "chance is not excluded" in second
    assert third.startswith("gender: no real image")


def test_the_page_has_words_data_and_every_figure_with_interval_and_n(manifest):
    page = as_markdown(manifest)
    for told in (
        "# Model card of tiny",
        "- Thumbnails \\| are missed.",
        "| train | 3 | 4 |",
        "| AUROC | 0.9900 (0.9800 to 0.9950), n = 100 |",
        "| phone | 20.0 % (10.0 % to 30.0 %), n = 100 |",
        "| mean | 0.8000, n = 100 |",
        "Split test of faces.csv.",
    ):
        assert told in page


@pytest.mark.parametrize("counts", [None, 7, [1], {"train": 3}, {"a": {"real": "x"}}])
def test_a_strangers_counts_may_be_anything(manifest, counts):
    other = dataclasses.replace(manifest, training_data={"counts": counts})
    assert "## Training data" in as_markdown(other)


def test_without_groups_far_over_the_page_says_so(manifest):
    rows = manifest.card.rows[:1]
    card = dataclasses.replace(manifest.card, rows=rows)
    assert "no group that was measured is over 3 times" in as_markdown(
        dataclasses.replace(manifest, card=card)
    )


def test_a_bundle_without_a_card_has_no_page(tiny_bundle):
    with pytest.raises(ValueError, match="no model card"):
        as_markdown(read_bundle(tiny_bundle).manifest)


def test_the_text_names_the_worst_perturbations_only():
    rows = tuple(
        CardRow("perturbation", f"blur-{i}", "accuracy", i / 10, 0.0, 1.0, 9) for i in range(9)
    )
    told = "\n".join(as_lines(dataclasses.replace(read_card(TREE), rows=rows)))
    assert "perturbation, the 5 with the lowest accuracy of 9" in told
    assert "blur-4:" in told
    assert "blur-5:" not in told


def test_a_detector_has_tells_and_saves_its_card(tiny_bundle, tmp_path):
    card = read_card(TREE)
    save_with_card(tmp_path / "carded", read_bundle(tiny_bundle), card)
    detector = Detector.load(tmp_path / "carded")
    assert detector.card_ == card
    assert "intended use: Flagging photographs for review." in detector.describe()
    detector.save(tmp_path / "again.zip")
    assert read_bundle(tmp_path / "again.zip").manifest.card == card


def test_learning_again_marks_the_figures_of_the_card(tiny_bundle, tmp_path):
    save_with_card(tmp_path / "carded", read_bundle(tiny_bundle), read_card(TREE))
    origin = Origin.of(read_bundle(tmp_path / "carded")).changed("all")
    assert "before combiner, calibrator and threshold" in origin.card.stale
    assert origin.changed("threshold").card == origin.card
