"""`synthdetect info`."""

import json
from typing import Annotated

import typer

from synthdetect.cli.console import tell


def info(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|PATH",
            help="A bundled detector's name, or a bundle's path or address; without it, the names "
            "of the bundled detectors are listed.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the manifest (or the list of names) as JSON."),
    ] = False,
) -> None:
    """Tell what a detector is, what it learned on and how it measured.

    The bundle is read and all of its hashes are checked.

    \b
    Exit codes:
      0    done
      2    wrong usage, no such bundle, or a damaged one
    """
    from synthdetect.bundle.hub import bundled_names, open_bundle

    if bundle is None:
        names = bundled_names()
        if as_json:
            typer.echo(json.dumps(names))
        elif names:
            typer.echo("\n".join(names))
        else:
            tell("no bundle comes with this installation; give the path of one")
    elif as_json:
        typer.echo(open_bundle(bundle).manifest.to_json().decode().rstrip("\n"))
    else:
        from synthdetect.detector import Detector

        typer.echo(Detector.load(bundle).describe())
