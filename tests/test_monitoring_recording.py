"""What is recorded of images and scores, and what is not."""

import hashlib
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from conftest import native
from monitored import ScoresOnly, started
from synthdetect import Detector
from synthdetect.ensemble.calibrate import Temperature
from synthdetect.errors import DataError, StoreError
from synthdetect.monitoring.events import DECISIONS
from synthdetect.monitoring.monitor import Monitor
from synthdetect.monitoring.recording import is_scores, sharpness


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return Detector.load(tiny_bundle)


@pytest.fixture
def monitor(detector, tmp_path):
    normal = np.random.default_rng(0).beta(1, 9, 100)
    return Monitor.for_detector(detector, reference=normal, store=tmp_path / "m.db")


def all_of(monitor):
    return monitor._store.between(0, 1e12)


def test_images_are_scored_as_by_the_detector_and_their_facts_kept(monitor, detector, image_folder):
    paths = [image_folder / name for name in ("a.jpg", "broken.jpg", "b.png", "c.png")]
    recorded = monitor.record(paths, hashes=True)
    expected = detector.predict_proba(paths, on_error="nan")[:, 1]
    np.testing.assert_array_equal(recorded.p, expected)
    assert recorded.decisions.tolist() == detector.predict(paths, on_error="nan").tolist()
    assert list(recorded.errors) == [1]
    assert recorded.errors[1].source == str(paths[1])
    events = all_of(monitor)
    assert [events.formats[code] for code in events.format] == ["JPEG", "JPEG", "PNG", "PNG"]
    assert events.facts["width"][0] == 160
    assert events.facts["jpeg_quality"][0] == 95
    assert events.facts["n_bytes"][2] == paths[2].stat().st_size
    assert DECISIONS[events.decision[1]] == "unreadable"
    digest = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    assert monitor.label({digest: "real"}, by="sha256") == 1


def test_neither_pixels_nor_names_nor_unasked_hashes_are_kept(monitor, image_folder):
    monitor.record(image_folder / "b.png")
    with monitor._store.database.reading() as connection:
        (row,) = connection.rows("SELECT * FROM monitor_events")
    texts = [value for value in row if isinstance(value, str | bytes)]
    assert sorted(texts) == sorted(["PNG", "real" if "real" in texts else "synthetic"])


def test_bytes_files_arrays_and_generators_are_images_too(monitor, image_folder):
    content = (image_folder / "b.png").read_bytes()
    pixels = native(np.random.default_rng(0))
    sources = [content, io.BytesIO(content), Image.open(io.BytesIO(content)), pixels]
    recorded = monitor.record(iter([*sources, b"nothing"]))
    assert recorded.decisions[4] == "unreadable"
    assert len(set(recorded.p[:3].tolist())) == 1
    events = all_of(monitor)
    assert math.isnan(events.facts["n_bytes"][3])
    assert events.facts["width"][3] == pixels.shape[1]


def test_images_may_be_the_reference(detector, tmp_path):
    rng = np.random.default_rng(1)
    images = [native(rng) for _ in range(60)]
    monitor = Monitor.for_detector(detector, reference=images, store=tmp_path / "m.db")
    assert monitor.reference.n == 60
    assert {"score", "sharpness", "megapixels"} <= set(monitor.reference.samples)


def test_sharpness_falls_with_blur_and_looks_at_the_middle():
    image = Image.fromarray(native(np.random.default_rng(0), 200))
    blurred = image.filter(ImageFilter.GaussianBlur(2))
    assert sharpness(np.asarray(blurred)) < sharpness(np.asarray(image)) / 4
    framed = np.zeros((900, 900, 3), dtype=np.uint8)
    framed[150:750, 150:750] = native(np.random.default_rng(0), 600)
    assert sharpness(framed) == pytest.approx(sharpness(framed[194:706, 194:706]))


class Column:
    """What pandas calls a Series, as far as it matters here."""

    def __init__(self, values):
        self._values = values

    def __len__(self):
        return len(self._values)

    def to_numpy(self):
        return np.array(self._values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self._values, dtype=dtype)


def test_scores_images_and_logits_are_told_apart():
    assert is_scores([0.1, 0.2])
    assert is_scores(np.zeros(3))
    assert is_scores(np.zeros((3, 2)))
    assert is_scores([[0.1, 2.0]])
    assert not is_scores(np.zeros((3, 4, 4, 3), dtype=np.uint8))
    assert not is_scores(["a.jpg"])
    assert not is_scores("a.jpg")
    assert not is_scores([])
    assert is_scores(0.3)
    assert is_scores(np.float32(0.3))
    assert is_scores([0, 0.2])
    assert is_scores([None, 0.2])
    assert is_scores([1, 0])
    assert is_scores([np.zeros(4), np.ones(4)])
    assert is_scores(np.array([0.1, None], dtype=object))
    assert is_scores(Column([0.1, 0.2]))
    assert not is_scores([np.zeros((8, 8)), np.zeros((8, 8))])
    assert not is_scores([None])
    assert not is_scores([True, False])
    assert not is_scores(np.array(["a.jpg"], dtype=object))
    assert not is_scores([0.1, "a.jpg"])


