"""`synthdetect monitor`: what a detector meets in use."""

import csv
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthdetect.cli.console import printable, progress, tell
from synthdetect.cli.output import opened
from synthdetect.cli.score_files import rows_of_csv, scores_or_images
from synthdetect.errors import DataError, ImageError

if TYPE_CHECKING:
    from synthdetect.monitoring.writing import Recorded

FOUND_SOMETHING = 1

monitor = typer.Typer(
    name="monitor",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Record what a detector says in use, and tell when it is no longer like before.",
)

Store = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        help="A SQLite file; or the URL of a database, dialect+driver://user@host/name "
        "(needs synthdetect[sql]).",
        show_default=False,
    ),
]
Bundle = Annotated[
    str, typer.Option(help="A bundled detector's name, or a bundle's path or address.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="May be repeated.")
]


class Key(StrEnum):
    """What labels are found by."""

    id = "id"
    sha256 = "sha256"


@monitor.command()
def start(
    store: Store,
    reference: Annotated[
        Path,
        typer.Option(
            help="What is normal, from your own traffic: a directory of images, or a CSV file that "
            "`synthdetect predict` wrote.",
            show_default=False,
        ),
    ],
    bundle: Bundle = "ensemble-v1",
    alpha: Annotated[
        float,
        typer.Option(help="Bound on the probability that the sequential tests ever alarm falsely."),
    ] = 0.01,
    quiet: Quiet = False,
) -> None:
    """Start a monitor."""
    from synthdetect.detector import Detector
    from synthdetect.monitoring.monitor import Monitor
    from synthdetect.monitoring.opening import is_store

    if not 0 < alpha < 1:
        raise typer.BadParameter(f"{alpha} is not between 0 and 1", param_hint="--alpha")
    if is_store(store):
        raise DataError(
            f"{store}: is there already and keeps its reference; `synthdetect monitor rebase` "
            "makes another, or name a new store"
        )
    detector = Detector.load(bundle)
    normal = scores_or_images(reference)
    with progress("images", len(normal), show=not quiet) as advance:
        made = Monitor.for_detector(
            detector, reference=normal, store=store, alpha=alpha, advance=advance
        )
    tell(f"{store}: monitors {bundle}, reference of {made.reference.n} images")


@monitor.command()
def record(
    store: Store,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATHS",
            help="Images, directories of images, or CSV files that `synthdetect predict` wrote.",
            show_default=False,
        ),
    ],
    bundle: Bundle = "ensemble-v1",
    tag: TagOption = None,
    hashes: Annotated[
        bool,
        typer.Option(help="Keep the SHA-256 of each image, by which labels may come later."),
    ] = False,
    skip: Annotated[
        int,
        typer.Option(
            min=0, help="Leave out the first so many: a run that was interrupted says how many."
        ),
    ] = 0,
    quiet: Quiet = False,
) -> None:
    """Score images and record what was found, or record scores that are known.

    Ids, by which labels may come later, go to standard output as CSV, as soon as they are recorded.
    """
    from synthdetect.detector import Detector
    from synthdetect.monitoring.monitor import Monitor
    from synthdetect.monitoring.recording import is_scores

    sources = [scores_or_images(path) for path in paths]
    total = sum(map(len, sources))
    known, tags = Monitor.open(store), _tags(tag)
    if not all(map(is_scores, sources)):
        known = Monitor.for_detector(Detector.load(bundle), store=store)
    errors: list[ImageError] = []
    n = skip
    try:
        with (
            opened(None) as stream,
            # Rows and a bar on one terminal would overwrite each other.
            progress("images", total, done=skip, show=not (quiet or stream.isatty())) as advance,
        ):
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(("id", "p_synthetic", "decision"))
            for part in _parts(sources, skip):
                found = known.record(
                    part, tags=tags, hashes=hashes and not is_scores(part), advance=advance
                )
                n += len(part)
                rows.writerows(_told(found))
                stream.flush()
                errors += found.errors.values()
    except KeyboardInterrupt:
        tell(f"at least the first {n} of {total} images are recorded; --skip {n} goes on")
        raise
    finally:
        for error in errors:
            tell(str(error))


