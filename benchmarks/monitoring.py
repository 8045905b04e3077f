"""How fast and how large recording and reporting are, on scores in SQLite.

    python benchmarks/monitoring.py                     # 100,000 recorded, 1,000,000 reported
    python benchmarks/monitoring.py --rows 100000 --json out.json

Recording is in batches of 256 with the members' logits, file facts and a tag, one transaction each.
A report is one window over all rows; the first one also shows every row to the sequential tests,
the next finds them up to date. Each report runs in a process of its own, so that its peak memory is
its own.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from synthdetect import Detector, Monitor

BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recorded", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--report-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.report_of:
        print(json.dumps(report(options.report_of)))
        return
    results: dict[str, Any] = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    }
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/monitor.db"
        detector = Detector.load("ensemble-v1")
        monitor = Monitor.for_detector(detector, reference=logits(10_000, 0), store=store)
        seconds = recorded(monitor, options.recorded)
        results["record"] = {
            "rows": options.recorded,
            "seconds": seconds,
            "rows a second": options.recorded / seconds,
        }
        recorded(monitor, max(0, options.rows - options.recorded))
        rows = max(options.rows, options.recorded)
        results["store"] = {"rows": rows, "MB": Path(store).stat().st_size / 1e6}
        for name in ("first report", "next report"):
            command = [sys.executable, __file__, "--report-of", store]
            found = subprocess.run(command, check=True, capture_output=True, text=True)
            results[name] = json.loads(found.stdout)
    for name, values in results.items():
        print(f"{name}:")
        for key, value in values.items():
            text = f"{value:.3f}" if isinstance(value, float) else value
            print(f"  {key:<24} {text}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


# Of the bundle that is monitored.
N_MEMBERS = len(Detector.load("ensemble-v1").members_)


def logits(n: int, seed: int) -> np.ndarray:
    """Return logits of all members, of shape (n, members); 5 % of the images are synthetic."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.05
    return rng.normal(np.where(y, 2.0, -2.0)[:, np.newaxis], 1, (n, N_MEMBERS))


def recorded(monitor: Monitor, n: int) -> float:
    """Record n rows in batches and return the seconds that recording took."""
    rng = np.random.default_rng(1)
    seconds = 0.0
    for begin in range(0, n, BATCH):
        size = min(BATCH, n - begin)
        scores = logits(size, 1 + begin)
        facts = {
            "format": ["JPEG"] * size,
            "width": [1024] * size,
            "height": [768] * size,
            "n_bytes": rng.integers(100_000, 300_000, size),
            "jpeg_quality": rng.integers(70, 96, size),
            "sharpness": rng.gamma(2, 100, size),
        }
        start = time.perf_counter()
        monitor.record(scores, facts=facts, tags={"source": "upload"})
        seconds += time.perf_counter() - start
    return seconds


def report(store: str) -> dict[str, float]:
    """Return what a report over everything takes, in this process."""
    monitor = Monitor.open(store)
    start = time.perf_counter()
    made = monitor.report(window="1d")
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return {
        "rows": made.newest.n,
        "seconds": seconds,
        "peak MB": peak,
    }


if __name__ == "__main__":
    main()
