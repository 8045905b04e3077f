"""How fast and how large prediction is: ratios within one run, on this machine.

    python benchmarks/inference.py                 # the graph against Keras, files, a cold start
    python benchmarks/inference.py --memory        # also a stream of 20,000 images (minutes)
    python benchmarks/inference.py --json out.json

Comparing with Keras needs the `train` extra; without it that part is left out and said so.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from synthdetect import Detector
from synthdetect.images.decode import decode
from synthdetect.images.views import apply_views
from synthdetect.members.registry import load_scorer
from synthdetect.runtime.openvino import Graph

IMAGES = Path(__file__).parents[1] / "examples" / "images"
COLD = """
import sys
from synthdetect import Detector
Detector.load(sys.argv[1]).predict_proba([sys.argv[2]])
"""
STREAM = """
import sys
from synthdetect import Detector
jpegs = [open(path, "rb").read() for path in sys.argv[2:]]
n = int(sys.argv[1])
detector = Detector.load("ensemble-v1")
assert sum(1 for _ in detector.stream(jpegs[i % len(jpegs)] for i in range(n))) == n
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="ensemble-v1")
    parser.add_argument("--files", type=int, default=150, help="JPEG files of 512 px")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="stream 1,000 and 20,000 images")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryDirectory() as folder:
        files = write_jpegs(Path(folder), options.files)
        results: dict[str, Any] = {"machine": machine()}
        # The cold start comes first: it must not profit from what is loaded here, only from disk.
        results["cold_start"] = cold_start(files[0], options.rounds, options.bundle)
        results["graph_vs_keras"] = graph_against_keras(options.rounds)
        results["files"] = files_end_to_end(options.bundle, files, options.rounds)
        if options.memory:
            results["stream"] = stream_memory(files[:20])
    for name, values in results.items():
        print(f"{name}:")
        for key, value in values.items():
            print(
                f"  {key:<44} {value:.3f}" if isinstance(value, float) else f"  {key:<44} {value}"
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}


def write_jpegs(folder: Path, n: int) -> list[Path]:
    """Write n JPEG files of 512 px, crops of the example photographs with noise of their own."""
    rng = np.random.default_rng(0)
    photos = [
        Image.fromarray(decode(path))
        for path in sorted(IMAGES.iterdir())
        if path.suffix.lower() in (".jpg", ".png")
    ]
    files = []
    for i in range(n):
        photo = np.asarray(photos[i % len(photos)].resize((512, 512))).astype(np.int16)
        noisy = np.clip(photo + rng.integers(-6, 7, photo.shape), 0, 255).astype(np.uint8)
        files.append(folder / f"{i:04d}.jpg")
        Image.fromarray(noisy).save(files[-1], quality=90)
    return files


def graph_against_keras(rounds: int) -> dict[str, Any]:
    """Time MobileNetV2 as a graph and as Keras `predict` at batch 32, in turn."""
    try:
        import keras  # noqa: F401
    except ImportError:
        return {"left out": "Keras is not installed (pip install 'synthdetect[train]')"}
    from synthdetect.images.views import CenterCrop
    from synthdetect.members.backbones import MobileNetV2

    results: dict[str, Any] = {}
    n = 256
    for size in (160, 224):
        member = MobileNetV2(view=CenterCrop(size), weights=None)
        seconds = in_turn(contenders_of(member, n), rounds)
        for name, values in seconds.items():
            results[f"{size} px, {name}, images/s"] = n / statistics.median(values)
        for name in ("openvino f32", "openvino bf16"):
            ratios = [k / o for k, o in zip(seconds["keras"], seconds[name], strict=True)]
            results[f"{size} px, {name} over keras (median of pairs)"] = statistics.median(ratios)
    return results


