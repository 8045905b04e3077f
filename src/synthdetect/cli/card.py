"""`synthdetect card`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthdetect.cli.console import printable, progress, tell
from synthdetect.cli.output import opened

if TYPE_CHECKING:
    from synthdetect.data.card import DataCard
    from synthdetect.data.confounds import Confounds

UNREAD_IMAGES = 1


class CardFormat(StrEnum):
    """How the card is written."""

    text = "text"
    json = "json"
    markdown = "markdown"


def card(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A CSV file with the columns path and label (real or synthetic), and what else "
            "you know (split, source, gender, age, ...); or a directory with folders such as real "
            "and synthetic (fake, ai), in or around folders of the splits if there are any.",
        ),
    ],
    output: Annotated[
        CardFormat | None,
        typer.Option(
            "--format", "-f", show_default="text, or by the extension of --out (.json, .md)"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write to this file; it is replaced when everything is done."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds of the confound check.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Tell what labelled images are made of, and whether file facts give the class away.

    Counts by class, split, source, format, size, JPEG settings and every further column; then how
    well formats, sizes and JPEG settings alone predict the label. Headers of files are read, no
    pixels.

    \b
    Exit codes:
      0    done, whatever the confound check found
      1    done, but some images could not be read; the card names them
      2    wrong usage, or nothing could be done
      130  interrupted
    """
    from synthdetect.data.card import data_card
    from synthdetect.data.confounds import confounds
    from synthdetect.data.dataset import group_names
    from synthdetect.data.folders import read_dataset
    from synthdetect.errors import DataError
    from synthdetect.images.facts import read_facts

    chosen = output or _format_of(out)
    dataset = read_dataset(data)
    with opened(out) as stream:
        with progress("files", len(dataset), show=not quiet) as advance:
            facts = read_facts(dataset.images, advance=advance)
        made = data_card(dataset, facts)
        found: Confounds | str
        try:
            found = confounds(facts, dataset.y, groups=group_names(dataset), seed=seed)
        except DataError as error:
            found = f"not checked: {error}"
        stream.write(_rendered(made, found, chosen))
    if made.unreadable:
        tell(f"{len(made.unreadable)} of {len(dataset)} images could not be read")
        raise typer.Exit(UNREAD_IMAGES)


def _format_of(out: Path | None) -> CardFormat:
    formats = {".json": CardFormat.json, ".md": CardFormat.markdown}
    return formats.get(out.suffix.lower() if out else "", CardFormat.text)


def _rendered(made: "DataCard", found: "Confounds | str", chosen: CardFormat) -> str:
    if chosen is CardFormat.json:
        told = {"verdict": found} if isinstance(found, str) else found.to_dict()
        return json.dumps({**made.to_dict(), "confounds": told}, indent=2) + "\n"
    if chosen is CardFormat.markdown:
        text = (
            f"{made.to_markdown()}\n## Do file facts tell the classes apart?\n\n```\n{found}\n```"
        )
    else:
        text = f"{made}\n\nDo file facts tell the classes apart?\n{found}"
    # Line by line: names of files and values of columns may hold terminal commands.
    return "".join(f"{printable(line)}\n" for line in text.split("\n"))
