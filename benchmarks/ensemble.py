"""How good and how fast a bundle is, its members, and plain Keras beside it, in one run.

    python benchmarks/ensemble.py --data faces/manifest.csv     # accuracy too, on the split test
    python benchmarks/ensemble.py --json out.json               # speed only; says what is left out
    python benchmarks/ensemble.py --files 20 --rounds 1         # a quick look

Speed is that of `predict_proba` over JPEG files of 512 px, decoding included. Contenders take turns
in each round; figures are medians, and ratios medians of the ratios of each round. Keras `predict`
is of ResNet50 alone, with random weights, on crops of 224 px that are decoded already: it is
spared what the others must do. It needs the `train` extra.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from inference import cold_start, contenders_of, in_turn, machine, write_jpegs
from synthdetect import Detector
from synthdetect.cards import member_cards
from synthdetect.cli.parts import Split, measured_part
from synthdetect.data.folders import read_dataset
from synthdetect.images.views import CenterCrop
from synthdetect.member_classifier import MemberClassifier

KERAS = "keras predict, ResNet50 alone, 224 px"
WAYS = {
    "full, f32": {"mode": "full", "precision": "f32"},
    "full, bf16": {"mode": "full", "precision": "bf16"},
    "cascade, f32": {"mode": "cascade", "precision": "f32"},
    "cascade, bf16": {"mode": "cascade", "precision": "bf16"},
}
N_KERAS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="ensemble-v1")
    parser.add_argument("--data", type=Path, help="a manifest or labelled folder, for accuracy")
    parser.add_argument("--split", type=Split, help="by default test, if there is one")
    parser.add_argument("--files", type=int, default=150, help="JPEG files of 512 px")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    results: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        files = write_jpegs(Path(folder), options.files)
        # The cold start comes first: it must not profit from what is loaded here, only from disk.
        results["cold start"] = cold_start(files[0], options.rounds, options.bundle)
        results["one image, warm"] = latency(options.bundle, files)
        results |= throughput(options.bundle, files, options.rounds)
    results["accuracy"] = accuracy(options.bundle, options.data, options.split)
    for name, values in results.items():
        print(f"{name}:")
        for key, value in values.items():
            print(f"  {key:<44} {_shown(value)}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def latency(bundle: str, files: list[Path]) -> dict[str, Any]:
    """Time one file after the other by a detector that has seen some already."""
    detector = Detector.load(bundle)
    for path in files[:5]:
        detector.predict_proba([path])
    milliseconds = []
    for path in files[:50]:
        start = time.perf_counter()
        detector.predict_proba([path])
        milliseconds.append(1000 * (time.perf_counter() - start))
    return {
        "ms (median)": statistics.median(milliseconds),
        "ms (95 % are faster)": float(np.quantile(milliseconds, 0.95)),
        "images": len(milliseconds),
    }


def throughput(bundle: str, files: list[Path], rounds: int) -> dict[str, Any]:
    """Compare the ways to run a bundle, its members alone, and Keras, in images a second."""
    contenders: dict[str, Callable[[], Any]] = {}
    left_out: dict[str, Any] = {}
    whole = Detector.load(bundle)
    for name, way in WAYS.items():
        if way["mode"] == "cascade" and whole.cascade_ is None:
            left_out[name] = "left out: the bundle has no cascade"
        else:
            contenders[name] = _over(Detector.load(bundle, **way), files)
    for member in whole.members_:
        alone = MemberClassifier(member)
        contenders[f"{member.name} alone, f32"] = _over(alone, files)
    n_images = dict.fromkeys(contenders, len(files))
    try:
        contenders[KERAS] = _resnet50()
        n_images[KERAS] = N_KERAS
    except ImportError:
        left_out[KERAS] = "left out: pip install 'synthdetect[train]'"
    seconds = in_turn(contenders, rounds)
    each = {name: [s / n_images[name] for s in taken] for name, taken in seconds.items()}
    speeds: dict[str, Any] = {name: 1 / statistics.median(one) for name, one in each.items()}
    found = {"images/s": speeds | left_out}
    if KERAS in each:
        found["times as fast as Keras predict of ResNet50 alone"] = {
            name: statistics.median(k / s for k, s in zip(each[KERAS], each[name], strict=True))
            for name in each
            if name != KERAS
        }
    return found


def accuracy(bundle: str, data: Path | None, split: Split | None) -> dict[str, Any]:
    """Measure the ensemble at its threshold and each member at one learned on `val`."""
    if data is None:
        return {"left out": "give labelled images with --data"}
    dataset = read_dataset(data)
    measured, wanted, _ = measured_part(dataset, data, split)
    teaching = dataset.part(Split.val) if wanted is Split.test else None
    if teaching is not None and not len(teaching):
        teaching = None
    made = member_cards([bundle], measured, teaching=teaching)
    found: dict[str, Any] = {"images": f"split {wanted.value}, n = {len(measured)}"}
    for card in made.cards:
        one = card.evaluation
        for name, figure in (
            ("accuracy", one.accuracy),
            ("error", one.error),
            ("AUROC", one.auroc),
            ("TPR at FPR 0.5 %", one.tpr_at_fpr[0.005]),
            ("ECE", one.expected_calibration_error),
        ):
            found[f"{card.name}, {name}"] = figure.to_dict()
    return found


def _over(detector: Any, files: list[Path]) -> Callable[[], Any]:
    return lambda: detector.predict_proba(files)


def _resnet50() -> Callable[[], Any]:
    from synthdetect.members.backbones import BackboneMember

    view = CenterCrop(224)
    member = BackboneMember(kind="ResNet50", name="resnet50", view=view, weights=None)
    return contenders_of(member, N_KERAS)["keras"]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}], n = {value['n']}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
