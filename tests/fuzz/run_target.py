"""Fuzz one target with atheris: `run_target.py NAME CORPUS [libFuzzer options]`.

The corpus gets the seeds of the target first. `benchmarks/fuzz.py` runs this for each target.
"""

import logging
import sys
from hashlib import sha256
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
logging.disable()

with atheris.instrument_imports(include=["synthdetect", "PIL", "zipfile", "json"]):
    from targets import TARGETS


def main() -> None:
    name, corpus, *options = sys.argv[1:]
    target, seeds = TARGETS[name]
    for seed in seeds():
        (Path(corpus) / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    atheris.Setup([sys.argv[0], *options, corpus], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
