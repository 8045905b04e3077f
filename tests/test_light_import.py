"""`import synthdetect` is light, and prediction needs no training framework."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import synthdetect
from synthdetect.bundle.hub import bundled_names

HEAVY = ("openvino", "sklearn", "scipy", "numpy", "PIL", "keras", "tensorflow", "matplotlib")
BLOCK = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tf_keras", "matplotlib", "torch", "jax"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
"""
PREDICT = """
import numpy as np
import synthdetect
detector = synthdetect.Detector.load("ensemble-v1")
image = np.random.default_rng(0).integers(0, 256, (200, 180, 3), dtype=np.uint8)
proba = detector.predict_proba([image, image])
assert proba.shape == (2, 2), proba.shape
assert np.isfinite(proba).all() and np.allclose(proba.sum(axis=1), 1), proba
"""
needs_bundle = pytest.mark.skipif(
    "ensemble-v1" not in bundled_names(), reason="ensemble-v1 is not in this checkout"
)


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter that finds this synthdetect."""
    paths = [str(Path(synthdetect.__file__).parents[1])]
    start = f"import sys\nsys.path[:0] = {paths!r}\n"
    return subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False
    )


def test_import_loads_nothing_heavy():
    result = run(
        f"import synthdetect\nloaded = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "assert not loaded, loaded"
    )
    assert result.returncode == 0, result.stderr


def test_every_public_name_comes_without_a_training_framework():
    names = ", ".join(synthdetect.__all__)
    result = run(BLOCK + f"from synthdetect import {names}")
    assert result.returncode == 0, result.stderr


@needs_bundle
def test_prediction_needs_no_training_framework():
    result = run(BLOCK + PREDICT)
    assert result.returncode == 0, result.stderr


@needs_bundle
def test_prediction_loads_no_training_framework():
    code = PREDICT + (
        "import sys\nheavy = {'keras', 'tensorflow', 'matplotlib', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = run(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", ["tensorflow", "keras", "matplotlib", "matplotlib.pyplot"])
def test_the_blocker_blocks(module):
    result = run(BLOCK + f"import {module}")
    assert result.returncode != 0
    assert "is blocked" in result.stderr


def test_what_needs_keras_says_which_extra_brings_it():
    result = run(
        BLOCK + "from synthdetect import MissingExtraError, MobileNetV2\n"
        "from synthdetect.members.backbones import build\n"
        "try:\n    build(MobileNetV2(), size=128, weights=None)\n"
        "except MissingExtraError as error:\n    print(error)"
    )
    assert "synthdetect[train]" in result.stdout, result.stderr


def test_the_lazy_names_are_those_that_type_checkers_see():
    tree = ast.parse(Path(synthdetect.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        node.module: tuple(alias.name for alias in node.names)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
    }
    assert typed == synthdetect._HOMES
    names = {name for names in typed.values() for name in names}
    assert names | {"__version__"} == set(synthdetect.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Detectr'"):
        _ = synthdetect.Detectr


def test_dir_lists_what_is_public():
    assert dir(synthdetect) == sorted(synthdetect.__all__)
