"""`synthdetect split`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from synthdetect.cli.console import telling_warnings
from synthdetect.cli.output import opened
from synthdetect.cli.parts import DATA_HELP
from synthdetect.errors import DataError


def split(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=DATA_HELP)],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="The manifest that is written, a CSV file; it is replaced when everything is "
            "done. Paths in it are relative to its folder.",
        ),
    ],
    shares: Annotated[
        tuple[float, float, float],
        typer.Option(metavar="TRAIN VAL TEST", help="Shares of the images, 1 in sum."),
    ] = (0.7, 0.1, 0.2),
    seed: Annotated[int, typer.Option(min=0, help="Of the order in which equals are dealt.")] = 0,
    duplicates: Annotated[
        bool,
        typer.Option(
            "--duplicates/--no-duplicates",
            help="Find near-duplicates and keep them in one split. Decodes every image; needs "
            "synthdetect[data].",
        ),
    ] = True,
    anew: Annotated[
        bool, typer.Option("--anew", help="Deal images that have splits already once more.")
    ] = False,
) -> None:
    """Deal labelled images to train, val and test, and write a manifest of them.

    Groups (one person, one prompt) and near-duplicates stay in one split; classes, and sources
    within a class, come out in proportion where they permit it.

    \b
    Exit codes:
      0    done
      2    wrong usage, or an image cannot be read; nothing is written
      130  interrupted; 143  terminated
    """
    import numpy as np

    from synthdetect.data.dataset import SPLITS
    from synthdetect.data.dedupe import with_duplicate_groups
    from synthdetect.data.folders import read_dataset
    from synthdetect.data.splits import split as deal
    from synthdetect.data.to_csv import manifest_text

    dataset = read_dataset(data)
    if any(dataset.split) and not anew:
        raise DataError(f"{data} has splits already; --anew deals its images once more")
    # Near-duplicates in two of them are no error where all are dealt anew.
    dataset = replace(dataset, split=np.full(len(dataset), "", dtype=np.str_))
    if duplicates:
        with telling_warnings():
            dataset = with_duplicate_groups(dataset)
    dealt = deal(dataset, shares, seed=seed)
    with opened(out) as stream:
        stream.write(manifest_text(dealt, out.parent))
    counts = dealt.counts()
    for name in SPLITS:
        if row := counts.get(name):
            typer.echo(f"{name}: {row['real']} real, {row['synthetic']} synthetic")
