"""`synthdetect predict`."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import synthdetect
from synthdetect.cli.console import printable, progress, tell
from synthdetect.cli.journal import journal
from synthdetect.cli.judge import EVIDENCE, STABILITY, judged, judged_in_all_forms, with_evidence
from synthdetect.cli.output import COLUMNS, WRITERS, Row, opened, target_of
from synthdetect.cli.parts import Mode

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

    def add(self, row: Row) -> None:
        self.n += 1
        self.n_synthetic += row.decision == "synthetic"
        if row.error is not None:
            self.errors.append(f"{row.path}: {row.error}")

    def counted(self, rows: Iterable[Row], advance: Callable[[], None]) -> Iterator[Row]:
        """Yield rows as they pass."""
        for row in rows:
            self.add(row)
            yield row
            advance()


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
        typer.Option(
            help="Write to this file; it is replaced when everything is done. Until then results "
            "are kept in <file>.partial.jsonl, which stays if the run is stopped."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with what a run that was stopped left beside --out, if there is any.",
        ),
    ] = False,
    bundle: Annotated[
        str, typer.Option(help="A bundled detector's name, or a bundle's path or address.")
    ] = "ensemble-v1",
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Call an image synthetic from this P(synthetic) on, 0 to 1. Not with --mode "
            "cascade.",
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
    mode: Annotated[
        Mode,
        typer.Option(
            help="cascade asks the first members first, and the others about images that are not "
            "clear yet: faster, if the bundle has a cascade."
        ),
    ] = Mode.full,
    stability: Annotated[
        bool,
        typer.Option(
            "--stability",
            help="Judge each image in five other forms too, and call it 'uncertain' if the "
            "decision is not the same in all. Six times the cost.",
        ),
    ] = False,
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
      stable, p_*  with --stability: whether the decision is the same in all
                   forms, and P(synthetic) as JPEG 60, at half the size, as a
                   thumbnail and back, as WebP 75, of the middle 90 %
      evidence     with --evidence: what the file says of itself, 'none' if nothing;
                   empty (null) if unreadable

    The table has p_synthetic, decision, evidence (with --evidence) and path.

    \b
    Exit codes:
      0    all images were read
      1    some could not be read; the results of the others are there
      2    wrong usage, or nothing could be done
      130  interrupted; 143  terminated: results so far are written, or kept for --resume
    """
    # Written so that NaN, which is a float to the parser, is refused too.
    if threshold is not None and not 0 <= threshold <= 1:
        raise typer.BadParameter(f"{threshold} is not from 0 to 1", param_hint="--threshold")
    if threshold is not None and mode is Mode.cascade:
        reason = "a cascade stops where its own threshold is clear; calibrate the bundle to another"
        raise typer.BadParameter(reason, param_hint="--threshold")
    chosen = output or _format_of(out)
    if resume and out is None:
        raise typer.BadParameter("goes with --out", param_hint="--resume")
    target = None if out is None else target_of(out)
    sources = _images(paths, recursive=recursive)
    tally = _Tally()
    from synthdetect.detector import Detector
    from synthdetect.ensemble.threshold import Threshold

    options = {"precision": precision.value, "mode": mode.value, "workers": workers}
    detector = Detector.load(bundle, **options)
    decider = detector.decision_.threshold
    if threshold is not None:
        decider = Threshold(threshold, "--threshold")

    def rows_from(start: int) -> Iterator[Row]:
        left = iter(sources[start:])
        if stability:
            rows = judged_in_all_forms(detector.stream_stability(left), decider)
        else:
            rows = judged(detector.stream(left), decider)
        return with_evidence(rows) if evidence else rows

    columns = (*COLUMNS, *(STABILITY if stability else ()), *(EVIDENCE if evidence else ()))

    if target is None:
        with opened(None) as stream:
            # Rows and a bar on one terminal would overwrite each other.
            show = not quiet and (chosen is Format.table or not stream.isatty())
            with progress("images", len(sources), show=show) as advance:
                WRITERS[chosen](tally.counted(rows_from(0), advance), stream, columns)
    else:
        terms = {
            "version": synthdetect.__version__,
            "bundle": detector.digest_,
            "threshold": decider.to_dict(),
            "precision": precision.value,
            "mode": mode.value,
            "columns": list(columns),
        }
        with journal(target, terms, sources, resume=resume) as kept:
            for row in kept.rows():
                tally.add(row)
            with progress("images", len(sources), done=kept.n, show=not quiet) as advance:
                for row in tally.counted(rows_from(kept.n), advance):
                    kept.add(row)
            with opened(target) as stream:
                WRITERS[chosen](kept.rows(), stream, columns)
    for error in tally.errors:
        tell(error)
    if not quiet:
        tell(
            f"{tally.n} images, {tally.n_synthetic} synthetic, {len(tally.errors)} unreadable "
            f"(threshold {decider.value:.4f})"
        )
    if tally.errors:
        raise typer.Exit(UNREAD_IMAGES)


def _format_of(out: Path | None) -> Format:
    extension = out.suffix.lower().removeprefix(".") if out else ""
    if extension in ("csv", "jsonl"):
        return Format(extension)
    if extension not in ("", "txt", "table"):
        reason = f"{extension!r} is no kind of results; use .csv or .jsonl, or say --format"
        raise typer.BadParameter(reason, param_hint="--out")
    return Format.table


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
