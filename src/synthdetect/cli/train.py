"""`synthdetect train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthdetect.cli.console import tell, without_warnings
from synthdetect.cli.parts import DATA_HELP
from synthdetect.errors import RecipeError

if TYPE_CHECKING:
    from synthdetect.training.recipe import Recipe

BUNDLE_FOLDER = "bundle"


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file.")],
    data: Annotated[
        Path,
        typer.Option(
            metavar="DATA",
            help=DATA_HELP,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Empty or new folder: DIR/<member> keeps what each member needs to go on, "
            "DIR/log.jsonl the log, DIR/bundle/<recipe name> the trained detector.",
        ),
    ],
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on in DIR; members that are trained are not trained again."
        ),
    ] = False,
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
        int,
        typer.Option(min=1, help="Members that are trained at once, each in a process of its own."),
    ] = 1,
    member: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Train only this member of the recipe, and its teacher; may be repeated. A bundle "
            "is made when all are trained.",
            show_default="all",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Log to DIR/log.jsonl only.")
    ] = False,
) -> None:
    """Train a detector by a recipe.

    Prints how it measured and, on the last line, the path of the bundle: DIR/bundle/<recipe name>,
    which predict, calibrate and info take as it is. Networks need synthdetect[train].

    \b
    Exit codes:
      0    trained and saved; with --member, trained
      2    wrong usage, or training stopped; what was finished is kept for --resume
      130  interrupted, 143  terminated; likewise
    """
    from synthdetect.data.folders import read_dataset
    from synthdetect.detector import Detector
    from synthdetect.evaluation.report import as_lines
    from synthdetect.training.fit import train_ensemble, train_some
    from synthdetect.training.log import TrainingLog
    from synthdetect.training.recipe import read_recipe

    plan = read_recipe(recipe, weights_dir=weights)
    _check_names(plan, recipe)
    dataset = read_dataset(data)
    log = TrainingLog(out, quiet=quiet)
    if member and set(member) != {one.name for one in plan.members}:
        others = train_some(dataset, plan, member, out=out, resume=resume, log=log, jobs=jobs)
        if others:
            typer.echo(f"not trained by this: {', '.join(others)}")
            typer.echo("when all are trained, --resume without --member makes the bundle")
            return
        resume = True
    try:
        with without_warnings():
            ensemble = train_ensemble(dataset, plan, out=out, resume=resume, log=log, jobs=jobs)
    except KeyboardInterrupt:
        tell(f"what was finished is kept in {out}; --resume goes on")
        raise
    folder = out / BUNDLE_FOLDER
    folder.mkdir(exist_ok=True)
    saved = Detector.from_training(ensemble).save(folder / plan.name)
    if not quiet:
        for note in ensemble.decision.threshold.notes:
            tell(note)
    typer.echo("\n".join(as_lines(ensemble.figures)))
    typer.echo(saved)


def _check_names(plan: "Recipe", path: Path) -> None:
    """Refuse names that would be refused, or collide, only when hours of training are over."""
    from synthdetect.bundle.entries import MemberEntry
    from synthdetect.bundle.manifest import Manifest
    from synthdetect.errors import BundleError

    for member in plan.members:
        if member.name == BUNDLE_FOLDER:
            raise RecipeError(
                f"{path}: a member is called {member.name!r}, as is the folder of the trained "
                "detector; give it another name"
            )
    stand_in = {"kind": "rehearsal"}
    try:
        entries = tuple(
            MemberEntry(m.name, m.kind, m.view, {"npz": f"members/{m.name}.npz"})
            for m in plan.members
        )
        Manifest(
            name=plan.name,
            members=entries,
            combiner=stand_in,
            calibrator=stand_in,
            threshold=stand_in,
            license="none",
        )
    except BundleError as error:
        raise RecipeError(f"{path}: a bundle cannot hold its names ({error})") from error
