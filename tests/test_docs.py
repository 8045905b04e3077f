"""What a reader meets is true: code runs, commands parse, links resolve, tables match the code."""

import csv
import dataclasses
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer.main
from PIL import Image

import synthdetect
from synthdetect.auditing.card_texts import read_texts
from synthdetect.bundle.card_text import as_markdown
from synthdetect.bundle.entries import FileEntry, MemberEntry
from synthdetect.bundle.hub import bundled_names, open_bundle
from synthdetect.bundle.manifest import Manifest
from synthdetect.bundle.model_card import CardRow, ModelCard
from synthdetect.cli.policies import POLICIES
from synthdetect.errors import SynthdetectError
from synthdetect.images.perturb import Augmentation
from synthdetect.images.perturbations import PERTURBATIONS, outside
from synthdetect.images.views import view_to_dict
from synthdetect.members.backbones import MobileNetV2, Schedule
from synthdetect.members.registry import KINDS
from synthdetect.members.spectrum import SpectralMember
from synthdetect.monitoring.rules import FIGURES, read_rules
from synthdetect.training.decide import DecisionPlan
from synthdetect.training.recipe import Recipe, read_recipe

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "examples" / "images"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_PAGES = [
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    IMAGES / "README.md",
]
EXAMPLES = ["predict_folder.py", "calibrate_threshold.py", "upload_check.py"]

needs_bundle = pytest.mark.skipif(
    "ensemble-v1" not in bundled_names(), reason="ensemble-v1 is not in this checkout"
)


def blocks(text: str, *languages: str) -> list[str]:
    """Contents of the fenced blocks of these languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [content for language, content in found if language in languages]


def pages_with_blocks(*languages: str) -> list:
    """A test parameter for each block, named by its page and place there."""
    return [
        pytest.param(block, id=f"{page.stem}-{i}")
        for page in PAGES
        for i, block in enumerate(blocks(page.read_text(encoding="utf-8"), *languages))
    ]


def commands(text: str) -> list[list[str]]:
    """The words after `synthdetect` of each command of a page."""
    lines = [
        line.removeprefix("$ ")
        for block in blocks(text, "sh", "console")
        for line in block.splitlines()
    ]
    return [shlex.split(line)[1:] for line in lines if line.startswith("synthdetect ")]


def table_rows(text: str, heading: str) -> dict[str, str]:
    """First to second cell of the first table after `heading`, backticks removed."""
    assert heading in text, heading
    lines = text.split(heading, 1)[1].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| "))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0].strip("`")] = cells[1].strip("`")
    return rows


def run_python(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in `cwd`, finding this synthdetect, and leave no bytecode behind."""
    source = str(Path(synthdetect.__file__).parents[1])
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A working directory with what the pages speak of."""
    shutil.copytree(IMAGES, tmp_path / "examples" / "images")
    images = sorted(path for path in IMAGES.iterdir() if path.suffix in (".jpg", ".png"))
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        rows = [(path, ("real", "synthetic")["drawn" in path.name]) for path in images]
        csv.writer(file).writerows([("path", "label"), *rows])
    recipe = next(block for block in blocks(PAGES[0].read_text("utf-8"), "toml"))
    (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("code", pages_with_blocks("python"))
def test_code_of_the_pages_runs(code, desk):
    if 'load("ensemble-v1")' in code and "ensemble-v1" not in bundled_names():
        pytest.skip("ensemble-v1 is not in this checkout")
    if "MobileNetV2" in code:
        pytest.importorskip("keras", reason="needs the train extra")
    result = run_python(["-c", code], desk)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=" ".join(words))
        for page in PAGES
        for words in commands(page.read_text(encoding="utf-8"))
    ],
)
def test_commands_of_the_pages_are_valid(words, desk):
    from synthdetect.cli import app

    command = typer.main.get_command(app)
    while subcommands := getattr(command, "commands", None):
        name, *words = words
        command = subcommands[name]
    # Parses and converts every option, and runs nothing.
    context = command.make_context(name, words)
    assert context.params


def test_an_invalid_command_would_be_seen(desk):
    from synthdetect.cli import app

    predict = typer.main.get_command(app).commands["predict"]
    with pytest.raises(Exception, match="No such option"):
        predict.make_context("predict", ["examples/images", "--treshold", "0.5"])


@needs_bundle
@pytest.mark.parametrize(
    "words", [["predict", "examples/images"], ["info"], ["info", "ensemble-v1"]], ids=" ".join
)
def test_quick_commands_run(words, desk):
    result = run_python(["-m", "synthdetect", *words], desk)
    assert result.returncode == 0, result.stderr
    assert result.stdout


@needs_bundle
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name, desk):
    result = run_python([str(ROOT / "examples" / name)], desk)
    assert result.returncode == 0, result.stderr
    assert result.stdout


@needs_bundle
def test_the_upload_example_rejects_broken_uploads_and_nothing_else(desk):
    lines = run_python([str(ROOT / "examples" / "upload_check.py")], desk).stdout.splitlines()
    actions = {line.split()[0]: line.split()[1] for line in lines}
    rejected = {name for name, action in actions.items() if action == "reject"}
    assert rejected == {"truncated.jpg", "noise.png"}


def test_the_drawn_examples_are_what_the_script_draws(tmp_path):
    result = run_python([str(ROOT / "examples" / "draw_images.py"), "--out", "."], tmp_path)
    assert result.returncode == 0, result.stderr
    drawn = sorted(tmp_path.glob("*.png"))
    assert [path.name for path in drawn] == [path.name for path in sorted(IMAGES.glob("*.png"))]
    for path in drawn:
        ours, shipped = (np.asarray(Image.open(p)).astype(int) for p in (path, IMAGES / path.name))
        # Another FFT or libm may round another way.
        assert np.abs(ours - shipped).max() <= 2


def test_every_example_image_has_its_licence_and_they_stay_small():
    listed = table_rows((IMAGES / "README.md").read_text(encoding="utf-8"), "## Photographs")
    files = [path for path in IMAGES.iterdir() if path.name != "README.md"]
    photographs = {path.name for path in files if not path.name.startswith("drawn_")}
    assert photographs == set(listed)
    assert sum(path.stat().st_size for path in files) < 1_500_000


def anchors(page: Path) -> set[str]:
    """What `#...` may name in a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=lambda page: page.name)
