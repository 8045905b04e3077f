"""Scoring a stream: order, errors in place, a bounded number of images at once."""

import itertools

import numpy as np
import pytest

from synthdetect.images.limits import Limits
from synthdetect.images.perturbations import UNTOUCHED, Perturbation, Step
from synthdetect.images.views import CenterCrop, Resize
from synthdetect.members.score import Turn, score_stream, score_variants


class Brightness:
    """A real scorer, if a simple one: the mean of the crops; it counts its calls."""

    def __init__(self, uses_all_cores):
        self.uses_all_cores = uses_all_cores
        self.batches = []

    def logits(self, crops):
        self.batches.append(len(crops))
        return crops.reshape(len(crops), -1).mean(axis=1)


def picture(value):
    return np.full((40, 40, 3), value, np.uint8)


def run(images, scorers, **options):
    views = [CenterCrop(32), Resize(36)][: len(scorers)]
    return list(score_stream(images, views, scorers, limits=Limits(), **options))


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 40])
def test_all_images_come_in_order_with_a_column_a_member(n):
    scored = run([picture(i) for i in range(n)], [Brightness(True), Brightness(False)])
    assert [s.index for s in scored] == list(range(n))
    wanted = np.repeat(np.arange(n), 2).reshape(n, 2)
    np.testing.assert_array_equal(np.array([s.logits for s in scored]).reshape(n, 2), wanted)


def test_bad_images_are_nan_in_their_place():
    scored = run([picture(1), b"", picture(3)], [Brightness(True), Brightness(False)])
    assert [s.error is None for s in scored] == [True, False, True]
    assert np.isnan(scored[1].logits).all()
    assert scored[2].logits.tolist() == [3, 3]


def test_batch_of_bad_images_alone_asks_no_member():
    scorer = Brightness(True)
    assert all(s.error for s in run([b"", b""], [scorer]))
    assert scorer.batches == []


def test_members_get_batches_or_single_images_as_they_ask():
    together, alone = Brightness(True), Brightness(False)
    run([picture(i) for i in range(20)], [together, alone], batch_size=8)
    assert together.batches == [8, 8, 4]
    assert alone.batches == [1] * 20


def test_generator_is_drawn_a_bounded_number_ahead():
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield picture(drawn % 256)

    stream = score_stream(
        endless(), [CenterCrop(32)], [Brightness(True)], limits=Limits(), batch_size=4
    )
    for taken, _ in enumerate(itertools.islice(stream, 40), start=1):
        assert drawn <= taken + 2 * 4
    stream.close()


def test_later_members_are_asked_about_undecided_images_alone():
    first, second = Brightness(True), Brightness(False)
    bright = Turn((0,), lambda logits: logits[:, 0] >= 10)
    scored = run([picture(i) for i in range(16)], [first, second], turns=[bright], batch_size=16)
    assert [np.isnan(s.logits[1]) for s in scored] == [i < 10 for i in range(16)]
    assert [s.logits[0] for s in scored] == list(range(16))
    assert (first.batches, second.batches) == ([16], [6])


def test_nobody_is_asked_when_all_is_clear():
    first, second = Brightness(False), Brightness(True)
    clear = Turn((0,), lambda logits: np.zeros(len(logits), dtype=bool))
    scored = run([picture(1), b"", picture(2)], [first, second], turns=[clear])
    assert second.batches == []
    assert [s.error is None for s in scored] == [True, False, True]


DARKER = Perturbation(
    "darker", "x", (Step("tone", {"brightness": 0.5, "contrast": 1.0, "gamma": 1.0}),)
)
SMALLER = Perturbation("smaller", "x", (Step("resize", {"scale": 0.5}),))


def variants(images, perturbations, scorers, **options):
    views = [CenterCrop(32), Resize(36)][: len(scorers)]
    return list(score_variants(images, perturbations, views, scorers, limits=Limits(), **options))


def test_each_perturbation_has_its_row():
    scored = variants(
        [picture(100), b"", picture(200)],
        [UNTOUCHED, DARKER],
        [Brightness(True), Brightness(False)],
    )
    np.testing.assert_array_equal(scored[0].logits, [[100, 100], [50, 50]])
    np.testing.assert_array_equal(scored[2].logits, [[200, 200], [100, 100]])
    assert scored[1].error is not None
    assert np.isnan(scored[1].logits).all()


def test_a_result_outside_the_limits_is_refused_alone_and_names_the_image():
    (scored,) = variants([picture(100)], [SMALLER, DARKER], [Brightness(True)])
    assert np.isnan(scored.logits[0]).all()
    assert scored.logits[1].tolist() == [50]
    assert scored.error is None
    assert str(scored.refused["smaller"]).startswith("image 0: is outside the limits")


@pytest.mark.parametrize(("n_forms", "batches"), [(4, [8, 8, 4]), (20, [20] * 5)])
def test_a_batch_is_of_variants_and_never_less_than_an_image(n_forms, batches):
    scorer = Brightness(True)
    variants([picture(i) for i in range(5)], [UNTOUCHED] * n_forms, [scorer], batch_size=8)
    assert scorer.batches == batches


def test_an_image_is_drawn_and_decoded_once_for_all_its_forms():
    drawn = []

    def images():
        for i in range(3):
            drawn.append(i)
            yield picture(i)

    variants(images(), [UNTOUCHED, DARKER] * 10, [Brightness(True)])
    assert drawn == [0, 1, 2]
