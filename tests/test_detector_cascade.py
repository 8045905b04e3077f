"""A detector that asks its members in turn."""

import dataclasses
import html
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from typer.testing import CliRunner

from conftest import labelled_arrays, write_manifest
from synthdetect import Detector, Fixed, Monitor, SpectralMember, audit, explain, stress_test
from synthdetect.bundle.format import read_bundle, write_bundle
from synthdetect.cli import app
from synthdetect.data.dataset import from_arrays
from synthdetect.errors import BundleError, DataError, RecipeError
from synthdetect.images.views import Crops
from synthdetect.training.fit import train_ensemble
from synthdetect.training.recipe import Recipe, only_members

QUICK = {"view": Crops(1, 128), "copies": 0, "n_hidden": 8, "n_epochs": 40, "learning_rate": 3e-3}
FIRST = SpectralMember(name="first", n_nets=1, **QUICK)
SECOND = SpectralMember(name="second", n_nets=2, **QUICK)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Bundle of two members and a cascade that asks the first one first."""
    folder = tmp_path_factory.mktemp("cascade")
    recipe = Recipe(members=(FIRST, SECOND), cascade=("first",), seed=1)
    dataset = from_arrays(*labelled_arrays(60, seed=5))
    trained = train_ensemble(dataset, recipe, out=folder / "run")
    return Detector.from_training(trained).save(folder / "bundle")


@pytest.fixture(scope="module")
def images():
    return labelled_arrays(20, seed=6)[0]


@pytest.fixture(scope="module")
def few(images):
    return images[::5]


def test_cascade_comes_back_from_the_bundle(path):
    detector = Detector.load(path)
    assert [stage.columns for stage in detector.cascade_.stages] == [(0,)]
    assert detector.cascade_.changed.n == 24
    assert f"stop after first: {detector.cascade_.stopped[0]}" in detector.describe()


def test_decisions_are_those_of_the_whole_ensemble(path, images):
    full, cascade = (Detector.load(path, mode=mode) for mode in ("full", "cascade"))
    assert (full.predict(images) == cascade.predict(images)).all()


def test_commands_that_measure_and_explain_take_the_mode(path, tmp_path):
    write_manifest(tmp_path, 10, seed=6)
    for command in (
        ("explain", "000.png", "--html", "explain.html"),
        ("audit", "manifest.csv", "--out", "audit.html", "--stress-images", "0"),
        ("stress", "manifest.csv", "--max-images", "2", "--out", "stress.html"),
    ):
        words = [str(tmp_path / word) if "." in word else word for word in command]
        found = CliRunner().invoke(app, [*words, "--bundle", str(path), "--mode", "cascade"])
        assert found.exit_code == 0, found.output
        page = (tmp_path / f"{command[0]}.html").read_text(encoding="utf-8")
        assert "sked in turn (mode 'cascade')" in html.unescape(page), command


def test_images_that_stop_get_the_probability_of_their_stage(path, images):
    cascade = Detector.load(path, mode="cascade")
    logits = cascade.member_logits(images)
    assert np.isfinite(logits).all()
    stage, decision = cascade.cascade_.stages[0], cascade.decision_
    stops = ~stage.undecided(decision.combiner, logits)
    assert stops.any()
    p = cascade.predict_proba(images)[:, 1]
    np.testing.assert_array_equal(p[stops], stage.probability(decision.combiner, logits)[stops])
    np.testing.assert_array_equal(p[~stops], decision.probability(logits)[~stops])


def test_stream_and_batches_of_any_size_agree(path, images):
    cascade = Detector.load(path, mode="cascade")
    p = cascade.predict_proba(images)[:, 1]
    np.testing.assert_array_equal([found for _, found, _ in cascade.stream(iter(images))], p)
    np.testing.assert_array_equal([cascade.predict_proba([i])[0, 1] for i in images[:3]], p[:3])


def test_logits_that_are_remembered_do_not_change_the_cascade(path, images):
    cascade = Detector.load(path, mode="cascade")
    before = cascade.predict_proba(images)
    cascade.calibrate(images, [0] * 20 + [1] * 20, policy=Fixed(cascade.threshold_))
    again = Detector.load(path, mode="cascade")
    again.cascade_ = cascade.cascade_
    np.testing.assert_array_equal(cascade.predict_proba(images), again.predict_proba(images))
    assert before.shape == (40, 2)


def test_calibration_learns_the_bands_again(path, images):
    detector = Detector.load(path)
    before = detector.cascade_
    detector.calibrate(images, [0] * 20 + [1] * 20, policy=Fixed(0.9))
    assert detector.cascade_ != before
    assert all(stage.high >= 0.9 for stage in detector.cascade_.stages)


def test_a_cascade_that_was_learned_again_is_saved(path, images, tmp_path):
    detector = Detector.load(path)
    detector.calibrate(images, [0] * 20 + [1] * 20, policy=Fixed(0.9))
    again = Detector.load(detector.save(tmp_path / "again"), mode="cascade")
    assert again.cascade_ == detector.cascade_
    assert again.digest_ != Detector.load(path).digest_
    np.testing.assert_array_equal(
        again.predict_proba(images), detector.set_params(mode="cascade").predict_proba(images)
    )


def test_mode_can_be_set_cloned_and_pickled(path, images):
    detector = Detector.load(path)
    full = detector.predict_proba(images)
    assert clone(detector.set_params(mode="cascade")).mode == "cascade"
    cascade = detector.predict_proba(images)
    assert (cascade != full).any()
    copied = pickle.loads(pickle.dumps(detector))  # noqa: S301 - our own object
    np.testing.assert_array_equal(copied.predict_proba(images), cascade)
    np.testing.assert_array_equal(detector.set_params(mode="full").predict_proba(images), full)


def test_forms_of_an_image_are_judged_by_the_cascade_as_images_are(path, images):
    cascade = Detector.load(path, mode="cascade")
    seen = cascade.stability([images[0], b"no image", images[30]], on_error="nan")
    assert list(cascade.errors_) == [1]
    assert np.isnan(seen.p[1]).all()
    np.testing.assert_array_equal(seen.p[::2, 0], cascade.predict_proba(images[::30])[:, 1])


def test_few_images_move_the_threshold_and_drop_the_cascade_with_a_warning(path, images):
    detector = Detector.load(path)
    few, y = [*images[:3], *images[-3:]], [0] * 3 + [1] * 3
    with pytest.warns(UserWarning, match="cascade cannot be learned again .y has 3 real images"):
        detector.calibrate(few, y, policy=Fixed(0.9))
    assert detector.threshold_ == 0.9
    assert detector.cascade_ is None


def test_a_cascade_in_use_is_never_dropped_and_a_failure_changes_nothing(path, images):
    detector = Detector.load(path, mode="cascade")
    before = (detector.decision_, detector.cascade_, detector.digest_)
    with pytest.raises(DataError, match="too few for 5 folds"):
        detector.calibrate([*images[:3], *images[-3:]], [0] * 3 + [1] * 3, policy=Fixed(0.9))
    assert (detector.decision_, detector.cascade_, detector.digest_) == before


def test_threads_see_a_decision_with_its_own_cascade(path, images):
    detector = Detector.load(path, mode="cascade")
    learned = [(detector.decision_, detector.cascade_)]
    seen, stop = {}, threading.Event()

    def look():
        while not stop.is_set():
            judge = detector._judge()
            seen[id(judge.decision), id(judge.cascade)] = judge

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        for threshold in np.linspace(0.1, 0.9, 5):
            detector.calibrate(images, [0] * 20 + [1] * 20, policy=Fixed(float(threshold)))
            learned.append((detector.decision_, detector.cascade_))
        stop.set()
        looking.result()
    assert seen.keys() <= {(id(decision), id(cascade)) for decision, cascade in learned}
    assert len(seen) > 1


def test_a_bundle_whose_cascade_asks_members_without_a_say_is_refused(path, tmp_path):
    bundle = read_bundle(path)
    weights = {**bundle.manifest.combiner, "weights": [0.0, 1.0]}
    forged = dataclasses.replace(bundle.manifest, combiner=weights)
    write_bundle(tmp_path / "forged", forged, bundle.files)
    with pytest.raises(BundleError, match="have no say in the combiner"):
        Detector.load(tmp_path / "forged")


def test_detector_without_a_cascade_says_so(tiny_bundle):
    with pytest.raises(BundleError, match="has no cascade; use mode='full'"):
        Detector.load(tiny_bundle, mode="cascade")
    with pytest.raises(ValueError, match="mode is 'quick'"):
        Detector.load(tiny_bundle, mode="quick")


@pytest.mark.parametrize(
    ("cascade", "message"),
    [(("frist",), "did you mean first"), (("first", "first"), "each once")],
)
def test_impossible_cascades_are_refused(cascade, message):
    with pytest.raises(RecipeError, match=message):
        Recipe(members=(FIRST, SECOND), cascade=cascade)


def test_one_member_is_no_cascade():
    with pytest.raises(RecipeError, match="at least two members"):
        Recipe(members=(FIRST,), cascade=("first",))


def test_part_of_a_recipe_has_no_cascade():
    recipe = Recipe(members=(FIRST, SECOND), cascade=("first",))
    assert only_members(recipe, ["second"]).cascade == ()
    assert dataclasses.replace(recipe, cascade=()).members == recipe.members


def cleared_early(path):
    """A detector that asks in turn, and whose first member decides everything by other means.

    Its stage's temperature is not that of the ensemble, so probabilities show who was asked.
    """
    cascade = Detector.load(path, mode="cascade")
    stage = dataclasses.replace(cascade.cascade_.stages[0], low=0.4999, high=0.5001)
    cascade.cascade_ = dataclasses.replace(cascade.cascade_, stages=(stage,))
    return cascade


def test_probabilities_of_logits_are_those_of_the_images(path, few):
    for detector in (cleared_early(path), Detector.load(path)):
        p = detector.probability_of(detector.member_logits(few))
        np.testing.assert_array_equal(p, detector.predict_proba(few)[:, 1])


def test_audit_measures_what_the_cascade_answers_and_says_so(path, few):
    y = np.repeat([0, 1], 4)
    detector = cleared_early(path)
    report = audit(detector, from_arrays(few, y), stress_images=0)
    same = detector.evaluate(few, y)
    assert report.evaluation.log_loss.value == same.log_loss.value
    by_all = Detector.load(path).evaluate(few, y)
    assert report.evaluation.log_loss.value != by_all.log_loss.value
    first = report.sections[0]
    assert "asked in turn (mode 'cascade')" in first.words[-1]
    assert report.to_dict()["sections"][first.title]["cascade"]["stopped"]["value"] > 0.9


def test_an_audit_of_all_members_has_no_word_of_a_cascade(path, few):
    report = audit(Detector.load(path), from_arrays(few, [0] * 4 + [1] * 4), stress_images=0)
    assert report.sections[0].values["cascade"] is None


def test_a_stress_test_measures_what_the_cascade_answers(path, few):
    detector = cleared_early(path)
    data = from_arrays(few, [0] * 4 + [1] * 4)
    stressed = stress_test(detector, data, perturbations=())
    np.testing.assert_array_equal(
        np.column_stack([stressed.p[name] for name in stressed.robustness.flips.by_form]),
        detector.stability(data.images).p[:, 1:],
    )


def test_explanation_is_of_all_members_and_tells_the_cascade_s_answer(path, few):
    detector = cleared_early(path)
    found = explain(detector, few[0], patches=False)
    assert found.p == Detector.load(path).predict_proba(few[:1])[0, 1]
    assert found.in_turn.p == detector.predict_proba(few[:1])[0, 1]
    assert found.in_turn.members == ("first",)
    assert "Asked in turn (mode 'cascade'), the detector asks first and says" in str(found)
    assert "Asked in turn" in found.to_html()
    assert found.to_dict()["in_turn"]["members"] == ["first"]


def test_explanation_by_all_members_has_no_cascade(path, few):
    assert explain(Detector.load(path), few[0], patches=False).in_turn is None


def test_monitor_records_what_all_members_say(path, few, tmp_path):
    reference = np.random.default_rng(0).beta(1, 3, 100)
    detector = cleared_early(path)
    monitor = Monitor.for_detector(detector, reference=reference, store=tmp_path / "m.db")
    np.testing.assert_array_equal(
        monitor.record(few[:4]).p, Detector.load(path).predict_proba(few[:4])[:, 1]
    )