def test_links_resolve(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def as_text(value: object) -> str:
    """A default as the tables write it, which is as TOML does."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.mark.parametrize(
    ("heading", "options"),
    [
        ("`[augmentation]`", Augmentation()),
        ('`[[members]]` with `kind = "MobileNetV2"`', MobileNetV2()),
        ("`[members.schedule]`:", Schedule()),
        ('`[[members]]` with `kind = "spectral"`', SpectralMember()),
        ("`[decision]` says", DecisionPlan()),
        ("Top level:", Recipe(members=(SpectralMember(),))),
    ],
    ids=["augmentation", "backbone", "schedule", "spectral", "decision", "recipe"],
)
def test_the_recipe_reference_has_every_key_and_its_default(heading, options):
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    told = table_rows(text, heading)
    assert set(told) == {field.name for field in dataclasses.fields(options)}
    for name, default in told.items():
        value = getattr(options, name)
        if name in ("kind", "members") or value is None:
            assert default == "none"
        elif dataclasses.is_dataclass(value) and name != "view":
            assert default == "as below"
        elif name == "view":
            keys = ", ".join(f"{k} = {as_text(v)}" for k, v in view_to_dict(value).items())
            assert default == f"{{ {keys} }}"
        elif isinstance(value, float):
            assert float(default) == value, name
        else:
            assert default == as_text(value), name


@pytest.mark.parametrize("settings", pages_with_blocks("toml"))
def test_recipes_and_rules_of_the_pages_are_valid(settings, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(settings, encoding="utf-8")
    if "[[rules]]" in settings:
        assert read_rules(path).rules
    elif "intended_use" in settings:
        assert read_texts(path).intended_use
    else:
        assert read_recipe(path).members


def test_the_monitoring_page_has_every_figure_of_a_rule():
    told = table_rows((ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8"), "## Tell me")
    assert {name: told[name] for name in FIGURES} == {n: words for n, (_, words) in FIGURES.items()}


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("## manifest.json", Manifest),
        ("Each member:", MemberEntry),
        ("Each entry of `files`:", FileEntry),
        ("The `card`:", ModelCard),
        ("Each row of the `card`:", CardRow),
    ],
    ids=["manifest", "member", "file", "card", "row"],
)
def test_the_bundle_reference_has_every_key(heading, schema):
    text = (ROOT / "docs" / "bundles.md").read_text(encoding="utf-8")
    assert set(table_rows(text, heading)) == {field.name for field in dataclasses.fields(schema)}


@needs_bundle
def test_the_card_page_is_what_the_bundle_says():
    manifest = open_bundle("ensemble-v1").manifest
    if manifest.card is None:
        pytest.skip("this ensemble-v1 has no model card yet")
    page = (ROOT / "docs" / "ensemble-v1.md").read_text(encoding="utf-8")
    assert page == as_markdown(manifest)


def test_the_words_of_the_card_are_valid():
    assert read_texts(ROOT / "recipes" / "ensemble-v1.card.toml").known_failures


def test_the_member_reference_has_every_kind():
    text = (ROOT / "docs" / "members.md").read_text(encoding="utf-8")
    assert set(table_rows(text, "## The kinds")) == set(KINDS)


def test_the_error_reference_has_every_error_and_its_bases():
    told = table_rows((ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), "# Errors")
    errors = {
        name: value
        for name in synthdetect.__all__
        if isinstance(value := getattr(synthdetect, name), type)
        and issubclass(value, SynthdetectError)
    }
    assert set(told) == set(errors)
    for name, bases in told.items():
        others = [base.__name__ for base in errors[name].__bases__ if base is not SynthdetectError]
        assert re.findall(r"\w+", bases) == others


def test_the_robustness_page_has_every_perturbation_and_what_training_never_draws():
    text = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
    everything = dict.fromkeys(("jpeg", "resize", "blur", "webp", "noise", "tone", "crop"), 1.0)
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if re.match(r"\| [^|]* \| `", line) and line.count("|") == 5
    ]
    families = dict.fromkeys(one.family for one in PERTURBATIONS)
    assert [row[0] for row in rows] == list(families)
    for family, named, *never in rows:
        members = [one for one in PERTURBATIONS if one.family == family]
        assert re.findall(r"`(.*?)`", named) == [one.name for one in members]
        for told, augmentation in zip(
            never, (Augmentation(), Augmentation(chain=1.0, **everything)), strict=True
        ):
            names = [one.name for one in members if outside(one, augmentation)]
            listed = ", ".join(f"`{name}`" for name in names)
            assert told == ("all" if len(names) == len(members) else listed or "none")


def test_the_calibration_page_has_every_policy_of_the_command():
    text = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"\| `(\w+)\([^|]*\| `--policy ([\w-]+)` \|", text))
    assert told == {options.policy: name.value for name, options in POLICIES.items()}


def test_ci_runs_what_the_readme_says():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (told,) = [line for line in readme.splitlines() if line.endswith("-m pytest")]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    steps = [line.replace('"$venv"', ".venv") for line in script.splitlines()]
    places = [steps.index(step) for step in told.split(" && ")]
    assert places == sorted(places)
    for check in ("ruff check", "ruff format --check", "mypy"):
        assert places[1] < steps.index(f".venv/bin/{check}") < places[-1]


def test_ci_is_executable():
    for script in ("run", "lowest"):
        assert os.access(ROOT / ".ci" / script, os.X_OK)


def test_the_readme_has_no_figure_that_is_still_to_come():
    for page in [*PAGES, *OTHER_PAGES]:
        assert not re.findall(r"@@\w+@@", page.read_text(encoding="utf-8")), page.name
