"""`synthdetect compare`."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthdetect.cli.console import printable, progress, tell, without_warnings
from synthdetect.cli.output import opened
from synthdetect.cli.parts import DATA_HELP, MeasuredSplit, Split, measured_part

if TYPE_CHECKING:
    from synthdetect.cards import Cards
    from synthdetect.data.dataset import Dataset

UNREAD_IMAGES = 1
BUNDLED = "ensemble-v1"


class TableFormat(StrEnum):
    """How the comparison is written."""

    text = "text"
    csv = "csv"
    markdown = "markdown"
    html = "html"


@dataclass(frozen=True)
class _Leaving:
    """Options of --leave-out."""

    column: str
    recipe: Path
    out: Path
    only: tuple[str, ...]
    weights: Path | None
    jobs: int
    quiet: bool


def compare(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=DATA_HELP)],
    bundle: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|PATH",
            help="A bundled detector's name, or a bundle's path or address; several are compared.",
            show_default=BUNDLED,
        ),
    ] = None,
    split: MeasuredSplit = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REAL/SYNTHETIC",
            help="Two sources that share crop, size and history, measured on their own; several "
            "pairs are measured together too.",
        ),
    ] = None,
    output: Annotated[
        TableFormat | None,
        typer.Option(
            "--format",
            "-f",
            show_default="text, or by the extension of --out (.csv, .md, .html)",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write to this file; it is replaced when everything is done. With --leave-out, "
            "the folder that keeps each fold."
        ),
    ] = None,
    leave_out: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Instead, train by --recipe without each value of this column, such as source, "
            "and measure on it. What is finished in --out is read, not repeated.",
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A TOML file, as train takes it; for --leave-out.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VALUE",
            help="Leave out these values only; by default each.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Where files of initial weights are, if not beside the recipe.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Networks of a fold that are trained at once.")
    ] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Compare the members of detectors, and their ensembles, on the same labelled images.

    Accuracy, AUROC and average precision, precision, recall and F1 by class, errors at each source,
    size and speed, all with 95 % intervals, and McNemar's test against the most accurate. A member
    alone learns its threshold on the split val, if there is one that is not measured.

    With --leave-out, how members do on a source that they have not learned from.

    \b
    Exit codes:
      0    done
      1    done, but some images could not be read; they do not count
      2    wrong usage, or nothing could be done
      130  interrupted; 143  terminated
    """
    from synthdetect.data.folders import read_dataset

    if leave_out is not None:
        if bundle or split or pairs:
            reason = "--bundle, --split and --pairs do not go with it: members are trained anew"
            raise typer.BadParameter(reason, param_hint="--leave-out")
        if recipe is None or out is None:
            reason = "also needs --recipe RECIPE and --out DIR"
            raise typer.BadParameter(reason, param_hint="--leave-out")
        leaving = _Leaving(leave_out, recipe, out, tuple(only or ()), weights, jobs, quiet)
        typer.echo(_left_out(data, leaving, output or TableFormat.text), nl=False)
        return
    if recipe or only or weights or jobs > 1:
        reason = "--recipe, --only, --weights and --jobs go with --leave-out"
        raise typer.BadParameter(reason, param_hint="--leave-out")
    chosen = output or _format_of(out)
    named = [_pair(text) for text in pairs or []]
    dataset = read_dataset(data)
    with opened(out) as stream:
        made = _cards(dataset, data, bundle or [BUNDLED], split, named, quiet)
        stream.write(_rendered(made, chosen))
    for error in made.unread:
        tell(str(error))
    if made.unread:
        raise typer.Exit(UNREAD_IMAGES)


def _cards(
    dataset: "Dataset",
    path: Path,
    bundles: list[str],
    split: Split | None,
    pairs: list[tuple[str, str]],
    quiet: bool,
) -> "Cards":
    """Measure on the split, after teaching on `val` where that is another."""
    from synthdetect.cards import member_cards

    measured, wanted, note = measured_part(dataset, path, split)
    teaching = None
    if Split.val in set(dataset.split.tolist()) and wanted in (Split.test, Split.train):
        teaching = dataset.part(Split.val)
    total = len(measured) + (0 if teaching is None else len(teaching))
    with progress("images", total, show=not quiet) as advance, without_warnings():
        return member_cards(
            bundles, measured, teaching=teaching, pairs=pairs, note=note, advance=advance
        )


def _rendered(made: "Cards", chosen: TableFormat) -> str:
    from synthdetect.evaluation import members_text

    if chosen is TableFormat.html:
        from synthdetect.evaluation.members_html import as_html

        return as_html(made.cards)
    writers = {
        TableFormat.text: members_text.as_text,
        TableFormat.csv: members_text.as_csv,
        TableFormat.markdown: members_text.as_markdown,
    }
    text = writers[chosen](made.cards)
    # Line by line: names of sources and files may hold terminal commands.
    return "\n".join(map(printable, text.split("\n")))


def _left_out(data: Path, leaving: _Leaving, chosen: TableFormat) -> str:
    """Train and measure the folds; return their table, and keep it as JSON in the folder."""
    from synthdetect.data.folders import read_dataset
    from synthdetect.evaluation.files import write_whole
    from synthdetect.training.leave_out import leave_one_out
    from synthdetect.training.log import TrainingLog
    from synthdetect.training.recipe import read_recipe

    if chosen not in (TableFormat.text, TableFormat.markdown):
        reason = f"{chosen.value} is not for --leave-out; use text or markdown"
        raise typer.BadParameter(reason, param_hint="--format")
    plan = read_recipe(leaving.recipe, weights_dir=leaving.weights)
    with without_warnings():
        table = leave_one_out(
            read_dataset(data),
            plan,
            out=leaving.out,
            by=leaving.column,
            only=leaving.only,
            log=TrainingLog(leaving.out, quiet=leaving.quiet),
            jobs=leaving.jobs,
        )
    whole = json.dumps(table.to_dict(), indent=2, allow_nan=False) + "\n"
    write_whole(leaving.out / "leave-out.json", whole)
    text = table.to_markdown() if chosen is TableFormat.markdown else str(table)
    return "\n".join(map(printable, text.split("\n")))


def _format_of(out: Path | None) -> TableFormat:
    formats = {
        ".csv": TableFormat.csv,
        ".md": TableFormat.markdown,
        ".html": TableFormat.html,
    }
    return formats.get(out.suffix.lower() if out else "", TableFormat.text)


def _pair(text: str) -> tuple[str, str]:
    real, slash, synthetic = text.partition("/")
    if not (real and slash and synthetic):
        reason = f"{printable(text)!r} is no pair; write REAL/SYNTHETIC, the names of two sources"
        raise typer.BadParameter(reason, param_hint="--pairs")
    return real, synthetic
