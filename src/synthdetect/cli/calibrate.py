"""`synthdetect calibrate`."""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthdetect.cli.calibration_text import Side, report
from synthdetect.cli.console import printable, progress, tell, without_warnings
from synthdetect.cli.parts import part_of
from synthdetect.cli.policies import PolicyName, policy_of
from synthdetect.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synthdetect.data.dataset import Dataset
    from synthdetect.ensemble.threshold import AnyThreshold, Policy

UNREAD_IMAGES = 1


class What(StrEnum):
    """What is learned."""

    threshold = "threshold"
    probability = "probability"
    combiner = "combiner"
    all = "all"


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
        str, typer.Option(help="A bundled detector's name, or a bundle's path or address.")
    ] = "ensemble-v1",
    policy: Annotated[
        PolicyName,
        typer.Option(
            help="youden: both errors weigh the same; cost: the cheapest threshold; f-beta: the "
            "highest F score; max-fpr, min-recall, min-precision: keep a bound, with confidence; "
            "equal-error: both error rates equal; fixed: the one of --value; band, "
            "conformal-band: leave some images uncertain, by costs or by a bound on errors."
        ),
    ] = PolicyName.youden,
    false_positive: Annotated[
        float | None,
        typer.Option(
            help="Cost of calling a real image synthetic; for cost and band.", show_default="1"
        ),
    ] = None,
    false_negative: Annotated[
        float | None,
        typer.Option(
            help="Cost of calling a synthetic image real; for cost and band.", show_default="1"
        ),
    ] = None,
    review: Annotated[
        float | None,
        typer.Option(help="Cost of leaving an image uncertain; for band.", show_default="0.1"),
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(
            help="Share of synthetic images where the detector will be used; for cost, f-beta, "
            "min-precision and band.",
            show_default="as in the data",
        ),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(
            help="How many times recall counts as much as precision; for f-beta.", show_default="1"
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            help="Bound on the false-positive rate, for max-fpr, or on both kinds of errors, for "
            "conformal-band (there 0.05 by default).",
            show_default=False,
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(
            help="Share of synthetic images to find at least; for min-recall.", show_default=False
        ),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            help="Share of alarms to be right at least; for min-precision.", show_default=False
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="That the bound holds; for max-fpr, min-recall and min-precision.",
            show_default="0.95",
        ),
    ] = None,
    value: Annotated[
        float | None, typer.Option(help="The threshold, 0 to 1; for fixed.", show_default=False)
    ] = None,
    what: Annotated[
        What,
        typer.Option(
            help="threshold: probabilities stay as they are; probability: learn the calibrator and "
            "the threshold; combiner or all: learn how members are combined as well."
        ),
    ] = What.threshold,
    combiner: Annotated[
        str | None,
        typer.Option(
            help="soft-vote, stacking, median, trimmed-mean or best; for --what combiner and all.",
            show_default="soft-vote",
        ),
    ] = None,
    calibrator: Annotated[
        str | None,
        typer.Option(
            help="temperature, platt, isotonic, beta or auto; for --what other than threshold.",
            show_default="temperature",
        ),
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
    """Choose the threshold, or learn more, on your own labelled images.

    Members stay as they are. Use images that the detector was not trained on, and other images
    again to measure it afterwards. A manifest's column group keeps images together while learning.

    \b
    Exit codes:
      0    all images were read; the new bundle is saved
      1    some could not be read; the bundle is saved, learned on the others
      2    wrong usage, or nothing could be done
      130  interrupted; 143  terminated
    """
    chosen = policy_of(
        policy,
        {
            "false_positive": false_positive,
            "false_negative": false_negative,
            "review": review,
            "prevalence": prevalence,
            "beta": beta,
            "alpha": alpha,
            "recall": recall,
            "precision": precision,
            "confidence": confidence,
            "value": value,
        },
    )
    steps = _steps(what, combiner, calibrator)
    if not out.absolute().parent.is_dir():
        reason = f"folder {printable(str(out.absolute().parent))} does not exist; create it first"
        raise typer.BadParameter(reason, param_hint="--out")
    from synthdetect.bundle.format import check_target
    from synthdetect.data.folders import read_dataset
    from synthdetect.detector import Detector

    check_target(out)
    dataset, on = _part(read_dataset(manifest), split, manifest)
    detector = Detector.load(bundle, **steps)
    decision = detector.decision_
    recording = _Recording(chosen)
    try:
        with progress("images", len(dataset), show=not quiet) as advance, without_warnings():
            detector.calibrate(
                _counted(dataset.images, advance),
                dataset.y,
                policy=recording,
                what=what.value,
                groups=dataset.group.tolist() if (dataset.group != "").any() else None,
                on_error="nan",
            )
    finally:  # if too few are left to learn from, these are why
        errors = detector.errors_
        for error in errors.values():
            tell(str(error))
    p = recording.p
    if what is not What.threshold:  # which would leave them as they were
        good = [image for i, image in enumerate(dataset.images) if i not in errors]
        p = decision.probability(detector.member_logits(good))
    before, after = Side(decision.threshold, p), Side(detector.decision_.threshold, recording.p)
    lines = report(recording.y, before, after, policy=chosen, on=printable(on))
    typer.echo("\n".join(lines))
    saved = detector.save(out)
    typer.echo(f"saved as {printable(str(saved))}")
    if errors:
        tell(f"{len(errors)} of {len(dataset)} images could not be read and do not count")
        raise typer.Exit(UNREAD_IMAGES)


class _Recording:
    """A policy that keeps what it was shown: probabilities that did not learn from their image."""

    def __init__(self, policy: "Policy") -> None:
        self._policy = policy
        self.y: NDArray[Any]
        self.p: NDArray[Any]

    def fit(self, y: "ArrayLike", p: "ArrayLike") -> "AnyThreshold":
        import numpy as np

        self.y, self.p = np.asarray(y), np.asarray(p)
        return self._policy.fit(y, p)


def _steps(what: What, combiner: str | None, calibrator: str | None) -> dict[str, Any]:
    """Return the detector's learners, refusing those of steps that stay."""
    from synthdetect.ensemble.learners import calibrator_learner, combiner_learner

    if combiner is not None and what not in (What.combiner, What.all):
        raise typer.BadParameter("goes with --what combiner or all", param_hint="--combiner")
    if calibrator is not None and what is What.threshold:
        reason = "goes with --what probability, combiner or all"
        raise typer.BadParameter(reason, param_hint="--calibrator")
    learners: dict[str, Any] = {}
    for step, learner_of, name in (
        ("combiner", combiner_learner, combiner),
        ("calibrator", calibrator_learner, calibrator),
    ):
        try:
            learners[step] = learner_of(name)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=f"--{step}") from error
    return learners


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
    return part_of(dataset, manifest, wanted), f"split {wanted.value!r} of {manifest}"


def _counted(images: Iterable[Any], advance: Callable[[], None]) -> Iterator[Any]:
    for image in images:
        yield image
        advance()
