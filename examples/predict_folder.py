"""Sort the images of a folder by their probability of being synthetic.

    python examples/predict_folder.py [FOLDER] [--detector NAME_OR_PATH]

A bad image does not stop the others: it is listed last, with what is wrong with it.
"""

import argparse
from pathlib import Path

from synthdetect import Detector


def main() -> None:
    """Print one line for each image."""
    parser = argparse.ArgumentParser(description="Sort a folder's images by P(synthetic).")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(__file__).parent / "images", metavar="FOLDER"
    )
    parser.add_argument("--detector", default="ensemble-v1", help="a bundled name or a path")
    options = parser.parse_args()

    detector = Detector.load(options.detector)
    # `stream` holds a few images at a time, so the folder may have any number of them.
    results = list(detector.stream(options.folder))
    good = [(p, name) for name, p, error in results if error is None]
    for p, name in sorted(good, reverse=True):
        label = "synthetic" if p >= detector.threshold_ else "real"
        print(f"{p:.3f}  {label:<9}  {Path(name).name}")
    for _, _, error in results:
        if error is not None:
            print(f"  -    unreadable {error}")
    print(f"{len(good)} images; synthetic means P(synthetic) >= {detector.threshold_:.3f}")


if __name__ == "__main__":
    main()
