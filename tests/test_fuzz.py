"""Fuzzing: every seed passes its target, mutated seeds do, and the driver finds what is there."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

from targets import TARGETS

ROOT = Path(__file__).parents[1]
N_MUTATIONS = 60


def mutated(seed: bytes, rng: random.Random) -> bytes:
    """The seed with some bytes changed, cut, doubled or put in from elsewhere in it."""
    content = bytearray(seed)
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(content) + 1)
        other = rng.randrange(len(content) + 1)
        change = rng.randrange(5)
        if change == 0 and place < len(content):
            content[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif change == 1:
            content[place : place + rng.randint(1, 8)] = rng.randbytes(rng.randint(0, 8))
        elif change == 2:
            content[place:place] = content[other : other + rng.randint(1, 64)]
        elif change == 3:
            del content[place : place + rng.randint(1, 32)]
        elif change == 4:
            content[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\x80", bytes(4)))
    return bytes(content)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_their_mutations_pass(name):
    target, seeds = TARGETS[name]
    rng = random.Random(name)
    for seed in seeds():
        target(seed)
        for _ in range(N_MUTATIONS // len(seeds()) + 1):
            target(mutated(seed, rng))


def test_the_seeds_are_small():
    assert sum(len(seed) for _, seeds in TARGETS.values() for seed in seeds()) < 200_000


def test_the_driver_runs_a_target(tmp_path):
    pytest.importorskip("atheris", reason="needs the fuzz extra")
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "benchmarks" / "fuzz.py"),
            *("--target", "manifest", "--seconds", "2"),
            *("--artifacts", str(tmp_path / "artifacts"), "--json", str(tmp_path / "out.json")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "nothing" in done.stdout
    assert '"runs": 0' not in (tmp_path / "out.json").read_text(encoding="utf-8")
