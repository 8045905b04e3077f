"""`synthdetect card`."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from synthdetect.cli.console import printable, progress, tell
from synthdetect.cli.output import opened
from synthdetect.errors import DataError, ImageError

if TYPE_CHECKING:
    from synthdetect.data.card import DataCard
    from synthdetect.data.confounds import Confounds, Facts
    from synthdetect.data.dataset import Dataset
    from synthdetect.data.dedupe import LookAlikes

    _Parts: TypeAlias = "dict[str, Confounds | _NotChecked | LookAlikes]"

UNREAD_IMAGES = 1


_HEADINGS = {
    "confounds": "Do file facts tell the classes apart?",
    "duplicates": "Do images look alike?",
}


@dataclass(frozen=True)
class _NotChecked:
    """Stands for `Confounds` where there are too few images."""

    reason: str

    def __str__(self) -> str:
        return f"not checked: {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        return {"verdict": str(self)}


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
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of the folds of the confound check.")
    ] = 0,
    duplicates: Annotated[
        bool,
        typer.Option(
            "--duplicates",
            help="Look for near-duplicates too, also across splits and classes. Decodes every "
            "image; needs synthdetect[data].",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Tell what labelled images are made of, and whether file facts give the class away.

    Counts by class, split, source, format, size, JPEG settings and every further column; then how
    well formats, sizes and JPEG settings alone predict the label. Without --duplicates headers of
    files are read, no pixels.

    \b
    Exit codes:
      0    done, whatever the confound check found
      1    done, but some images could not be read; the card names them
      2    wrong usage, or nothing could be done
      130  interrupted; 143  terminated
    """
    import numpy as np

    from synthdetect.data.card import data_card
    from synthdetect.data.dedupe import look_alikes
    from synthdetect.data.folders import read_dataset
    from synthdetect.images.facts import read_facts

    chosen = output or _format_of(out)
    dataset = read_dataset(data)
    with opened(out) as stream:
        with progress("files", len(dataset), show=not quiet) as advance:
            facts = read_facts(dataset.images, advance=advance)
        parts: _Parts = {"confounds": _checked(facts, dataset, seed)}
        if duplicates:
            readable = np.flatnonzero([not isinstance(found, ImageError) for found in facts])
            parts["duplicates"] = found = look_alikes(dataset.take(readable))
            # Whole headers, but no whole pictures.
            for i, error in found.unread.items():
                facts[readable[i]] = error
        made = data_card(dataset, facts)
        stream.write(_rendered(made, parts, chosen))
    if made.unreadable:
        tell(f"{len(made.unreadable)} of {len(dataset)} images could not be read")
        raise typer.Exit(UNREAD_IMAGES)


def _checked(facts: "Facts", dataset: "Dataset", seed: int) -> "Confounds | _NotChecked":
    from synthdetect.data.confounds import confounds
    from synthdetect.data.dataset import group_names

    try:
        return confounds(facts, dataset.y, groups=group_names(dataset), seed=seed)
    except DataError as error:
        return _NotChecked(str(error))


def _format_of(out: Path | None) -> CardFormat:
    formats = {".json": CardFormat.json, ".md": CardFormat.markdown}
    return formats.get(out.suffix.lower() if out else "", CardFormat.text)


def _rendered(made: "DataCard", parts: "_Parts", chosen: CardFormat) -> str:
    if chosen is CardFormat.json:
        told = {name: part.to_dict() for name, part in parts.items()}
        return json.dumps({**made.to_dict(), **told}, indent=2) + "\n"
    if chosen is CardFormat.markdown:
        text = made.to_markdown()
        for name, part in parts.items():
            text += f"\n## {_HEADINGS[name]}\n\n```\n{part}\n```\n"
    else:
        text = f"{made}\n"
        for name, part in parts.items():
            text += f"\n{_HEADINGS[name]}\n{part}\n"
    # Line by line: names of files and values of columns may hold terminal commands.
    return "\n".join(map(printable, text.split("\n")))
