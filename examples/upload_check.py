"""Decide on an upload: bytes in, a decision and its reason out; whatever the bytes are.

    python examples/upload_check.py [FILE ...] [--detector NAME_OR_PATH]

The last two uploads of the demonstration are broken on purpose and made in memory.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthdetect import Detector, ImageError, Limits


@dataclass(frozen=True)
class Verdict:
    """What the application does with an upload: `accept`, `review` or `reject`."""

    action: str
    reason: str


def check_upload(detector: Detector, content: bytes) -> Verdict:
    """Judge one upload.

    A high score sends an image to a person. It is no evidence on its own, so nothing is rejected
    for it; rejected is what is not a usable image.
    """
    try:
        p = float(detector.predict_proba(content)[0, 1])
    except ImageError as error:
        # `error.reason` says what is wrong and what to do, without a file name of the server.
        return Verdict("reject", error.reason)
    if p >= detector.threshold_:
        return Verdict("review", f"P(synthetic) {p:.3f}, threshold {detector.threshold_:.3f}")
    return Verdict("accept", f"P(synthetic) {p:.3f}")


def main() -> None:
    """Check files and two broken uploads."""
    parser = argparse.ArgumentParser(description="Accept, review or reject uploads.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--detector", default="ensemble-v1", help="a bundled name or a path")
    options = parser.parse_args()

    # Loaded once when a service starts; calls from several threads may share it. Uploads are
    # strangers' files, so the limits are tighter than the defaults.
    limits = Limits(max_pixels=40_000_000, max_file_bytes=20 << 20)
    detector = Detector.load(options.detector, limits=limits)

    images = Path(__file__).parent / "images"
    files = options.files or [images / "astronaut.jpg", images / "drawn_portrait.png"]
    uploads = {path.name: path.read_bytes() for path in files}
    uploads["truncated.jpg"] = (images / "coffee.jpg").read_bytes()[:5000]
    uploads["noise.png"] = np.random.default_rng(0).bytes(1000)
    for name, content in uploads.items():
        verdict = check_upload(detector, content)
        print(f"{name:<20} {verdict.action:<7} {verdict.reason}")


if __name__ == "__main__":
    main()
