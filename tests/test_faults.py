"""Kills, signals, full disks, no memory, no descriptors: what is whole stays whole, and is told."""

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthdetect
from conftest import native

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
KILLING = Path(__file__).parent / "killing.py"


def environment() -> dict[str, str]:
    source = str(Path(synthdetect.__file__).parents[1])
    return os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}


def alone(*args: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own."""
    return subprocess.run(
        [sys.executable, *map(str, args)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def synthdetect_alone(*args: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return alone("-m", "synthdetect", *args, **options)


def script(code: str, *args: str | Path) -> str:
    """Run code in a process of its own, and return what it prints."""
    result = alone("-c", code, *args)
    assert result.returncode == 0, result.stderr
    return result.stdout


def killed(scenario: str, n: int, bundle: Path, manifest: Path, folder: Path) -> dict[str, int]:
    result = alone(KILLING, scenario, str(n), bundle, manifest.parent, folder)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("scenario", ["predict", "save", "calibrate", "train"])
def test_a_few_kills_leave_the_old_or_the_new_and_resume_ends_as_undisturbed(
    scenario, tiny_bundle, image_manifest, tmp_path
):
    seen = killed(scenario, 4, tiny_bundle, image_manifest, tmp_path)
    assert seen["kills"] >= 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", ["predict", "save", "calibrate", "train"])
def test_fifty_kills_leave_the_old_or_the_new_and_resume_ends_as_undisturbed(
    scenario, tiny_bundle, image_manifest, tmp_path
):
    seen = killed(scenario, 50, tiny_bundle, image_manifest, tmp_path)
    assert seen["kills"] >= 50
    # The kills were spread: some met work half done.
    if scenario == "predict":
        assert seen["between rows"] >= 5
    if scenario in ("predict", "train"):
        assert seen["went on"] >= 5
    if scenario == "save":
        assert 0 < seen["old"]


def start(*args: str | Path, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "synthdetect", *map(str, args)], env=environment(), **options
    )


def wait_for_rows(process: subprocess.Popen[bytes], path: Path, n: int) -> None:
    while not path.exists() or path.read_bytes().count(b"\n") < n:
        assert process.poll() is None, "it ended before it could be stopped"


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_keeps_the_rows_so_far_and_resume_ends_as_undisturbed(
    number, code, word, tiny_bundle, image_folder, tmp_path
):
    out, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial.jsonl"
    options = ("predict", *[image_folder / "b.png"] * 600, "--bundle", tiny_bundle)
    out.write_text("old")
    with start(*options, "--out", out, stderr=subprocess.PIPE) as process:
        wait_for_rows(process, partial, 5)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    n = partial.read_bytes().count(b"\n") - 1
    assert process.returncode == code
    assert told.decode().splitlines() == [
        f"synthdetect: {n} of 600 results are kept in {partial}; --resume goes on",
        f"synthdetect: {word}",
    ]
    assert out.read_text() == "old"
    assert synthdetect_alone(*options, "--out", out, "--resume").returncode == 0
    undisturbed = synthdetect_alone(*options, "--format", "csv")
    assert out.read_text() == undisturbed.stdout
    assert list(tmp_path.iterdir()) == [out]


def test_ctrl_c_writes_the_rows_of_the_table_that_are_there(tiny_bundle, image_folder, tmp_path):
    fifo = tmp_path / "slow.png"
    os.mkfifo(fifo)
    # 64 images, and then one that never comes: a writer that does not close.
    options = ("predict", *[image_folder / "b.png"] * 600, "--bundle", tiny_bundle)
    with start(*options, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        progress_of(process, seconds=0.3)
        process.send_signal(signal.SIGINT)
        written, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.endswith(b"synthdetect: interrupted\n")
    assert written.startswith(b"p_synthetic")
    assert 0 < written.count(b" real ") < 600