def contenders_of(member: Any, n: int) -> dict[str, Callable[[], Any]]:
    """Return calls that score n images by a network with random weights: Keras, and as a graph."""
    from synthdetect.members.backbones import build
    from synthdetect.training.export import export_graph

    size = member.view.size
    model = build(member, size=size, weights=None)
    # An untrained logit is next to 0, where the export's check of relative errors would fail.
    logit = model.get_layer("top").get_layer("logit")
    kernel, bias = logit.get_weights()
    logit.set_weights([kernel, bias + 1])
    crops = np.random.default_rng(0).integers(0, 256, (n, 1, size, size, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "random.weights.h5"
        model.save_weights(weights)
        files = export_graph(member, weights, crops[:8]).files
    graphs = {
        precision: Graph(files["xml"], files["bin"], crops=(1, size, size, 3), precision=precision)
        for precision in ("f32", "bf16")
    }
    return {
        "keras": lambda: model.predict(crops[:, 0], batch_size=32, verbose=0),
        "openvino f32": lambda: graphs["f32"].logits(crops),
        "openvino bf16": lambda: graphs["bf16"].logits(crops),
    }


def files_end_to_end(bundle: str, files: list[Path], rounds: int) -> dict[str, Any]:
    """Compare `predict_proba` over files with decoding and inference measured alone."""
    detector = Detector.load(bundle)
    views = [member.view for member in detector.members_]
    scorers = [load_scorer(member) for member in detector.members_]
    crops = [apply_views(decode(path), views) for path in files]

    def decode_alone() -> None:
        for path in files:
            decode(path)

    def inference_alone() -> None:
        for start in range(0, len(files), 16):
            for view, scorer in zip(views, scorers, strict=True):
                scorer.logits(np.stack([image[view] for image in crops[start : start + 16]]))

    contenders: dict[str, Callable[[], Any]] = {
        "decode": decode_alone,
        "inference": inference_alone,
        "predict_proba": lambda: detector.predict_proba(files),
    }
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, call in contenders.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            call()
            if round_:
                cpu[name].append(time.process_time() - cpu_start)
                wall[name].append(time.perf_counter() - start)
    alone = [d + i for d, i in zip(cpu["decode"], cpu["inference"], strict=True)]
    ratios = [whole / parts for whole, parts in zip(cpu["predict_proba"], alone, strict=True)]
    whole = statistics.median(wall["predict_proba"])
    start = time.perf_counter()
    for path in files[:20]:
        detector.predict_proba([path])
    return {
        "files": len(files),
        "decode alone, CPU ms/image": 1000 * statistics.median(cpu["decode"]) / len(files),
        "inference alone, CPU ms/image": 1000 * statistics.median(cpu["inference"]) / len(files),
        "predict_proba, CPU ms/image": 1000 * statistics.median(cpu["predict_proba"]) / len(files),
        "predict_proba CPU over the two alone": statistics.median(ratios),
        "predict_proba, images/s": len(files) / whole,
        "cores kept busy": statistics.median(cpu["predict_proba"]) / whole,
        "one image at a time, ms": 1000 * (time.perf_counter() - start) / len(files[:20]),
    }


def cold_start(path: Path, rounds: int, bundle: str = "ensemble-v1") -> dict[str, Any]:
    """Time a new process from its start to the probability of one file."""
    seconds, peaks = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        peaks.append(peak_mb([sys.executable, "-c", COLD, bundle, str(path)]))
        seconds.append(time.perf_counter() - start)
    return {
        "seconds (median)": statistics.median(seconds),
        "seconds (max)": max(seconds),
        "peak MB (max)": max(peaks),
    }


def stream_memory(files: list[Path]) -> dict[str, Any]:
    """Compare the peak memory of a stream of 1,000 images and of 20,000."""
    peaks = {
        n: peak_mb([sys.executable, "-c", STREAM, str(n), *map(str, files)])
        for n in (1_000, 20_000)
    }
    return {
        "peak MB at 1,000": peaks[1_000],
        "peak MB at 20,000": peaks[20_000],
        "difference, MB": peaks[20_000] - peaks[1_000],
    }


def in_turn(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each contender, A B C A B C ..., after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def peak_mb(command: list[str]) -> float:
    """Run a command in a process of its own and return its peak resident memory in MB."""
    wrapper = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", wrapper, *command], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024) / 1e6


if __name__ == "__main__":
    main()
