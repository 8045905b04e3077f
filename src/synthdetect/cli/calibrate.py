"""`synthdetect calibrate`."""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthdetect.cli.console import printable, progress, tell
from synthdetect.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synthdetect.data.dataset import Dataset
    from synthdetect.ensemble.threshold import AnyThreshold, Policy

UNREAD_IMAGES = 1


class PolicyName(StrEnum):
    """How the threshold is chosen."""

    youden = "youden"
    cost_weighted = "cost-weighted"
    fixed = "fixed"


class Split(StrEnum):
    """Part of a manifest."""

    train = "train"
    val = "val"
    test = "test"


def calibrate(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A CSV file with the columns path and label (real or synthetic), and optionally "
            "split (train, val, test); or a directory with folders such as real and synthetic "
            "(fake, ai), in or around folders of the splits if there are any.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The new bundle: a folder, or one file if it ends in .zip.")
    ],
    bundle: Annotated[
        str, typer.Option(help="A bundled detector's name, or the path of a bundle.")
    ] = "ensemble-v1",
    policy: Annotated[
        PolicyName,
        typer.Option(
            help="youden: false positives and false negatives weigh the same; cost-weighted: the "
            "cheapest threshold; fixed: the one that you give by --value."
        ),
    ] = PolicyName.youden,
    false_positive_cost: Annotated[
        float | None,
        typer.Option(
            help="Of calling a real image synthetic; for cost-weighted.", show_default="1"
        ),
    ] = None,
    false_negative_cost: Annotated[
        float | None,
        typer.Option(
            help="Of calling a synthetic image real; for cost-weighted.", show_default="1"
        ),
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(
            help="Share of synthetic images where the detector will be used; for cost-weighted.",
            show_default="as in the manifest",
        ),
    ] = None,
    value: Annotated[
        float | None, typer.Option(help="The threshold, 0 to 1; for fixed.", show_default=False)
    ] = None,
    split: Annotated[
        Split | None,
        typer.Option(
            help="Use this part of the manifest only.",
            show_default="val if the manifest has a train split, else all images",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Choose the threshold on your own labelled images.

    Probabilities stay as they are; only the decision changes. Use images that the detector was not
    trained on, and other images again to measure it afterwards.

    \b
    Exit codes:
      0    all images were read; the new bundle is saved
      1    some could not be read; the bundle is saved, learned on the others
      2    wrong usage, or nothing could be done
      130  interrupted
    """
    costs = {
        "false_positive": false_positive_cost,
        "false_negative": false_negative_cost,
        "prevalence": prevalence,
    }
    chosen = _policy(policy, {k: v for k, v in costs.items() if v is not None}, value)
    if not out.absolute().parent.is_dir():
        reason = f"folder {printable(str(out.absolute().parent))} does not exist; create it first"
        raise typer.BadParameter(reason, param_hint="--out")
    from synthdetect.data.folders import read_dataset
    from synthdetect.detector import Detector

    dataset, what = _part(read_dataset(manifest), split, manifest)
    detector = Detector.load(bundle)
    before = detector.decision_.threshold
    recording = _Recording(chosen)
    try:
        with progress("images", len(dataset), show=not quiet) as advance:
            images = _counted(dataset.images, advance)
            detector.calibrate(images, dataset.y, policy=recording, on_error="nan")
    finally:  # if too few are left to learn from, these are why
        for error in detector.errors_.values():
            tell(str(error))
    typer.echo(_report(recording, before, detector.decision_.threshold, what))
    saved = detector.save(out)
    typer.echo(f"saved as {printable(str(saved))}")
    if detector.errors_:
        tell(f"{len(detector.errors_)} of {len(dataset)} images could not be read and do not count")
        raise typer.Exit(UNREAD_IMAGES)


class _Recording:
    """A policy that keeps what it was shown, so that images are scored once."""

    def __init__(self, policy: "Policy") -> None:
        self._policy = policy
        self.y: NDArray[Any]
        self.p: NDArray[Any]

    def fit(self, y: "ArrayLike", p: "ArrayLike") -> "AnyThreshold":
        import numpy as np

        self.y, self.p = np.asarray(y), np.asarray(p)
        return self._policy.fit(y, p)


def _policy(name: PolicyName, costs: dict[str, float], value: float | None) -> "Policy":
    """Make the policy of its options, refusing those of another one."""
    from synthdetect.ensemble.policies import CostWeighted, Fixed, Youden

    if costs and name is not PolicyName.cost_weighted:
        reason = "costs and --prevalence count with --policy cost-weighted only"
        raise typer.BadParameter(reason, param_hint="--policy")
    if (value is not None) != (name is PolicyName.fixed):
        reason = "--policy fixed and --value go together"
        raise typer.BadParameter(reason, param_hint="--value")
    try:
        if name is PolicyName.cost_weighted:
            return CostWeighted(**costs)
        return Youden() if value is None else Fixed(value)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--policy") from error


def _part(dataset: "Dataset", split: Split | None, manifest: Path) -> tuple["Dataset", str]:
    """Return the images to learn on, and what to call them."""
    given = set(dataset.split.tolist())
    wanted = split
    if wanted is None and Split.train in given:
        if Split.val not in given:
            raise DataError(
                f"{manifest}: has a split 'train', which the detector may have learned on, and no "
                "split 'val'; say by --split which one to use"
            )
        wanted = Split.val
    if wanted is None:
        return dataset, f"all images of {manifest}"
    if wanted not in given:
        names = ", ".join(sorted(given - {""})) or "none"
        raise DataError(f"{manifest}: has no split {wanted.value!r}; its splits: {names}")
    return dataset.part(wanted), f"split {wanted.value!r} of {manifest}"


def _counted(images: Iterable[Any], advance: Callable[[], None]) -> Iterator[Any]:
    for image in images:
        yield image
        advance()


def _report(recording: _Recording, before: "AnyThreshold", after: "AnyThreshold", what: str) -> str:
    from synthdetect.evaluation.metrics import figures

    measured = [figures(recording.y, recording.p, t.value) for t in (before, after)]
    n, n_real, n_synthetic = (getattr(measured[0], k) for k in ("n", "n_real", "n_synthetic"))
    lines = [
        f"on {printable(what)}: n = {n} ({n_real} real, {n_synthetic} synthetic), 95 % intervals",
        f"{'':4}{'threshold':>10}  {'false-positive rate':<20}  false-negative rate",
    ]
    for name, row in zip(("old", "new"), measured, strict=True):
        lines.append(
            f"{name:4}{row.threshold:>10.4f}  {row.false_positive_rate!s:<20}  "
            f"{row.false_negative_rate!s}"
        )
    lines.append(f"new threshold by {after.policy}")
    note = "both rows are measured on the same images"
    if not after.policy.startswith("Fixed"):
        note += ", which also chose the new threshold: expect its rates to be worse on others"
    return "\n".join([*lines, note])