@pytest.mark.parametrize(
    "scores", [[0, 0.2], [1, None], Column([0, 0.2])], ids=["int first", "None", "column"]
)
def test_scores_in_any_form_are_recorded_as_scores(monitor, scores):
    assert monitor.record(scores).decisions[0] in ("real", "synthetic")


def test_one_score_is_refused_by_its_shape_and_recorded_as_nothing(monitor):
    with pytest.raises(DataError, match=r"scores have shape \(\); give probabilities of shape"):
        monitor.record(0.3)
    assert len(all_of(monitor)) == 0


@pytest.mark.parametrize("names", [("a",), ("a", "b")], ids=len)
def test_rows_of_predict_proba_are_not_taken_for_logits(tmp_path, names):
    detector = ScoresOnly(names=names)
    p = np.array([0.2, 0.9, np.nan])
    both = np.column_stack([1 - p, p])
    with pytest.raises(DataError, match="rows of predict_proba"):
        Monitor.for_detector(detector, reference=both, store=tmp_path / "m.db")
    monitor = Monitor.for_detector(detector, reference=np.full(60, 0.1), store=tmp_path / "m.db")
    with pytest.raises(DataError, match="rows of predict_proba"):
        monitor.record(both)
    assert monitor.record(both[:, 1]).p[:2].tolist() == [0.2, 0.9]


@pytest.mark.parametrize("key", ["x", None, -1, 10**20, 2**63])
def test_what_is_no_id_is_refused(monitor, key):
    with pytest.raises(DataError, match="is no id of a recorded image"):
        monitor.label({key: "real"})


def test_scores_of_uneven_rows_are_refused(monitor):
    with pytest.raises(DataError, match="scores are not an array of numbers"):
        monitor.record([[0.1], [0.2, 0.3]])


def test_no_images_are_recorded_as_none(monitor):
    assert len(monitor.record([]).ids) == 0


def test_logits_become_probabilities_even_without_the_detector(tmp_path):
    logits = np.random.default_rng(0).normal(size=(20, 2))
    first = started(tmp_path / "m.db").record(logits).p
    np.testing.assert_array_equal(Monitor.open(tmp_path / "m.db").record(logits).p, first)


@pytest.mark.parametrize(
    ("scores", "options", "told"),
    [
        ([1.5], {}, "score 0 is 1.5"),
        (np.zeros((2, 5)), {}, r"shape \(2, 5\)"),
        ([0.1, 0.2], {"labels": ["real"]}, "1 labels for 2"),
        ([0.1, 0.2], {"when": [1.0]}, "1 times for 2"),
        ([0.1], {"when": "yesterday"}, "ISO 8601"),
        ([0.1], {"when": "2026-01-31T12:00"}, "no time zone"),
        ([0.1, 0.2], {"tags": [{"a": "b"}]}, "1 entries for 2"),
        ([0.1], {"tags": {"a": 1}}, "texts to texts"),
        ([0.1], {"facts": {"colour": [1]}}, "'colour' is not known"),
        ([0.1], {"facts": {"width": [1, 2]}}, "2 values for 1"),
        (["a.jpg"], {"facts": {"width": [1]}}, "facts go with scores"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(monitor, scores, options, told):
    with pytest.raises(DataError, match=told):
        monitor.record(scores, **options)
    assert len(all_of(monitor)) == 0


def test_images_need_a_detector(tmp_path, image_folder):
    started(tmp_path / "m.db")
    with pytest.raises(DataError, match="has no detector"):
        Monitor.open(tmp_path / "m.db").record(image_folder)


def test_a_store_of_other_members_or_another_calibrator_is_refused(tmp_path):
    started(tmp_path / "m.db")
    with pytest.raises(StoreError, match="has \\['c'\\]"):
        Monitor.for_detector(ScoresOnly(names=("c",)), store=tmp_path / "m.db")
    other = ScoresOnly()
    other.decision_ = replace(other.decision_, calibrator=Temperature(2.0))
    with pytest.raises(StoreError, match="another calibrator"):
        Monitor.for_detector(other, store=tmp_path / "m.db")


def test_a_threshold_may_move_and_old_decisions_stay(tmp_path):
    started(tmp_path / "m.db").record([0.6])
    moved = Monitor.for_detector(ScoresOnly(cut=0.7), store=tmp_path / "m.db")
    moved.record([0.6])
    assert Monitor.open(tmp_path / "m.db").threshold.value == 0.7
    assert [DECISIONS[code] for code in all_of(moved).decision] == ["synthetic", "real"]


def test_a_new_store_needs_a_reference_that_is_large_enough(tmp_path):
    with pytest.raises(DataError, match="needs a reference"):
        Monitor.for_detector(ScoresOnly(), store=tmp_path / "m.db")
    with pytest.raises(DataError, match="3 readable images"):
        started(tmp_path / "m.db", reference=[0.1, 0.2, 0.3])
    assert started(tmp_path / "m.db").reference.n == 3000
