"""`synthdetect bundles card`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthdetect.cli.console import printable, progress, tell
from synthdetect.cli.parts import DATA_HELP, MeasuredSplit, Split, measured_part

if TYPE_CHECKING:
    from synthdetect.data.dataset import Dataset

UNREAD_IMAGES = 1


def model_card(
    bundle: Annotated[
        str, typer.Argument(metavar="NAME|PATH|ADDRESS", help="The bundle that gets the card.")
    ],
    texts: Annotated[
        Path,
        typer.Option(
            metavar="TOML",
            help="What you say of it: intended_use, not_for, known_failures, training_cost, "
            "left_out; and groups, the columns to measure by.",
        ),
    ],
    data: Annotated[Path, typer.Option(metavar="DATA", help=DATA_HELP)],
    out: Annotated[
        Path,
        typer.Option(
            help="Where the bundle with its card goes: a folder, or a file that ends in .zip. It "
            "may be the bundle itself."
        ),
    ],
    split: MeasuredSplit = None,
    stress: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            help="What synthdetect stress --format json wrote of this bundle.",
            show_default=False,
        ),
    ] = None,
    left_out: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            help="The leave-out.json of synthdetect compare --leave-out source.",
            show_default=False,
        ),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the card as a page too.", show_default=False)
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="Sign the new bundle with this private Ed25519 key, PEM or 32 bytes.",
            show_default="unsigned, as its manifest is another",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that decode images.", show_default="one a core"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Measure a bundle and write it anew with a model card, which info shows.

    Figures with 95 % intervals at its threshold: of all images, by source and by each group column,
    and of the pairs of its recipe; under perturbations and on sources left out where files of those
    are given. The card names each group with over three times the overall false positive rate.

    \b
    Exit codes:
      0    done
      1    done, but some images could not be read; they do not count
      2    wrong usage, or nothing could be done; what was at --out is as before
      130  interrupted; 143  terminated
    """
    from synthdetect.auditing import model_card as making
    from synthdetect.auditing.card_sources import read_left_out, read_stress
    from synthdetect.auditing.card_texts import read_texts
    from synthdetect.bundle.card_text import as_markdown, attention
    from synthdetect.bundle.hub import open_bundle
    from synthdetect.bundle.save import save_with_card
    from synthdetect.bundle.signature import signer
    from synthdetect.data.folders import read_dataset
    from synthdetect.detector import Detector
    from synthdetect.evaluation.files import write_whole

    # All that can be wrong, before a long look at the images.
    for file, hint in ((out, "--out"), (markdown, "--markdown")):
        if file is not None and not file.absolute().parent.is_dir():
            reason = f"folder {printable(str(file.absolute().parent))} does not exist"
            raise typer.BadParameter(f"{reason}; create it first", param_hint=hint)
    if sign is not None:
        signer(sign)
    said = read_texts(texts)
    folds = None if left_out is None else read_left_out(left_out)
    opened, detector = open_bundle(bundle), Detector.load(bundle, workers=workers)
    stressed = None
    if stress is not None:
        stressed = read_stress(stress, threshold=detector.threshold_)
    dataset, wanted, _ = measured_part(read_dataset(data), data, split)
    with progress("images", len(dataset), show=not quiet) as advance:
        found = making.measured(
            detector,
            dataset,
            groups=said.groups,
            note=_note(dataset, data, wanted),
            advance=advance,
        )
    card = making.model_card(
        said,
        found,
        pairs=making.pairs_of(opened.manifest.recipe),
        stress=stressed,
        left_out=folds,
    )
    written = save_with_card(out, opened, card, sign=sign)
    if markdown is not None:
        write_whole(markdown, as_markdown(written.manifest))
    typer.echo("\n".join(map(printable, attention(card))) or "no group stands out")
    if detector.errors_:
        for error in detector.errors_.values():
            tell(str(error))
        raise typer.Exit(UNREAD_IMAGES)


def _note(dataset: "Dataset", path: Path, split: Split) -> str:
    """Say what was measured; a card travels, so it has the name of a file and not where it lay."""
    what = "All images" if split is Split.all else f"Split {split.value}"
    digest = f" (SHA-256 {dataset.sha256[:12]})" if dataset.sha256 else ""
    return printable(f"{what} of {path.name}{digest}: {len(dataset)} images.")
