"""The part of an audit that perturbs a sample: figures of a stress test, and what stands out."""

import dataclasses
import json
from contextlib import contextmanager

import numpy as np
import pytest

from conftest import labelled_arrays
from synthdetect import Detector, audit, stress_test
from synthdetect.auditing import robustness as module
from synthdetect.auditing.robustness import MAIN, robustness
from synthdetect.data.dataset import from_arrays
from synthdetect.ensemble.threshold import Threshold
from synthdetect.evaluation.robustness import Form, Robustness, perturbed_rows
from synthdetect.evaluation.stability import Stability, flips
from synthdetect.images.perturbations import RESHIPPINGS

pytest.importorskip("matplotlib", reason="needs the plots extra")


@pytest.fixture(scope="module")
def data():
    return from_arrays(*labelled_arrays(4, seed=21))


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return Detector.load(tiny_bundle)


@pytest.fixture(scope="module")
def shown():
    """What was told to the progress bars: what, of how many, and how many steps there were."""
    return {}


@pytest.fixture(scope="module")
def report(detector, data, shown):
    @contextmanager
    def progress(what, total):
        shown[what] = [total, 0]

        def advance():
            shown[what][1] += 1

        yield advance

    return audit(detector, data, stress_images=6, sections=[robustness], progress=progress, seed=3)


def test_figures_are_those_of_a_stress_test(report, detector, data):
    same = stress_test(detector, data, perturbations=MAIN, max_images=6, seed=3).robustness
    assert json.loads(report.to_json())["sections"][report.sections[0].title] == same.to_dict()


def test_it_measures_a_sample_of_both_classes(report):
    untouched = report.sections[0].values["perturbations"][0]
    assert untouched["n"] == 6
    assert untouched["n_real"] == 3


def test_words_say_how_many_and_how_long(report):
    assert "6 of 8 images (3 real, 3 synthetic)" in report.sections[0].words[0]
    assert "it took" in report.sections[0].words[0]


def test_progress_of_both_parts_is_shown(report, shown):
    assert shown == {"images": [8, 8], "images under stress": [6, 6]}


def test_tables_have_the_rates_the_drift_and_the_flips_by_form(report):
    first, forms = report.sections[0].tables[:2]
    assert [row[0] for row in first.rows] == ["untouched", *(one.name for one in MAIN)]
    assert {"accuracy", "real flagged (FPR)", "FPR change, points"} <= set(first.header)
    assert {one.name for one in RESHIPPINGS} <= {row[0] for row in forms.rows}


def test_curves_say_in_words_what_they_show(report):
    pictures = report.sections[0].pictures
    assert [one.title for one in pictures] == ["JPEG quality", "WebP quality", "scale"]
    assert all(one.chart for one in pictures)
    assert "real images flagged (n = 3) at 30: " in pictures[0].caption
    html = report.to_html()
    assert all(f'alt="{one.title}. By ' in html for one in pictures)


def test_without_stress_images_the_report_says_so(detector, data):
    report = audit(detector, data, stress_images=0, sections=[robustness])
    assert report.attention == (
        "Robustness was not measured: no images were to be perturbed (stress_images is 0).",
    )
    assert "Robustness was not measured" in report.to_html()
    assert "left_out" in report.to_json()


def test_fewer_than_none_is_refused(detector, data):
    with pytest.raises(ValueError, match="stress_images is -1; use 0 or more"):
        audit(detector, data, stress_images=-1)


def test_images_too_small_for_a_form_leave_the_part_out_with_the_reason(detector, data):
    small = from_arrays([image[:40, :40] for image in data.images], data.y)
    report = audit(detector, small, sections=[robustness])
    assert "none of 8 images could be judged in all forms" in report.attention[0]


def stressed(moved, n=200):
    """A stress test of probabilities whose log-odds a form moves by `moved`."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    logit = 3.0 * (2 * y - 1) + rng.normal(0, 1.5, n)
    p = {name: 1 / (1 + np.exp(-(logit + by))) for name, by in moved.items()}
    forms = [Form(name, "made up", None, False) for name in moved]
    decide = Threshold(0.5, "by hand").decide
    seen = Stability.of(list(moved), np.column_stack(list(p.values())), decide)
    return Robustness(perturbed_rows(y, p, forms, 0.5), flips(seen, y), 0.5, 0.95, 0)


def test_the_worst_change_of_each_kind_comes_first_on_the_page():
    found = stressed({"untouched": 0.0, "brighter": 1.5, "brightest": 3.0, "darker": -2.5})
    flagged, caught, flipped = module._attention(found)
    assert flagged.startswith("Under brightest, ")
    assert "under 2 of 3 perturbations" in flagged
    assert caught.startswith("Under darker, ")
    assert "under 1 of 3 perturbations" in caught
    assert "of decisions flip" in flipped


def test_what_chance_would_do_is_not_told():
    assert list(module._attention(stressed({"untouched": 0.0, "same": 0.02}))) == []


def test_a_form_that_no_real_image_came_through_is_no_alarm():
    found = stressed({"untouched": 0.0, "same": 0.0})
    empty = perturbed_rows(
        [1, 1], {"a": np.ones(2), "b": np.ones(2)}, [Form("a", "x", None, False)] * 2, 0.5
    )
    one_class = dataclasses.replace(found, rows=empty)
    assert list(module._attention(one_class)) == []
