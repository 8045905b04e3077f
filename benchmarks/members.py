"""How many images a second each network scores: Keras against the graph, on this machine.

    python benchmarks/members.py                             # every network, 224 px, batch 32
    python benchmarks/members.py --only ResNet50 Xception
    python benchmarks/members.py --json out.json

Weights are random: speed does not depend on them. Each round times Keras `predict`, OpenVINO at
float32 and at bfloat16 in turn; the table has medians. Needs the `train` extra.
"""

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import Any

from inference import contenders_of, in_turn, machine
from synthdetect.images.views import CenterCrop
from synthdetect.members.backbones import BACKBONES, BackboneMember


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(BACKBONES), default=list(BACKBONES))
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--images", type=int, default=128, help="images a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    results: dict[str, Any] = {
        "machine": machine(),
        "size": options.size,
        "images": options.images,
        "rounds": options.rounds,
        "images_per_second": {},
    }
    print(results["machine"])
    header = ("keras", "openvino f32", "openvino bf16", "f32 over keras", "bf16 over keras")
    print(f"{f'images/s at {options.size} px':<22}" + "".join(f"{name:>17}" for name in header))
    for kind in options.only:
        row = images_per_second(kind, options.size, options.images, options.rounds)
        results["images_per_second"][kind] = row
        print(f"{kind:<22}" + "".join(f"{row[name]:>17.1f}" for name in header), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def images_per_second(kind: str, size: int, n: int, rounds: int) -> dict[str, float]:
    """Return medians over the rounds, and medians of the ratios of each round."""
    member = BackboneMember(kind=kind, name=kind.lower(), view=CenterCrop(size), weights=None)
    seconds = in_turn(contenders_of(member, n), rounds)
    row = {name: n / statistics.median(values) for name, values in seconds.items()}
    for precision in ("f32", "bf16"):
        pairs = zip(seconds["keras"], seconds[f"openvino {precision}"], strict=True)
        row[f"{precision} over keras"] = statistics.median(k / o for k, o in pairs)
    return row


if __name__ == "__main__":
    main()
