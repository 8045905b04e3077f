"""Who may import whom, and what is nowhere in the package: read from the sources, by `ast`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "synthdetect"

# Top to bottom; names of one row may not import each other. Imports within one are free.
LAYERS = (
    ("cli", "serve"),
    ("auditing", "explanation"),
    ("detector", "member_classifier"),
    ("scoring",),
    ("cards", "stress", "monitoring", "scale"),
    ("bundle",),
    ("training",),
    ("members",),
    ("runtime",),
    ("evaluation",),
    ("ensemble",),
    ("data", "evidence"),
    ("images",),
    ("errors", "optional", "locks", "bars"),
)
DEPTH = {name: depth for depth, row in enumerate(LAYERS) for name in row}
# The lazy names of the top level, and package data: they belong to no layer.
OUTSIDE = ("__init__", "__main__", "bundles")
BOTTOM_MAY = {("optional", "errors")}

KERAS = ("keras", "tensorflow", "tf_keras", "torch", "jax")
MAY_USE_KERAS = ("training/", "members/backbones.py")
UNSAFE_MODULES = ("pickle", "cloudpickle", "dill", "marshal", "shelve", "yaml")
UNSAFE_CALLS = ("eval", "exec")
# They build what a file describes, Lambda layers with code included. Weights alone are numbers.
MODEL_LOADERS = ("load_model", "model_from_json", "model_from_config", "clone_model")
MODEL_LOADERS += ("deserialize_keras_object", "from_saved_model", "load_learner")
MAX_LINES = 250


def sources() -> dict[str, str]:
    """Sources of the package by path, such as `bundle/format.py`."""
    return {
        path.relative_to(SRC).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(SRC.rglob("*.py"))
    }


def unit_of(path: str) -> str:
    """The layer's name that a path belongs to."""
    return path.split("/")[0].removesuffix(".py")


def walk_without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, inner functions included, but what only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield other
                yield from walk_without_type_checking(other)
            continue
        yield node
        yield from walk_without_type_checking(node)


def imported(source: str, path: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every import, those by `import_module` and `require` too."""
    for node in walk_without_type_checking(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                folders = ["synthdetect", *path.split("/")[:-1]]
                base = ".".join(folders[: len(folders) - node.level + 1])
                module = f"{base}.{module}" if module else base
            yield node.lineno, module
            # `from synthdetect import detector` names a module only in its second half.
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "require"):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def upward_imports(path: str, source: str) -> list[str]:
    """Imports of `path` that are not from below its layer."""
    unit = unit_of(path)
    if unit in OUTSIDE:
        return []
    if unit not in DEPTH:
        return [f"{path}: {unit} is in no layer; add it to LAYERS and docs/architecture.md"]
    found = []
    for line, name in imported(source, path):
        parts = name.split(".")
        if parts[0] != "synthdetect" or len(parts) < 2:
            continue
        other = parts[1]
        if other in ("bundles", unit) or (unit, other) in BOTTOM_MAY:
            continue
        if other not in DEPTH:
            # A lazy name of the top level, such as `from synthdetect import Detector`.
            found.append(f"{path}:{line}: {name}; import it from its own module")
        elif DEPTH[other] <= DEPTH[unit]:
            found.append(f"{path}:{line}: {unit} imports {other}, which is not below it")
    return found


def keras_uses(path: str, source: str) -> list[str]:
    """Imports of a training framework outside the modules that may, or not by `require`."""
    found = []
    for node in walk_without_type_checking(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        if any(name.split(".")[0] in KERAS for name in names):
            found.append(f"{path}:{node.lineno}: use optional.require")  # type: ignore[attr-defined]
    if not path.startswith(MAY_USE_KERAS):
        found += [
            f"{path}:{line}: {name} belongs to training/ and members/backbones.py"
            for line, name in imported(source, path)
            if name.split(".")[0] in KERAS
        ]
    return found


def unsafe_uses(path: str, source: str) -> list[str]:
    """Ways to run code that comes with data."""
    found = [
        f"{path}:{line}: {name}"
        for line, name in imported(source, path)
        if name.split(".")[0] in UNSAFE_MODULES or name == "joblib.load"
    ]
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in UNSAFE_CALLS or called in ("joblib.load", "builtins.eval", "builtins.exec"):
            found.append(f"{path}:{node.lineno}: {called}()")
        if _name(node.func) in MODEL_LOADERS:
            found.append(f"{path}:{node.lineno}: {called}()")
        for keyword in node.keywords:
            if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                found.append(f"{path}:{node.lineno}: allow_pickle={ast.unparse(keyword.value)}")
    return found


def too_long(path: str, source: str) -> list[str]:
    """The module, if its code passes `MAX_LINES`; docstrings, comments and blank lines are free."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        line
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, node.body[0].end_lineno + 1)
    }
    n_lines = sum(
        bool(text.strip()) and not text.lstrip().startswith("#") and number not in docstrings
        for number, text in enumerate(source.splitlines(), start=1)
    )
    return [f"{path} has {n_lines} lines, over {MAX_LINES}"] if n_lines > MAX_LINES else []


