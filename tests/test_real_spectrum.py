"""The spectrum of real images, and one image held against it."""

import json

import numpy as np
import pytest

from conftest import doubled, native
from synthdetect.explanation.spectrum import compare_spectrum
from synthdetect.members.real_spectrum import (
    FREQUENCIES,
    VIEW,
    measure_real_spectrum,
    packaged_real_spectrum,
    real_spectrum_from,
    spectrum_of,
)
from synthdetect.members.spectral_features import N_RINGS, feature_names, features


@pytest.fixture(scope="module")
def real():
    rng = np.random.default_rng(0)
    return measure_real_spectrum((native(rng, 160) for _ in range(20)), on="noise")


def test_it_is_the_spectral_member_s_luma_rings_to_the_last_bit():
    pixels = native(np.random.default_rng(0), 200)
    names = feature_names()[:N_RINGS]
    assert names[0] == "ring_power/luma/0"
    assert names[-1] == f"ring_power/luma/{N_RINGS - 1}"
    np.testing.assert_array_equal(spectrum_of(pixels), features(VIEW.apply(pixels))[:N_RINGS])


def test_a_tone_is_in_the_ring_of_its_frequency():
    x = np.arange(128)
    wave = np.rint(128 + 80 * np.sin(2 * np.pi * 0.25 * x)).astype(np.uint8)
    pixels = np.ascontiguousarray(np.broadcast_to(wave[:, np.newaxis], (128, 128, 3)))
    ring = int(np.argmax(spectrum_of(pixels)[1:])) + 1
    assert FREQUENCIES[ring] == pytest.approx(0.25, abs=0.5 / N_RINGS)


def test_what_a_bundle_keeps_survives_json(real):
    again = real_spectrum_from(json.loads(json.dumps(real.to_dict(), allow_nan=False)))
    np.testing.assert_allclose(again.median, real.median, atol=1e-4)
    assert (again.n, again.on) == (20, "noise")


@pytest.mark.parametrize(
    "kept", [None, 3, {}, {"low": [1], "median": [1], "high": [1], "n": 1, "on": ""}]
)
def test_what_cannot_be_read_is_none(kept):
    assert real_spectrum_from(kept) is None


def test_the_packaged_one_is_of_a_thousand_photographs():
    found = packaged_real_spectrum()
    assert found.n == 1000
    assert (found.low < found.median).all()
    assert (found.median < found.high).all()


def test_an_upsampled_image_lies_outside_the_real_band_and_a_real_one_does_not(real):
    rng = np.random.default_rng(1)
    kept = {"real_spectrum": real.to_dict()}
    assert compare_spectrum(doubled(rng, 160), kept).outside.mean() > 0.5
    assert compare_spectrum(native(rng, 160), kept).outside.mean() < 0.3


def test_without_a_spectrum_of_the_bundle_the_packaged_one_is_used():
    pixels = native(np.random.default_rng(0), 160)
    assert compare_spectrum(pixels, {}).real is packaged_real_spectrum()
