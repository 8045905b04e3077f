"""The spectral member: its features are sane, it learns, and numpy evaluates what was trained."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, zoom
from sklearn.neural_network import MLPClassifier

from synthdetect.errors import BundleError, DataError, RecipeError
from synthdetect.images.views import CenterCrop, Crops
from synthdetect.members.spectrum import (
    SpectralMember,
    SpectralScorer,
    feature_names,
    features,
)

SIDE = 128
SMALL = {"n_nets": 2, "n_hidden": 4, "n_epochs": 25, "learning_rate": 1e-3}


def to_bytes(x):
    return np.clip(np.rint(x * 25 + 128), 0, 255).astype(np.uint8)


def native(rng, side=SIDE):
    """Correlated noise at native resolution, (side, side, 3) uint8."""
    x = gaussian_filter(rng.normal(size=(side, side, 3)), (0.6, 0.6, 0))
    return to_bytes(x / x.std())


def bilinear(rng, side=SIDE):
    """The same noise at half the side, doubled by bilinear interpolation."""
    half = native(rng, side // 2).astype(float)
    return np.clip(np.rint(zoom(half, (2, 2, 1), order=1)), 0, 255).astype(np.uint8)


def zero_insertion(rng, side=SIDE):
    """The same noise at half the side, zeros put between, and smoothed as a deconvolution does."""
    half = (native(rng, side // 2).astype(float) - 128) / 25
    x = np.zeros((side, side, 3))
    x[::2, ::2] = half
    return to_bytes(3.2 * gaussian_filter(x, (0.6, 0.6, 0)))


def rows(make, n, seed):
    rng = np.random.default_rng(seed)
    return np.stack([features(make(rng)[np.newaxis]) for _ in range(n)])


@pytest.fixture(scope="module")
def learned():
    X = np.concatenate([rows(native, 40, 0), rows(bilinear, 20, 1), rows(zero_insertion, 20, 2)])
    y = np.repeat([0, 1], 40)
    arrays = SpectralMember(**SMALL).fit_arrays(X, y, seed=3)
    return X, y, arrays


@pytest.fixture(scope="module")
def scorer(learned):
    return SpectralScorer.from_arrays(learned[2])


@pytest.mark.parametrize("make", [bilinear, zero_insertion])
def test_unseen_upsampled_noise_is_told_from_native_noise(scorer, make):
    real = scorer.logit_of_features(rows(native, 15, 10))
    upsampled = scorer.logit_of_features(rows(make, 15, 11))
    assert real.max() < 0 < upsampled.min()


def test_shuffled_labels_teach_nothing_that_holds(learned):
    X, y, _ = learned
    shuffled = np.random.default_rng(0).permutation(y)
    scorer = SpectralScorer.from_arrays(SpectralMember(**SMALL).fit_arrays(X, shuffled, seed=3))
    real = scorer.logit_of_features(rows(native, 15, 10))
    upsampled = scorer.logit_of_features(rows(bilinear, 15, 11))
    assert not real.max() < 0 < upsampled.min()


def test_every_feature_has_a_name_of_its_own(learned):
    names = feature_names()
    assert len(set(names)) == len(names) == learned[0].shape[1]


def test_zero_insertion_shows_as_power_at_high_frequencies():
    high = [i for i, name in enumerate(feature_names()) if name.startswith("ring_power/luma/3")]
    smooth, peaky = rows(bilinear, 3, 5)[:, high], rows(zero_insertion, 3, 5)[:, high]
    assert peaky.mean() > smooth.mean() + 1


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_constant_crops_have_finite_features(value):
    assert np.isfinite(features(np.full((2, SIDE, SIDE, 3), value, np.uint8))).all()


@given(
    seed=st.integers(0, 2**32 - 1),
    low=st.integers(0, 255),
    span=st.integers(0, 255),
    n_crops=st.integers(1, 3),
    share=st.sampled_from([0.0, 0.001, 0.5, 1.0]),
)
@settings(max_examples=15, deadline=None)
def test_features_are_finite_and_stable_for_any_crops(seed, low, span, n_crops, share):
    rng = np.random.default_rng(seed)
    crops = np.full((n_crops, SIDE, SIDE, 3), low, np.uint8)
    touched = rng.random(crops.shape) < share
    noise = rng.integers(low, min(low + span, 255), size=crops.shape, endpoint=True)
    crops[touched] = noise[touched]
    x = features(crops)
    assert np.isfinite(x).all()
    assert np.array_equal(x, features(crops.copy()))


def test_mirrored_crops_have_the_same_textures_and_rings():
    crops = native(np.random.default_rng(4))[np.newaxis]
    # Rounding of half planes to a step is not odd, so that their runs change a little.
    kept = [
        i
        for i, n in enumerate(feature_names())
        if n.startswith("pattern/") or (n.startswith("cooccurrence/") and "half_" not in n)
    ]
    rings = [i for i, n in enumerate(feature_names()) if n.startswith("ring_power")]
    x, mirrored = features(crops), features(crops[:, :, ::-1])
    np.testing.assert_allclose(mirrored[kept], x[kept], atol=1e-12)
    np.testing.assert_allclose(mirrored[rings], x[rings], atol=0.05)


def test_half_of_a_noncontiguous_array_gives_the_same_features():
    crops = native(np.random.default_rng(6), 2 * SIDE)[np.newaxis, ::2, ::2]
    assert np.array_equal(features(crops), features(np.ascontiguousarray(crops)))


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((1, 64, 64, 3), np.uint8),
        np.zeros((SIDE, SIDE, 3), np.uint8),
        np.zeros((1, SIDE, SIDE, 3)),
        np.zeros((0, SIDE, SIDE, 3), np.uint8),
    ],
)
def test_crops_of_another_kind_are_refused(crops):
    with pytest.raises(DataError, match="crops"):
        features(crops)


def test_numpy_evaluates_as_scikit_learn_does(learned, scorer):
    arrays = learned[2]
    wide = np.linspace(0.1, 8, 40)[:, None]  # the last ones have features that are clipped
    noise = np.random.default_rng(0).normal(size=(40, len(arrays["mean"])))
    X = arrays["mean"] + arrays["scale"] * wide * noise
    z = np.clip((X - arrays["mean"]) / arrays["scale"], -6, 6)
    expected = []
    for i in range(SMALL["n_nets"]):
        net = MLPClassifier((SMALL["n_hidden"],)).partial_fit(z[:2], [0, 1], classes=[0, 1])
        net.coefs_ = [
            arrays["hidden_weights"][i].astype(float),
            arrays["output_weights"][i][:, None].astype(float),
        ]
        net.intercepts_ = [
            arrays["hidden_bias"][i].astype(float),
            arrays["output_bias"][i : i + 1].astype(float),
        ]
        p = net.predict_proba(z)[:, 1]
        expected.append(np.log(p) - np.log1p(-p))
    ours = scorer.logit_of_features(X)
    assert np.ptp(ours) > 1
    np.testing.assert_allclose(ours, np.mean(expected, axis=0), atol=1e-6)


def test_a_logit_is_the_same_in_every_batch(scorer):
    rng = np.random.default_rng(20)
    crops = np.stack([np.stack([native(rng), bilinear(rng)]) for _ in range(7)])
    together = scorer.logits(crops)
    assert together.dtype == np.float64
    assert together.shape == (7,)
    alone = np.concatenate([scorer.logits(image[np.newaxis]) for image in crops])
    assert np.array_equal(together, alone)
    assert np.array_equal(together[::-1], scorer.logits(crops[::-1]))
    assert scorer.logits(crops[:0]).shape == (0,)


def test_many_threads_give_the_same_logits(scorer):
    rng = np.random.default_rng(21)
    crops = np.stack([native(rng)[np.newaxis] for _ in range(3)])
    fresh = SpectralScorer.from_arrays(scorer.arrays)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: fresh.logits(crops), range(4)))
    assert all(np.array_equal(result, scorer.logits(crops)) for result in results)


def test_the_same_seed_gives_the_same_arrays_and_another_seed_others(learned):
    X, y, arrays = learned
    again = SpectralMember(**SMALL).fit_arrays(X, y, seed=3)
    other = SpectralMember(**SMALL).fit_arrays(X, y, seed=4)
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)
    assert not np.array_equal(arrays["hidden_weights"], other["hidden_weights"])


def test_rows_of_weight_zero_do_not_teach(learned):
    X, y, _ = learned
    X2, y2 = np.concatenate([X, X]), np.concatenate([y, 1 - y])  # the second half contradicts
    weight = np.repeat([1.0, 0.0], len(X))
    arrays = SpectralMember(**SMALL).fit_arrays(X2, y2, seed=0, sample_weight=weight)
    logits = SpectralScorer.from_arrays(arrays).logit_of_features(X)
    assert ((logits > 0) == y).mean() > 0.95


def test_arrays_survive_npz_without_pickle(learned, scorer):
    buffer = io.BytesIO()
    np.savez(buffer, **learned[2])
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        again = SpectralScorer.from_arrays({name: stored[name] for name in stored.files})
    assert np.array_equal(again.logit_of_features(learned[0]), scorer.logit_of_features(learned[0]))


def test_default_arrays_are_below_three_megabytes():
    member = SpectralMember()
    assert 4 * len(feature_names()) * (2 + member.n_nets * member.n_hidden) < 3e6


def broken(name, array):
    return lambda arrays: {**arrays, name: array(arrays[name])}


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("mean", lambda a: {k: v for k, v in a.items() if k != "mean"}),
        ("extra", lambda a: {**a, "extra": np.zeros(1)}),
        ("scale", broken("scale", np.zeros_like)),
        ("scale", broken("scale", lambda x: x[:-1])),
        ("mean", broken("mean", lambda x: np.where(np.arange(len(x)) == 5, np.nan, x))),
        ("hidden_weights", broken("hidden_weights", lambda x: x[0])),
        ("hidden_weights", broken("hidden_weights", lambda x: x[:0])),
        ("hidden_bias", broken("hidden_bias", lambda x: x[:, :-1])),
        ("output_weights", broken("output_weights", lambda x: x.astype(str))),
        ("output_bias", broken("output_bias", lambda x: x.astype(object))),
    ],
)
def test_damaged_arrays_are_refused_by_name(learned, name, damage):
    with pytest.raises(BundleError, match=f"array {name} "):
        SpectralScorer.from_arrays(damage(learned[2]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[0], y), "shape"),
        (lambda X, y: (X, y[:-1]), "rows"),
        (lambda X, y: (X, y * 0), "both"),
        (lambda X, y: (X, y + 1), "0 .real."),
        (lambda X, y: (np.where(np.arange(len(X))[:, None] == 7, np.inf, X), y), "row 7"),
    ],
)
def test_unusable_training_features_are_refused(learned, change, message):
    with pytest.raises(DataError, match=message):
        SpectralMember(**SMALL).fit_arrays(*change(*learned[:2]), seed=0)


def test_features_of_another_length_are_refused(scorer):
    with pytest.raises(DataError, match="columns"):
        scorer.logit_of_features(np.zeros((1, 3)))


@pytest.mark.parametrize(
    "options", [{"view": CenterCrop(96)}, {"n_nets": 0}, {"learning_rate": 0.0}, {"copies": -1}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(RecipeError, match="spectral"):
        SpectralMember(**options)


def test_the_default_view_gives_what_features_take():
    view = SpectralMember().view
    assert isinstance(view, Crops)
    small = native(np.random.default_rng(9), 120)
    assert np.isfinite(features(view.apply(small))).all()


def test_predicting_does_not_import_scikit_learn():
    code = (
        "import sys, numpy as np\n"
        "from synthdetect.members.spectrum import SpectralScorer, feature_names\n"
        "d = len(feature_names())\n"
        "scorer = SpectralScorer.from_arrays({'mean': np.zeros(d), 'scale': np.ones(d),\n"
        "    'hidden_weights': np.ones((1, d, 2)), 'hidden_bias': np.ones((1, 2)),\n"
        "    'output_weights': np.ones((1, 2)), 'output_bias': np.ones(1)})\n"
        "scorer.logits(np.zeros((1, 1, 128, 128, 3), np.uint8))\n"
        "sys.exit(any(m.split('.')[0] in {'sklearn', 'tensorflow'} for m in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
