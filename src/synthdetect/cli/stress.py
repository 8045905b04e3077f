"""`synthdetect stress`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthdetect.cli.console import printable, progress, tell
from synthdetect.cli.output import opened
from synthdetect.cli.parts import DATA_HELP, MeasuredMode, MeasuredSplit, Mode, measured_part

if TYPE_CHECKING:
    from synthdetect.evaluation.robustness import Robustness

UNREAD_IMAGES = 1
_FIRST = 5


class StressFormat(StrEnum):
    """How the stress test is written."""

    text = "text"
    csv = "csv"
    json = "json"
    markdown = "markdown"
    html = "html"


def stress(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=DATA_HELP)],
    bundle: Annotated[
        str, typer.Option(help="A bundled detector's name, or a bundle's path or address.")
    ] = "ensemble-v1",
    split: MeasuredSplit = None,
    max_images: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Draw at most so many images, with classes and sources in proportion.",
            show_default="all",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the images drawn, and of noise and random crops.")
    ] = 0,
    output: Annotated[
        StressFormat | None,
        typer.Option(
            "--format",
            "-f",
            show_default="text, or by the extension of --out (.csv, .json, .md, .html)",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write to this file; it is replaced when everything is done."),
    ] = None,
    mode: MeasuredMode = Mode.full,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that decode images.", show_default="one a core"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Measure a detector on images that were compressed, scaled, cropped and shared.

    Accuracy, AUROC, TPR and FPR at the bundle's threshold under each of about fifty perturbations,
    and how far the FPR is from that of the same images untouched, all with 95 % intervals; then
    the share of images whose decision flips once they are shipped again. Each image is read once
    and scored about fifty times: begin with --max-images 200.

    \b
    Exit codes:
      0    done
      1    done, but some images could not be read; they do not count
      2    wrong usage, or nothing could be done
      130  interrupted
    """
    from synthdetect.data.folders import read_dataset
    from synthdetect.data.sample import sample
    from synthdetect.detector import Detector
    from synthdetect.stress import stress_test

    chosen = output or _format_of(out)
    measured, _, note = measured_part(read_dataset(data), data, split)
    if max_images is not None and max_images < len(measured):
        note += f" {max_images} of {len(measured)} images were drawn."
        measured = sample(measured, max_images, seed=seed)
    if mode is Mode.cascade:
        note += " Members are asked in turn (mode 'cascade')."
    with opened(out) as stream:
        with progress("images", len(measured), show=not quiet) as advance:
            found = stress_test(
                Detector.load(bundle, mode=mode.value),
                measured,
                seed=seed,
                note=note,
                workers=workers,
                advance=advance,
            )
        stream.write(_rendered(found.robustness, chosen))
    for error in found.unread:
        tell(str(error))
    for error in found.refused[:_FIRST]:
        tell(str(error))
    if len(found.refused) > _FIRST:
        tell(f"and {len(found.refused) - _FIRST} more results that are outside the limits")
    if found.unread:
        raise typer.Exit(UNREAD_IMAGES)


def _rendered(robustness: "Robustness", chosen: StressFormat) -> str:
    from synthdetect.evaluation import robustness_text

    if chosen is StressFormat.html:
        from synthdetect.evaluation.robustness_html import as_html

        return as_html(robustness)
    if chosen is StressFormat.json:
        return robustness_text.as_json(robustness)
    writers = {
        StressFormat.text: robustness_text.as_text,
        StressFormat.csv: robustness_text.as_csv,
        StressFormat.markdown: robustness_text.as_markdown,
    }
    # Line by line: names of sources and files may hold terminal commands.
    return "\n".join(map(printable, writers[chosen](robustness).split("\n")))


def _format_of(out: Path | None) -> StressFormat:
    formats = {
        ".csv": StressFormat.csv,
        ".json": StressFormat.json,
        ".md": StressFormat.markdown,
        ".html": StressFormat.html,
    }
    return formats.get(out.suffix.lower() if out else "", StressFormat.text)