@monitor.command()
def label(
    store: Store,
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="CSV",
            help="With the columns `id` (or `sha256`) and `label` (real or synthetic).",
            show_default=False,
        ),
    ],
    by: Annotated[Key, typer.Option(help="The column that says which image.")] = Key.id,
) -> None:
    """Add labels that came later."""
    from synthdetect.monitoring.monitor import Monitor

    found = {row[by.value]: row["label"] for row in rows_of_csv(labels, (by.value, "label"))}
    if by is Key.id and not all(re.fullmatch("[0-9]{1,18}", key) for key in found):
        raise DataError(f"{labels.name}: a value of the column id is no number; use those recorded")
    n = Monitor.open(store).label(found, by=by.value)
    tell(f"{n} recorded images have a label now; the file has {len(found)}")


@monitor.command()
def check(
    store: Store,
    rules: Annotated[
        Path | None,
        typer.Option(help="A TOML file of rules.", show_default="a few that suit most"),
    ] = None,
) -> None:
    """Raise alerts for the rules that hold now, one line each; made for cron.

    \b
    Exit codes:
      0  nothing new
      1  there are new alerts
      2  it could not be checked
    """
    from synthdetect.monitoring.monitor import Monitor
    from synthdetect.monitoring.rules import DEFAULT_RULES, read_rules

    chosen = DEFAULT_RULES if rules is None else read_rules(rules)
    known = Monitor.open(store)
    raised = known.check(chosen)
    for alert in raised:
        typer.echo(printable(str(alert)))
    if known.n_waiting:
        tell(f"{known.n_waiting} webhook messages wait for another try")
    if raised:
        raise typer.Exit(FOUND_SOMETHING)


@monitor.command()
def report(
    store: Store,
    window: Annotated[
        str, typer.Option(help="A time such as 36h (s, m, h, d, w), or a number of images.")
    ] = "1d",
    windows: Annotated[int, typer.Option(min=1, help="How many, back in time.")] = 14,
    until: Annotated[
        str | None, typer.Option(help="End of the newest, in ISO 8601.", show_default="now")
    ] = None,
    tag: TagOption = None,
    html: Annotated[
        Path | None, typer.Option(help="Write one HTML page (needs synthdetect[plots]).")
    ] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write JSON.")] = None,
    quiet: Quiet = False,
) -> None:
    """Compare what was recorded with the reference, window by window."""
    from synthdetect.monitoring.monitor import Monitor

    made = Monitor.open(store).report(
        window=window,
        n_windows=windows,
        until=until,
        tags=_tags(tag),
        progress=partial(progress, show=not quiet),
    )
    if html is not None:
        made.to_html(html)
    if as_json is not None:
        made.to_json(as_json)
    if html is None and as_json is None:
        typer.echo("\n".join(map(printable, str(made).split("\n"))))


@monitor.command()
def metrics(
    store: Store,
    window: Annotated[str, typer.Option(help="As for `report`.")] = "1h",
) -> None:
    """Print Prometheus metrics, for a textfile collector (needs synthdetect[prometheus])."""
    from synthdetect.monitoring.metrics import metrics_text
    from synthdetect.monitoring.monitor import Monitor

    typer.echo(metrics_text(Monitor.open(store), window=window), nl=False)


@monitor.command()
def rebase(
    store: Store,
    since: Annotated[str, typer.Option(help="ISO 8601, with a time zone.", show_default=False)],
    until: Annotated[str | None, typer.Option(help="ISO 8601.", show_default="now")] = None,
) -> None:
    """Take the images recorded in a time as normal from now on; sequential tests start anew."""
    from synthdetect.monitoring.monitor import Monitor

    known: Monitor = Monitor.open(store).rebase(since=since, until=until)
    tell(f"{store}: reference of {known.reference.n} images")


def _told(recorded: "Recorded") -> Iterator[tuple[int, float | str, str]]:
    """Yield a row of CSV for each image."""
    columns = recorded.ids.tolist(), recorded.p.tolist(), recorded.decisions.tolist()
    yield from ((i, "" if p != p else p, decision) for i, p, decision in zip(*columns, strict=True))


def _parts(sources: Iterable[list[Any]], skip: int) -> Iterator[list[Any]]:
    """Cut scores and images into parts that are recorded at once, without the first `skip`."""
    from synthdetect.monitoring.recording import batches
    from synthdetect.monitoring.writing import BATCH

    for source in sources:
        yield from batches(source[skip:], BATCH)
        skip = max(0, skip - len(source))


def _tags(texts: list[str] | None) -> dict[str, str] | None:
    if not texts:
        return None
    pairs = [text.partition("=") for text in texts]
    if bad := next((text for text, pair in zip(texts, pairs, strict=True) if not pair[1]), None):
        raise typer.BadParameter(f"{bad!r} has no '='; use NAME=VALUE", param_hint="--tag")
    return {name: value for name, _, value in pairs}
