"""A long run: does memory grow, do outputs drift, do file descriptors leak?

    python benchmarks/soak.py                          # 200,000 predictions (an hour on two cores)
    python benchmarks/soak.py --mode cascade           # the fast way
    python benchmarks/soak.py --images 3000            # a look
    python benchmarks/soak.py --threads 4 --json soak.json

The same image files are scored over and over by one detector. Exit code 1 if an output differs
from the first of its image by a bit, or descriptors grew, or the memory's slope is surely over the
bound (the low end of its interval).
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import theilslopes

from synthdetect import Detector

IMAGES = Path(__file__).parents[1] / "examples" / "images"
# A leak of 100 bytes an image.
MAX_MB_PER_10000 = 1.0
# The first share of the run is warm-up: pools, caches and the allocator's arenas fill.
WARM_UP = 0.2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200_000, help="predictions (default: 200000)")
    parser.add_argument("--bundle", default="ensemble-v1")
    parser.add_argument("--mode", choices=["full", "cascade"], default="full")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=1, help="that share the detector")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="images to reuse")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not Path("/proc/self/statm").exists():
        parser.error("needs /proc, as Linux has it, to read memory and descriptors")
    files = sorted(p for p in options.folder.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    detector = Detector.load(options.bundle, mode=options.mode, precision=options.precision)
    first = detector.predict_proba(files)
    results = soak(detector, files, first, options.images, options.threads)
    run = {name: vars(options)[name] for name in ("bundle", "mode", "precision")}
    results = {"machine": machine(), **run, **results}
    for key, value in results.items():
        print(f"{key:<44} {value:.4g}" if isinstance(value, float) else f"{key:<44} {value}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    grew = results["MB per 10,000, low"] > MAX_MB_PER_10000
    leaked = results["descriptors at the end"] > results["descriptors after warm-up"]
    return int(grew or leaked or results["outputs that differ"] > 0)


def soak(
    detector: Detector, files: list[Path], first: np.ndarray, n: int, n_threads: int
) -> dict[str, Any]:
    """Score all files again and again, and sample the process after each round."""
    sampled, memory, descriptors = [0], [resident_mb()], [n_descriptors()]
    n_differ, start = 0, time.perf_counter()
    with ThreadPoolExecutor(n_threads) as pool:
        for done in rounds(n, len(files) * n_threads):
            calls = [pool.submit(detector.predict_proba, files) for _ in range(n_threads)]
            for call in calls:
                n_differ += int(np.any(call.result() != first, axis=1).sum())
            sampled.append(done)
            memory.append(resident_mb())
            descriptors.append(n_descriptors())
    seconds = time.perf_counter() - start
    warm = np.array(sampled) >= WARM_UP * sampled[-1]
    # Theil-Sen, as allocators move in steps; of at most 1,000 samples, as it takes all pairs.
    chosen = np.flatnonzero(warm)[:: max(1, warm.sum() // 1000)]
    slope = theilslopes(np.array(memory)[chosen], np.array(sampled)[chosen])
    return {
        "predictions": sampled[-1],
        "threads": n_threads,
        "images/s": sampled[-1] / seconds,
        "outputs that differ": n_differ,
        "memory at the start, MB": memory[0],
        "memory after warm-up, MB": memory[int(np.argmax(warm))],
        "memory at the end, MB": memory[-1],
        "most memory, MB": max(memory),
        "MB per 10,000": float(slope.slope) * 10_000,
        "MB per 10,000, low": float(slope.low_slope) * 10_000,
        "MB per 10,000, high": float(slope.high_slope) * 10_000,
        "samples of the slope": len(chosen),
        "descriptors after warm-up": descriptors[int(np.argmax(warm))],
        "descriptors at the end": descriptors[-1],
    }


def rounds(n: int, step: int) -> Iterator[int]:
    """Count up to at least n, and tell on a terminal how far it is."""
    for done in range(step, n + step, step):
        yield done
        if sys.stderr.isatty():
            print(f"\r{done:,} of {n:,}", end="", file=sys.stderr, flush=True)


def resident_mb() -> float:
    """Resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def n_descriptors() -> int:
    """Open file descriptors of this process, the one that counts them included."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - one descriptor, always


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
