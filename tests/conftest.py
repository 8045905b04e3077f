"""Small real things to test with: generated images, a manifest of them, a bundle trained on them.

"Real" images are correlated noise at native resolution; "synthetic" ones are the same at half the
side, doubled, whose spectrum gives them away to a spectral member.
"""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from synthdetect.bundle.assemble import assemble
from synthdetect.bundle.format import write_bundle
from synthdetect.cli import app
from synthdetect.ensemble.learn import learn_decision
from synthdetect.evaluation.report import measure
from synthdetect.images.views import Crops
from synthdetect.members.base import TrainedMember
from synthdetect.members.spectrum import SpectralMember, SpectralScorer, features

SIDE = 128

# A busy machine is no failure; tests that must be quick say so themselves.
settings.register_profile("synthdetect", deadline=None)
settings.load_profile("synthdetect")


def run(*args: str | Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


def native(rng: np.random.Generator, side: int = SIDE) -> NDArray[np.uint8]:
    """Correlated noise at native resolution, of shape (side, side, 3)."""
    noise = rng.normal(size=(side + 1, side + 1, 3))
    smooth = noise[1:, 1:] + 0.5 * (noise[:-1, 1:] + noise[1:, :-1])
    return np.clip(np.rint(smooth * 25 + 128), 0, 255).astype(np.uint8)


def doubled(rng: np.random.Generator, side: int = SIDE) -> NDArray[np.uint8]:
    """The same noise at half the side, doubled by bilinear interpolation."""
    half = Image.fromarray(native(rng, side // 2))
    return np.asarray(half.resize((side, side), Image.Resampling.BILINEAR))


def labelled_arrays(n_each: int, seed: int) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64]]:
    """`n_each` real images, then as many synthetic ones, with their labels."""
    rng = np.random.default_rng(seed)
    images = [make(rng) for make in (native, doubled) for _ in range(n_each)]
    return images, np.repeat([0, 1], n_each)


def write_manifest(folder: Path, n_each: int, seed: int, split: str | None = None) -> Path:
    """Write images as PNG files and a manifest of them; return the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, (pixels, label) in enumerate(zip(*labelled_arrays(n_each, seed), strict=True)):
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
        row = {"path": f"{i:03}.png", "label": ("real", "synthetic")[label]}
        rows.append(row | ({} if split is None else {"split": split}))
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return manifest


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder bundle `tiny` of one spectral member; it tells `native` from `doubled` images.

    Do not write into it: it is one for the whole session.
    """
    view = Crops(1, SIDE)
    member = SpectralMember(view=view, n_nets=2, n_hidden=8, n_epochs=60, learning_rate=3e-3)
    images, y = labelled_arrays(30, seed=1)
    X = np.stack([features(view.apply(image)) for image in images])
    arrays = member.fit_arrays(X, y, seed=0)
    held_out, y = labelled_arrays(20, seed=2)
    crops = np.stack([view.apply(image) for image in held_out])
    logits = SpectralScorer.from_arrays(arrays).logits(crops)[:, np.newaxis]
    decision = learn_decision(logits, y, seed=0)
    p, threshold = decision.probability(logits), decision.threshold.value
    figures = measure(
        y,
        {"ensemble": p, member.name: p},
        {"ensemble": threshold, member.name: threshold},
        split="val",
        source=np.full(len(y), ""),
    )
    manifest, files = assemble(
        [TrainedMember(member.name, member.kind, view, arrays=arrays)],
        decision,
        name="tiny",
        license_name="Apache-2.0",
        facts={"figures": figures, "created": "2026-01-31"},
    )
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    write_bundle(path, manifest, files)
    return path


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `a.jpg`, `b.png`, `broken.jpg` (cut off), `c.png`, `notes.txt`, `sub/d.png`.

    `a`, `b` and `d` are `native` images, `c` is `doubled`. Do not write into it.
    """
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(3)
    (folder / "sub").mkdir()
    Image.fromarray(native(rng, 160)).save(folder / "a.jpg", quality=95, subsampling=0)
    Image.fromarray(native(rng)).save(folder / "b.png")
    Image.fromarray(doubled(rng)).save(folder / "c.png")
    Image.fromarray(native(rng)).save(folder / "sub" / "d.png")
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:2000])
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def image_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CSV manifest (columns path and label) of 30 `native` and 30 `doubled` images."""
    return write_manifest(tmp_path_factory.mktemp("labelled"), 30, seed=4)