CHECKS = (upward_imports, keras_uses, unsafe_uses, too_long)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_package_obeys(check):
    found = [fault for path, source in sources().items() for fault in check(path, source)]
    assert not found, "\n" + "\n".join(found)


def test_the_sources_are_found():
    assert {"errors.py", "detector.py", "bundle/format.py"} <= set(sources())


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("images/views.py", "from synthdetect.data.dataset import Dataset"),
        ("images/views.py", "import synthdetect.detector"),
        ("images/views.py", "from synthdetect import detector"),
        ("images/views.py", "from synthdetect import Detector"),
        ("images/views.py", "from ..data import dataset"),
        ("ensemble/learn.py", "def f():\n    from synthdetect.members.base import Member"),
        ("errors.py", "from synthdetect.optional import require"),
        ("members/base.py", "import_module('synthdetect.training.fit')"),
        ("nowhere.py", "import os"),
        ("bundle/hub.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import synthdetect.cli"),
    ],
)
def test_an_upward_import_is_seen(path, source):
    assert upward_imports(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("detector.py", "from synthdetect.bundle.hub import open_bundle"),
        ("bundle/arrays.py", "from synthdetect.bundle.format import open_zip"),
        ("bundle/arrays.py", "from . import format"),
        ("optional.py", "from synthdetect.errors import MissingExtraError"),
        ("images/views.py", "if TYPE_CHECKING:\n    import synthdetect.detector"),
    ],
)
def test_a_downward_import_passes(path, source):
    assert not upward_imports(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("detector.py", "def f():\n    import keras"),
        ("training/fit.py", "import tensorflow as tf"),
        ("training/fit.py", "from keras.layers import Dense"),
        ("runtime/openvino.py", "require('keras', extra='train')"),
    ],
)
def test_a_stray_keras_is_seen(path, source):
    assert keras_uses(path, source)


def test_keras_by_require_passes_in_training():
    assert not keras_uses("training/network.py", "keras = require('keras', extra='train')")


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from joblib import load",
        "joblib.load('x')",
        "eval('1')",
        "exec(text)",
        "import yaml",
        "np.load(path, allow_pickle=True)",
        "keras.models.load_model('mine.keras')",
        "load_model('mine.h5')",
        "keras.models.model_from_json(text)",
    ],
)
def test_an_unsafe_use_is_seen(source):
    assert unsafe_uses("bundle/format.py", source)


def test_a_safe_use_passes():
    source = "np.load(path, allow_pickle=False)\nmodel.eval()\nfrom joblib import Parallel"
    assert not unsafe_uses("training/spectral.py", source)


def test_a_long_module_is_seen():
    assert too_long("cli.py", "x = 1\n" * (MAX_LINES + 1))
    assert not too_long("cli.py", '"""Doc."""\n# why\n\n' + "x = 1\n" * MAX_LINES)
