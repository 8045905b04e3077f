"""Batches of a training epoch."""

import numpy as np
import pytest

from synthdetect.images.perturb import Augmentation
from synthdetect.images.views import CenterCrop, Resize
from synthdetect.members.schedule import Schedule
from synthdetect.training.sequence import epoch_batches

pytest.importorskip("keras")

Y = np.array([0, 0, 0, 1], np.int64)
CROP = CenterCrop(16)
STILL = Augmentation(flip=0, jpeg=0, resize=0, blur=0)


def grey(index):
    return np.full((16, 16, 3), 60 * index, np.uint8)


def batch_of(plan, *, pixels=grey, view=CROP, **options):
    batches = epoch_batches(
        pixels, Y, view=view, plan=plan, augmentation=STILL, seed=1, epoch=1, **options
    )
    return batches[0]


def plan(**options):
    return Schedule(crops=(16,), epochs=1, batch_size=4, **options)


def test_a_batch_has_crops_labels_and_equal_weights():
    crops, labels, weights = batch_of(plan())
    assert (crops.shape, crops.dtype) == ((4, 16, 16, 3), np.uint8)
    levels = crops[:, 0, 0, 0] // 60
    np.testing.assert_array_equal(labels[:, 0], Y[levels])
    np.testing.assert_array_equal(weights, 1.0)


def test_balanced_classes_weigh_the_same():
    _, labels, weights = batch_of(plan(balanced=True))
    synthetic = labels[:, 0] == 1
    assert weights[synthetic].sum() == pytest.approx(weights[~synthetic].sum())
    assert weights.mean() == pytest.approx(1.0)


def test_mixed_crops_have_labels_mixed_alike():
    plain, labels, _ = batch_of(plan())
    crops, mixed, _ = batch_of(plan(mixup=1.0))
    share = (crops[0, 0, 0, 0] - float(plain[-1, 0, 0, 0])) / (
        float(plain[0, 0, 0, 0]) - float(plain[-1, 0, 0, 0])
    )
    wanted = share * labels[0] + (1 - share) * labels[-1]
    np.testing.assert_allclose(mixed[0], wanted, atol=0.02)


def test_half_of_a_label_is_the_teachers():
    _, labels, _ = batch_of(plan())
    _, taught, _ = batch_of(plan(), teacher=lambda crops: np.zeros(len(crops)))
    np.testing.assert_allclose(taught, 0.5 * labels + 0.25)


def test_an_epoch_that_is_repeated_is_the_same():
    first, again = batch_of(plan(mixup=0.3)), batch_of(plan(mixup=0.3))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_view_of_whole_images_trains_on_whole_images():
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, 32:] = 200
    crops, _, _ = batch_of(plan(), pixels=lambda index: halves, view=Resize(16))
    np.testing.assert_array_equal(crops[:, :, 0].max(axis=(1, 2)), 0)
    np.testing.assert_array_equal(crops[:, :, -1].min(axis=(1, 2)), 200)


@pytest.mark.parametrize("mixup", [0.2, 1.0])
def test_balanced_classes_weigh_the_same_when_they_are_mixed(mixup):
    _, labels, weights = batch_of(plan(balanced=True, mixup=mixup))
    synthetic = float(np.sum(weights * labels[:, 0]))
    assert synthetic == pytest.approx(float(weights.sum()) / 2, rel=1e-5)
    assert weights.mean() == pytest.approx(1.0)
