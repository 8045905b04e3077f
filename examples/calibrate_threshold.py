"""Choose the threshold for your own costs, on your own labelled images, and measure on others.

    python examples/calibrate_threshold.py [--detector NAME_OR_PATH]

So that it runs anywhere, "real" are tiles of the photographs of examples/images, and "synthetic"
are the same tiles at half the side, doubled without smoothing: a crude stand-in for what the
upsampling of a generator leaves. The steps are what is shown here, not how good the detector is.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from synthdetect import CostWeighted, Detector, Youden
from synthdetect.evaluation.metrics import figures

TILE = 160
IMAGES = Path(__file__).parent / "images"


def labelled_images(half: int) -> tuple[list[np.ndarray], list[str]]:
    """Return one half of the images; no photograph has tiles in both."""
    images, labels = [], []
    for path in sorted(IMAGES.glob("*.jpg"))[half::2]:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        for top in range(0, pixels.shape[0] - TILE + 1, TILE):
            for left in range(0, pixels.shape[1] - TILE + 1, TILE):
                tile = pixels[top : top + TILE, left : left + TILE]
                images += [tile, tile[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)]
                labels += ["real", "synthetic"]
    return images, labels


def main() -> None:
    """Calibrate by three policies and print what each costs."""
    parser = argparse.ArgumentParser(description="Choose a threshold on labelled images.")
    parser.add_argument("--detector", default="ensemble-v1", help="a bundled name or a path")
    detector = Detector.load(parser.parse_args().detector)

    mine, labels = labelled_images(half=0)
    others, other_labels = labelled_images(half=1)
    y = [label == "synthetic" for label in other_labels]
    p = detector.predict_proba(others)[:, 1]

    print(f"chosen on {len(mine)} images, measured on {len(others)} others, 95 % intervals")
    print(f"{'policy':<34}{'threshold':>10}  {'false positives':<24}false negatives")
    # One in 50 uploads is synthetic; to accuse a real photograph is ten times as bad as a miss.
    rare_and_dear = CostWeighted(false_positive=10, false_negative=1, prevalence=0.02)
    print(_row("as it was", detector.threshold_, y, p))
    for name, policy in (
        ("Youden()", Youden()),
        ("10 : 1, prevalence 0.02", rare_and_dear),
        ("1 : 10, prevalence 0.5", CostWeighted(1, 10, prevalence=0.5)),
    ):
        # `calibrate` moves the threshold only; the probabilities stay as they are.
        print(_row(name, detector.calibrate(mine, labels, policy=policy).threshold_, y, p))


def _row(name: str, threshold: float, y: list[bool], p: np.ndarray) -> str:
    measured = figures(y, p, threshold)
    rates = measured.false_positive_rate, measured.false_negative_rate
    return f"{name:<34}{threshold:>10.4f}  {rates[0]!s:<24}{rates[1]}"


if __name__ == "__main__":
    main()
