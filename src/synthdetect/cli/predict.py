"""`synthdetect predict`."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthdetect.cli.console import printable, progress, tell
from synthdetect.cli.output import WRITERS, Row, RowWithEvidence, opened
from synthdetect.errors import ImageError

if TYPE_CHECKING:
    from synthdetect.ensemble.threshold import AnyThreshold

UNREAD_IMAGES = 1


class Format(StrEnum):
    """How results are written."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


class Precision(StrEnum):
    """Arithmetic of networks."""

    f32 = "f32"
    bf16 = "bf16"


@dataclass
class _Tally:
    """What the summary says; grows while rows pass."""

    n: int = 0
    n_synthetic: int = 0
    errors: list[str] = field(default_factory=list)


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS",
            help="Images, and directories of images (sorted by name). '-' is not standard input. "
            "Put -- before a name that begins with '-'.",
            show_default=False,
        ),
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Look into directories of directories.")
    ] = False,
    output: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="csv and jsonl are written image by image.",
            show_default="table, or by the extension of --out",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write to this file; it is replaced when everything is done."),
    ] = None,
    bundle: Annotated[
        str, typer.Option(help="A bundled detector's name, or the path of a bundle.")
    ] = "ensemble-v1",
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Call an image synthetic from this P(synthetic) on, 0 to 1.",
            show_default="the bundle's",
        ),
    ] = None,
    evidence: Annotated[
        bool,
        typer.Option(
            "--evidence",
            help="Tell what each file says of itself (content credentials, source type, "
            "generator's texts, camera) in a column of its own; it changes no probability.",
        ),
    ] = False,
    precision: Annotated[
        Precision, typer.Option(help="bf16 is faster on CPUs that have it, and less exact.")
    ] = Precision.f32,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that decode images.", show_default="one a core"),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")
    ] = False,
) -> None:
    """Tell real photographs from synthetic images.

    Results go to standard output or to --out, all else to standard error. Images that cannot be
    read do not stop the run: they are 'unreadable', and reported with their reasons at the end.

    \b
    Columns of csv and jsonl:
      path         as given, or as found in a directory
      p_synthetic  P(synthetic), 0 to 1; empty (null) if unreadable
      decision     real, synthetic, uncertain (in a band) or unreadable
      threshold    the image is synthetic if p_synthetic is not below it
      error        why it is unreadable; else empty (null)
      evidence     with --evidence: what the file says of itself, 'none' if nothing

    \b
    Exit codes:
      0    all images were read
      1    some could not be read; the results of the others are there
      2    wrong usage, or nothing could be done
      130  interrupted
    """
    # Written so that NaN, which is a float to the parser, is refused too.
    if threshold is not None and not 0 <= threshold <= 1:
        raise typer.BadParameter(f"{threshold} is not from 0 to 1", param_hint="--threshold")
    chosen = output or _format_of(out)
    sources = _images(paths, recursive=recursive)
    tally = _Tally()
    with opened(out) as stream:
        from synthdetect.detector import Detector
        from synthdetect.ensemble.threshold import Threshold

        detector = Detector.load(bundle, precision=precision.value, workers=workers)
        decider = detector.decision_.threshold
        if threshold is not None:
            decider = Threshold(threshold, "--threshold")
        cutoff = decider.value
        # Rows and a bar on one terminal would overwrite each other.
        show = not quiet and (chosen is Format.table or not stream.isatty())
        with progress("images", len(sources), show=show) as advance:
            rows = _rows(detector.stream(iter(sources)), decider, tally, advance)
            if evidence:
                rows = _with_evidence(rows)
            WRITERS[chosen](rows, stream, RowWithEvidence if evidence else Row)
    for error in tally.errors:
        tell(error)
    if not quiet:
        tell(
            f"{tally.n} images, {tally.n_synthetic} synthetic, {len(tally.errors)} unreadable "
            f"(threshold {cutoff:.4f})"
        )
    if tally.errors:
        raise typer.Exit(UNREAD_IMAGES)


def _format_of(out: Path | None) -> Format:
    extension = out.suffix.lower().removeprefix(".") if out else ""
    return Format(extension) if extension in ("csv", "jsonl") else Format.table


def _images(paths: list[str], *, recursive: bool) -> list[str]:
    """Return the images that the paths stand for, in order."""
    from synthdetect.images.batches import iter_sources

    missing = [path for path in paths if not path or not os.path.exists(path)]  # noqa: PTH110
    if missing:
        names = ", ".join(printable(path) or "''" for path in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        hint = "; '-' is not standard input" if "-" in missing else ""
        reason = f"no such file or directory: {names}{more}{hint}"
        raise typer.BadParameter(reason, param_hint="PATHS")
    images: list[str] = []
    for path in paths:
        found = iter_sources(path, recursive=recursive)
        inside = [os.fspath(image) for image in found if not Path(image).is_dir()]
        if not inside:
            hint = "" if recursive else "; --recursive looks into its directories as well"
            tell(f"{path}: no images in this directory{hint}")
        images += inside
    if not images:
        raise typer.BadParameter("there is no image in them", param_hint="PATHS")
    return images


def _rows(
    results: Iterable[tuple[str, float, ImageError | None]],
    threshold: "AnyThreshold",
    tally: _Tally,
    advance: Callable[[], None],
) -> Iterator[Row]:
    """Turn results into rows, counting them."""
    for name, p, error in results:
        tally.n += 1
        if error is not None:
            tally.errors.append(str(error))
            yield Row(name, None, "unreadable", threshold.value, error.reason)
        else:
            decision = str(threshold.decide([p])[0])
            tally.n_synthetic += decision == "synthetic"
            yield Row(name, p, decision, threshold.value)
        advance()


def _with_evidence(rows: Iterable[Row]) -> Iterator[Row]:
    """Add what each file says of itself; its header is read once more for it."""
    from synthdetect.evidence.read import read_evidence

    for row in rows:
        told = None
        if row.error is None:
            try:
                told = read_evidence(row.path).summary
            except ImageError as error:
                told = f"not read: {error.reason}"
        yield RowWithEvidence(**asdict(row), evidence=told)
