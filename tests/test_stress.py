"""A stress test of a real detector: one pass, seeded, whatever else is measured."""

import numpy as np
import pytest

from conftest import labelled_arrays
from synthdetect.bundle.format import read_bundle, write_bundle
from synthdetect.data.dataset import from_arrays
from synthdetect.detector import Detector
from synthdetect.errors import DataError
from synthdetect.images.perturb import Augmentation
from synthdetect.images.perturbations import BY_NAME, PERTURBATIONS, RESHIPPINGS, Perturbation
from synthdetect.stress import stress_test

SOME = tuple(BY_NAME[name] for name in ("jpeg-30", "noise-10.0", "crop-0.7"))


@pytest.fixture(scope="module")
def data():
    return from_arrays(*labelled_arrays(8, seed=21))


@pytest.fixture(scope="module")
def stressed(tiny_bundle, data):
    return stress_test(tiny_bundle, data, perturbations=SOME, seed=3)


def test_untouched_is_first_and_the_reshippings_are_measured_in_any_case(stressed):
    names = [row.name for row in stressed.robustness.rows]
    assert names[:4] == ["untouched", "jpeg-30", "noise-10.0", "crop-0.7"]
    assert set(names[4:]) == {one.name for one in RESHIPPINGS}
    assert list(stressed.robustness.flips.by_form) == [one.name for one in RESHIPPINGS]


def test_probabilities_are_those_of_the_detector_on_perturbed_images(stressed, tiny_bundle, data):
    detector = Detector.load(tiny_bundle)
    np.testing.assert_array_equal(
        stressed.p["untouched"], detector.predict_proba(data.images)[:, 1]
    )
    noisy = [
        BY_NAME["noise-10.0"].apply(image, seed=3, index=i) for i, image in enumerate(data.images)
    ]
    np.testing.assert_array_equal(stressed.p["noise-10.0"], detector.predict_proba(noisy)[:, 1])


def test_a_detector_a_path_and_other_threads_give_the_same(stressed, tiny_bundle, data):
    again = stress_test(Detector.load(tiny_bundle), data, perturbations=SOME[1:], seed=3, workers=1)
    for name, p in again.p.items():
        np.testing.assert_array_equal(p, stressed.p[name])


def test_another_seed_gives_other_noise_and_the_same_jpeg(stressed, tiny_bundle, data):
    other = stress_test(tiny_bundle, data, perturbations=SOME[:2], seed=4)
    np.testing.assert_array_equal(other.p["jpeg-30"], stressed.p["jpeg-30"])
    assert not np.array_equal(other.p["noise-10.0"], stressed.p["noise-10.0"])


def test_bad_images_are_left_out_with_their_reason_and_the_rest_counts(tiny_bundle, data):
    images = [data.images[0], b"no image", *data.images[8:10]]
    calls = []
    found = stress_test(
        tiny_bundle,
        from_arrays(images, [0, 0, 1, 1]),
        perturbations=(),
        advance=lambda: calls.append(1),
    )
    assert [error.source for error in found.unread] == ["image 1"]
    assert found.robustness["untouched"].n == 3
    assert found.robustness.note == "1 image(s) could not be read."
    assert len(calls) == 4


def test_results_outside_the_limits_are_told_and_left_out_of_their_row(tiny_bundle, data):
    small = data.images[0][:50, :50]
    found = stress_test(
        tiny_bundle, from_arrays([small, *data.images[1:]], data.y), perturbations=()
    )
    row = found.robustness["scale-0.5"]
    assert (row.n, row.n_left_out) == (15, 1)
    assert str(found.refused[0]).startswith("image 0: is outside the limits")
    assert found.robustness.flips.n_left_out == 1


def test_none_to_read_is_an_error(tiny_bundle):
    with pytest.raises(DataError, match="none of 2 images can be read; image 0: "):
        stress_test(tiny_bundle, from_arrays([b"a", b"b"], [0, 1]))


def test_two_perturbations_of_a_name_are_refused(tiny_bundle, data):
    twin = Perturbation("jpeg-60", "x", SOME[0].steps)
    with pytest.raises(DataError, match="two perturbations are called 'jpeg-60'"):
        stress_test(tiny_bundle, data, perturbations=(twin,))


def test_max_images_draws_both_classes(tiny_bundle, data):
    found = stress_test(tiny_bundle, data, perturbations=(), max_images=6)
    assert found.robustness["untouched"].n == 6
    assert 2 <= found.robustness["untouched"].n_real <= 4


def test_sources_are_a_grouping_of_flips_where_they_are_known(tiny_bundle, data, stressed):
    import dataclasses

    sourced = dataclasses.replace(data, source=np.where(data.y == 1, "gan", ""))
    found = stress_test(tiny_bundle, sourced, perturbations=())
    assert set(found.robustness.flips.groups["source"]) == {"gan", "(unknown)"}
    assert set(stressed.robustness.flips.groups) == {"class"}


def test_the_recipe_of_a_bundle_says_what_training_drew(tiny_bundle, data, tmp_path):
    import dataclasses

    bundle = read_bundle(tiny_bundle)
    recipe = {"augmentation": {"jpeg_quality": [20, 95], "of_another_version": 1}}
    write_bundle(
        tmp_path / "told", dataclasses.replace(bundle.manifest, recipe=recipe), bundle.files
    )
    told, untold = (
        stress_test(path, data, perturbations=SOME[:1], max_images=4).robustness["jpeg-30"].outside
        for path in (tmp_path / "told", tiny_bundle)
    )
    assert (told, untold) == (False, True)
    given = stress_test(
        tmp_path / "told",
        data,
        perturbations=SOME[:1],
        max_images=4,
        augmentation=Augmentation(jpeg=0),
    )
    assert given.robustness["jpeg-30"].outside


STRONG = {"augmentation": {"jpeg_quality": [20, 95]}}


@pytest.mark.parametrize(
    ("recipe", "unseen"),
    [
        ({"decision": STRONG | {"copies": 1}}, False),
        ({"decision": STRONG | {"copies": 0}}, True),
        ({"members": [{"kind": "spectral"}, STRONG]}, False),
    ],
)
def test_what_the_decision_or_one_member_saw_was_drawn_too(
    tiny_bundle, data, tmp_path, recipe, unseen
):
    import dataclasses

    bundle = read_bundle(tiny_bundle)
    write_bundle(
        tmp_path / "told", dataclasses.replace(bundle.manifest, recipe=recipe), bundle.files
    )
    found = stress_test(tmp_path / "told", data, perturbations=SOME[:1], max_images=4)
    assert found.robustness["jpeg-30"].outside is unseen


def test_the_whole_table_is_about_fifty():
    assert 40 <= len(PERTURBATIONS) <= 60
