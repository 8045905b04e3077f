"""`synthdetect audit`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from synthdetect.cli.console import printable, progress, tell
from synthdetect.cli.parts import MeasuredMode, Mode
from synthdetect.errors import DataError

UNREAD_IMAGES = 1


def audit(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST",
            help="A CSV file with the columns path and label (real or synthetic), and what else "
            "you know (split, source, group, gender, age, ...); or a directory with folders such "
            "as real and synthetic.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The report, an HTML page.")],
    as_json: Annotated[
        Path | None,
        typer.Option("--json", help="Write every figure to this file too.", show_default=False),
    ] = None,
    bundle: Annotated[
        str, typer.Option(help="A bundled detector's name, or a bundle's path or address.")
    ] = "ensemble-v1",
    split: Annotated[
        str | None,
        typer.Option(
            help="Use this part of the manifest only.",
            show_default="test if the manifest has a train split, else all images",
        ),
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of synthetic images in use.", show_default="several are shown"
        ),
    ] = None,
    stress_images: Annotated[
        int,
        typer.Option(
            min=0,
            help="Perturb at most so many images too, drawn with classes and sources in "
            "proportion; each costs 25 times as much as one that is not. 0: none.",
        ),
    ] = 100,
    mode: MeasuredMode = Mode.full,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Write one report of a detector on your own labelled images.

    What to look at first; every figure with its interval, by group; what compression, scaling and
    sharing do to rates and decisions, on a sample; the images nearest to the threshold and the
    worst mistakes; whether file facts alone give the class away; what the images are made of. Needs
    synthdetect[plots].

    \b
    Exit codes:
      0    done, whatever was found
      1    done, but some images could not be read; the report names them
      2    wrong usage, or nothing could be done
      130  interrupted
    """
    for file, hint in ((out, "--out"), (as_json, "--json")):
        if file is not None and not file.absolute().parent.is_dir():
            reason = f"folder {printable(str(file.absolute().parent))} does not exist"
            raise typer.BadParameter(f"{reason}; create it first", param_hint=hint)
    from synthdetect.auditing.audit import audit as audited
    from synthdetect.data.folders import read_dataset
    from synthdetect.detector import Detector
    from synthdetect.optional import require

    require("matplotlib", extra="plots")  # before a long look at the images
    dataset = read_dataset(data)
    given = set(dataset.split.tolist())
    wanted = split or ("test" if "train" in given else None)
    if wanted is not None:
        if wanted not in given:
            names = ", ".join(sorted(given - {""})) or "none"
            raise DataError(f"{data}: has no split {wanted!r}; its splits: {names}")
        dataset = dataset.part(wanted)
    on = f"split {wanted!r}" if wanted else "all images"
    detector = Detector.load(bundle, mode=mode.value)
    told = audited(
        detector,
        dataset,
        prevalence=prevalence,
        note=f"{on} of {data}",
        stress_images=stress_images,
        progress=partial(progress, show=not quiet),
    )
    told.to_html(out)
    if as_json is not None:
        told.to_json(as_json)
    typer.echo("\n".join(map(printable, str(told).split("\n"))))
    if detector.errors_:
        tell(f"{len(detector.errors_)} of {len(dataset)} images could not be read")
        raise typer.Exit(UNREAD_IMAGES)
