"""`synthdetect explain`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from synthdetect.cli.console import printable
from synthdetect.cli.output import opened
from synthdetect.cli.parts import Mode


def explain(
    image: Annotated[str, typer.Argument(metavar="IMAGE", show_default=False)],
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page with maps and spectrum to this file.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write to this file instead; JSON if it ends in .json.", show_default=False
        ),
    ] = None,
    bundle: Annotated[
        str, typer.Option(help="A bundled detector's name, or a bundle's path or address.")
    ] = "ensemble-v1",
    occlusion: Annotated[
        bool,
        typer.Option(
            "--occlusion", help="Erase one cell of the image after another too; takes longer."
        ),
    ] = False,
    mode: Annotated[
        Mode,
        typer.Option(help="With cascade, tell what the bundle's cascade answers and whom it asks."),
    ] = Mode.full,
    trust: Annotated[
        Path | None,
        typer.Option(
            help="PEM file of signers of content credentials to trust.", show_default=False
        ),
    ] = None,
) -> None:
    """Explain the verdict on one image, and tell what the file says of itself.

    Each member's logit and what it adds, its rank among labelled images, where in the image and in
    which frequencies; then content credentials, source type, generator's texts and camera data,
    none of which is part of the probability.

    \b
    Exit codes:
      0    done
      2    wrong usage, or the image or bundle cannot be used
    """
    if html is not None and not html.absolute().parent.is_dir():
        reason = f"folder {printable(str(html.absolute().parent))} does not exist; create it first"
        raise typer.BadParameter(reason, param_hint="--html")
    anchors = None if trust is None else _anchors(trust)
    with opened(out) as stream:
        from synthdetect.detector import Detector
        from synthdetect.explanation.explain import explain as explained

        detector = Detector.load(bundle, mode=mode.value)
        told = explained(detector, image, occlusion=occlusion, trust_anchors=anchors)
        if html is not None:
            told.to_html(html)
        if as_json or (out is not None and out.suffix.lower() == ".json"):
            stream.write(json.dumps(told.to_dict(), indent=2, allow_nan=False) + "\n")
        else:
            # Line by line: what a file says may hold terminal commands.
            stream.write("\n".join(map(printable, str(told).split("\n"))) + "\n")


def _anchors(path: Path) -> str:
    try:
        text = path.read_bytes().decode("ascii")
    except OSError as error:
        reason = f"{printable(str(path))}: cannot be read ({error.strerror}); check the path"
        raise typer.BadParameter(reason, param_hint="--trust") from error
    except UnicodeDecodeError:
        text = ""
    if "-----BEGIN CERTIFICATE-----" not in text:
        reason = f"{printable(str(path))}: is no PEM of certificates; convert it to PEM"
        raise typer.BadParameter(reason, param_hint="--trust")
    return text
