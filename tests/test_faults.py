"""Kills, signals, full disks, no memory, no descriptors: what is whole stays whole, and is told."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from PIL import Image

import synthdetect
from conftest import run
from killing import MEMBER, RECIPE

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
KILLING = Path(__file__).parent / "killing.py"
COMMAND = "from synthdetect.cli import main; main()"


def environment() -> dict[str, str]:
    source = str(Path(synthdetect.__file__).parents[1])
    return os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}


def alone(*args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own."""
    return subprocess.run(
        [sys.executable, *map(str, args)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def script(code: str, *args: str | Path) -> str:
    """Run code in a process of its own, and return what it prints."""
    result = alone("-c", code, *args)
    assert result.returncode == 0, result.stderr
    return result.stdout


def killed(
    scenarios: str, n: int, bundle: Path, manifest: Path, folder: Path
) -> list[dict[str, int]]:
    result = alone(KILLING, scenarios, str(n), bundle, manifest.parent, folder)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_few_kills_leave_the_old_or_the_new_and_resume_ends_as_undisturbed(
    tiny_bundle, image_manifest, tmp_path
):
    names = "predict,save,calibrate,train"
    seen = killed(names, 2, tiny_bundle, image_manifest, tmp_path)
    assert [of["kills"] >= 2 for of in seen] == [True] * 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", ["predict", "save", "calibrate", "train"])
def test_fifty_kills_leave_the_old_or_the_new_and_resume_ends_as_undisturbed(
    scenario, tiny_bundle, image_manifest, tmp_path
):
    (seen,) = killed(scenario, 50, tiny_bundle, image_manifest, tmp_path)
    assert seen["kills"] >= 50
    # The kills were spread: some met work half done.
    if scenario == "predict":
        assert seen["between rows"] >= 5
    if scenario in ("predict", "train"):
        assert seen["went on"] >= 5
    if scenario == "save":
        assert seen["old"] > 0


def start(*args: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "synthdetect", *map(str, args)],
        env=environment(),
        stderr=subprocess.PIPE,
    )


def wait_for(process: subprocess.Popen[bytes], path: Path, n_lines: int) -> None:
    while not path.exists() or path.read_bytes().count(b"\n") < n_lines:
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_keeps_the_rows_so_far_and_resume_ends_as_undisturbed(
    number, code, word, tiny_bundle, image_folder, tmp_path
):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("the tests were started with this signal ignored, as `nohup` and `&` may do")
    out, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial.jsonl"
    options = ("predict", *[image_folder / "b.png"] * 500, "--bundle", tiny_bundle)
    out.write_text("old")
    with start(*options, "--out", out) as process:
        wait_for(process, partial, 2)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    n = partial.read_bytes().count(b"\n") - 1
    assert process.returncode == code
    assert told.decode().splitlines() == [
        f"synthdetect: {n} of 500 results are kept in {partial}; --resume goes on",
        f"synthdetect: {word}",
    ]
    assert out.read_text() == "old"
    assert run(*options, "--out", out, "--resume").exit_code == 0
    assert out.read_text() == run(*options, "--format", "csv").stdout
    assert list(tmp_path.iterdir()) == [out]


def test_a_signal_keeps_what_training_finished(image_manifest, tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE + MEMBER.format(name="one").replace("10", "9999"))
    out = tmp_path / "run"
    options = ("train", tmp_path / "recipe.toml", "--data", image_manifest, "--out", out)
    with start(*options, "--quiet") as process:
        wait_for(process, out / "log.jsonl", 3)  # start, confounds, features: now it learns
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 143
    assert told.decode().splitlines() == [
        f"synthdetect: what was finished is kept in {out}; --resume goes on",
        "synthdetect: terminated",
    ]
    assert not (out / "bundle").exists()


def test_a_full_disk_keeps_the_rows_that_fit_and_the_old_file(tiny_bundle, image_folder, tmp_path):
    out, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial.jsonl"
    options = ("predict", *[image_folder / "b.png"] * 40, "--bundle", tiny_bundle, "--out", out)
    out.write_text("old")
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    full = alone("-c", f"import resource; {limit}; {COMMAND}", *options)
    assert full.returncode == 2
    kept, error = full.stderr.splitlines()
    assert error == "synthdetect: error: [Errno 27] File too large"
    assert f" of 40 results are kept in {partial}; --resume goes on" in kept
    assert out.read_text() == "old"
    assert run(*options, "--resume").exit_code == 0
    assert len(out.read_text().splitlines()) == 41
    assert list(tmp_path.iterdir()) == [out]


AS_NOBODY = """
import os, sys
from synthdetect.cli import app, main
app(sys.argv[1:-2], standalone_mode=False)
os.geteuid() or os.setuid(65534)
main()
"""


def test_a_read_only_directory_is_one_line_and_nothing_is_left(tiny_bundle, image_folder):
    # No permission stops root, who therefore becomes nobody, once all is imported: nobody may not
    # be allowed to read this Python. The folder is not pytest's, which nobody may not enter.
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copytree(tiny_bundle, place / "bundle")
        shutil.copy(image_folder / "b.png", place)
        for path in (place, *place.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        options = ("predict", place / "b.png", "--bundle", place / "bundle", "--quiet")
        result = alone("-c", AS_NOBODY, *options, "--out", place / "out.csv")
        assert result.returncode == 2
        assert result.stderr.startswith("synthdetect: error: [Errno 13] Permission denied: ")
        assert result.stderr.count("\n") == 1
        assert sorted(path.name for path in place.iterdir()) == ["b.png", "bundle"]
        place.chmod(0o755)


DESCRIPTORS = """
import resource, sys
import numpy as np
from synthdetect import BundleError, Detector
bundle, *images = sys.argv[1:]
detector = Detector.load(bundle)
before = detector.predict_proba(images)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
assert np.isnan(detector.predict_proba(images, on_error="nan")).all()
try:
    Detector.load(bundle)
except BundleError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
print(*detector.errors_.values(), sep="\\n")
assert np.array_equal(detector.predict_proba(images), before)
"""


def test_without_file_descriptors_images_and_bundles_say_so_and_later_all_is_well(
    tiny_bundle, image_folder
):
    images = (image_folder / "b.png", image_folder / "c.png")
    told = script(DESCRIPTORS, tiny_bundle, *images).splitlines()
    assert len(told) == 3
    assert "Too many open files" in told[0]
    for name, line in zip(images, told[1:], strict=True):
        assert line.startswith(f"{name}: cannot be opened")
        assert line.endswith("close files, or raise the limit (ulimit -n)")


MEMORY = """
import resource, sys
import numpy as np
from synthdetect import Detector
bundle, small, large = sys.argv[1:]
detector = Detector.load(bundle, workers=1)
before = detector.predict_proba([small])
with open("/proc/self/statm") as file:
    in_use = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + 150 * 2**20,) * 2)
p = detector.predict_proba([small, large, small], on_error="nan")
print(*detector.errors_.values(), sep="\\n")
assert np.array_equal(p[[0, 2]], np.vstack([before, before])), (p, before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_an_image_that_does_not_fit_in_memory_is_told_and_the_others_are_scored(
    tiny_bundle, image_folder, tmp_path
):
    large = tmp_path / "large.png"
    Image.new("RGB", (7000, 7000)).save(large, compress_level=1)
    told = script(MEMORY, tiny_bundle, image_folder / "b.png", large)
    assert told == f"{large}: does not fit in memory; scale it down\n"
