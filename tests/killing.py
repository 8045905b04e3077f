"""Run commands and kill them at random moments; a script, in a process of its own that forks them.

    python killing.py SCENARIO[,SCENARIO...] N_KILLS BUNDLE IMAGES FOLDER

Everything is imported once, before the forks, so that a kill costs a fraction of a second. A child
is killed by SIGKILL after a random part of the time that an undisturbed one takes; only children
that were still alive count. After each kill what is on disk must be the old or the new, whole.
IMAGES is a folder with a `manifest.csv`. Prints what was seen of each scenario as a line of JSON.
"""

import csv
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from synthdetect import cli
from synthdetect.bundle.format import read_bundle
from synthdetect.detector import Detector
from synthdetect.errors import BundleError

RECIPE = """
name = "probe"
seed = 3
"""
MEMBER = """
[[members]]
kind = "spectral"
name = "{name}"
view = {{ kind = "crops", n = 1, size = 128 }}
copies = 0
n_nets = 2
n_hidden = 8
n_epochs = 10
learning_rate = 3e-3
"""


def command(*args: str | Path) -> Callable[[], None]:
    """The command line, as its process would run it."""

    def run() -> None:
        sys.argv = ["synthdetect", *map(str, args)]
        cli.main()

    return run


def run(work: Callable[[], None], kill_after_s: float | None = None) -> int | None:
    """Run in a child; return its exit code, or None if the kill met it alive."""
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        code = 70  # none of ours: an exception that nobody caught
        try:
            work()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)  # a child that ended waits as a zombie: its id is not reused
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if code == -signal.SIGKILL else code


def timed(work: Callable[[], None]) -> float:
    """Run undisturbed and return the seconds that it took."""
    start = time.perf_counter()
    assert run(work) == 0
    return time.perf_counter() - start


def digest(path: Path) -> str | None:
    """Of the bundle at a path, all of which is checked; None where there is none."""
    try:
        return read_bundle(path).digest
    except BundleError as error:
        if "No such file" in str(error):
            return None
        raise


class Killer:
    """Draws the moments, and counts what was seen."""

    def __init__(self, n: int, seconds: float) -> None:
        self.n, self.seconds = n, seconds
        self.seen: Counter[str] = Counter()
        self._random = random.Random(0)

    @property
    def wants_more(self) -> bool:
        return self.seen["kills"] < self.n

    def kill(self, work: Callable[[], None]) -> bool:
        """Return whether the child was killed; if not, it must have done its work."""
        code = run(work, self._random.uniform(0, self.seconds))
        assert code in (None, 0), code
        self.seen["kills" if code is None else "finished"] += 1
        return code is None


def predict(n: int, bundle: Path, images: Path, folder: Path) -> Counter[str]:
    """`predict --out --resume`, again and again until it is done; then from the start."""
    out, whole = folder / "out.csv", folder / "whole.csv"
    partial = folder / "out.csv.partial.jsonl"
    options = ("predict", images, "--bundle", bundle, "--quiet", "--out")
    killer = Killer(n, timed(command(*options, whole)))
    n_images = len(list(csv.DictReader(whole.open())))
    out.write_text("old")
    n_rows = 0
    while killer.wants_more:
        if killer.kill(command(*options, out, "--resume")):
            assert out.read_text() in ("old", whole.read_text())
            before, n_rows = n_rows, max(0, lines(partial) - 1)
            if out.read_text() == "old":
                assert n_rows >= before
            killer.seen["between rows"] += 0 < n_rows < n_images
            killer.seen["went on"] += before > 0
        else:
            assert out.read_text() == whole.read_text()
            assert not partial.exists()
            out.write_text("old")
            n_rows = 0
    assert run(command(*options, out, "--resume")) == 0
    assert out.read_text() == whole.read_text()
    return killer.seen


def lines(path: Path) -> int:
    """Whole lines of a file."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def save(n: int, bundle: Path, images: Path, folder: Path) -> Counter[str]:
    """`Detector.save`, of one and of another detector in turn, as a folder and as a zip."""
    one, other = Detector.load(bundle), Detector.load(bundle)
    manifest = images / "manifest.csv"
    rows = list(csv.DictReader(manifest.open()))
    paths = [images / row["path"] for row in rows]
    other.calibrate(paths, [row["label"] for row in rows])
    seen: Counter[str] = Counter()
    for name in ("bundle", "bundle.zip"):
        target = folder / name
        seconds = timed(lambda target=target: one.save(target))
        digests = [digest(target)]
        other.save(target)
        digests.append(digest(target))
        killer = Killer(n // 2, seconds)
        while killer.wants_more:
            before = digest(target)
            wanted = digests[1 - digests.index(before)]
            killed = killer.kill(lambda: (one, other)[digests.index(wanted)].save(target))  # noqa: B023
            after = digest(target)
            assert after in (before, wanted), after
            assert killed or after == wanted
            killer.seen["old"] += killed and after == before
        seen += killer.seen
    return seen


def calibrate(n: int, bundle: Path, images: Path, folder: Path) -> Counter[str]:
    """`calibrate --out` over a bundle."""
    out, whole = folder / "mine", folder / "whole"
    options = ("calibrate", images / "manifest.csv", "--bundle", bundle, "--quiet", "--out")
    killer = Killer(n, timed(command(*options, whole)))
    old, new = digest(bundle), digest(whole)
    assert old != new
    while killer.wants_more:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(bundle, out)
        killed = killer.kill(command(*options, out))
        after = digest(out)
        assert after in (old, new)
        assert killed or after == new
    assert run(command(*options, out)) == 0
    assert digest(out) == new
    return killer.seen


def train(n: int, bundle: Path, images: Path, folder: Path) -> Counter[str]:
    """`train --resume`, again and again until it is done; then over the bundle that is there."""
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE + MEMBER.format(name="one") + MEMBER.format(name="other"))
    out, whole = folder / "run", folder / "whole"
    options = ("train", recipe, "--data", images / "manifest.csv", "--quiet", "--out")
    killer = Killer(n, timed(command(*options, whole)))
    wanted = read_bundle(whole / "bundle" / "probe")
    while killer.wants_more:
        trained = len(list(out.glob("*/trained-*.npz")))
        killed = killer.kill(command(*options, out, "--resume"))
        found = digest(out / "bundle" / "probe")
        assert found in (None, wanted.digest)
        if killed:
            killer.seen["went on"] += trained > 0
        else:
            assert found == wanted.digest
            for member in ("one", "other"):  # the next run replaces the bundle
                shutil.rmtree(out / member)
    assert run(command(*options, out, "--resume")) == 0
    assert read_bundle(out / "bundle" / "probe") == wanted
    return killer.seen


if __name__ == "__main__":
    scenarios = {"predict": predict, "save": save, "calibrate": calibrate, "train": train}
    names, n_kills, bundle, images, folder = sys.argv[1:]
    for name in names.split(","):
        place = Path(folder) / name
        place.mkdir()
        seen = scenarios[name](int(n_kills), Path(bundle), Path(images), place)
        sys.stdout.write(json.dumps(seen) + "\n")
