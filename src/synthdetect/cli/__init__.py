"""The command line. Commands import what they need when they run, so that `--help` is quick."""

import errno
import os
import signal
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import synthdetect
from synthdetect.cli.audit import audit
from synthdetect.cli.bundles import bundles
from synthdetect.cli.calibrate import calibrate
from synthdetect.cli.card import card
from synthdetect.cli.compare import compare
from synthdetect.cli.console import tell
from synthdetect.cli.explain import explain
from synthdetect.cli.info import info
from synthdetect.cli.monitor import monitor
from synthdetect.cli.predict import predict
from synthdetect.cli.split import split
from synthdetect.cli.stress import stress
from synthdetect.cli.train import train
from synthdetect.errors import SynthdetectError

__all__ = ["app", "main"]

FAILED = 2
# What a shell reports of a program that a signal ended: 128 + SIGINT, SIGPIPE, SIGTERM.
INTERRUPTED = 130
READER_GONE = 141
TERMINATED = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM: it ends a run as Ctrl-C does, with what is done kept and temporary files removed."""


class _Commands(TyperGroup):
    """Turns what went wrong into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            _drop_stdout()
            raise typer.Exit(READER_GONE) from error
        except KeyboardInterrupt as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            terminated = isinstance(error, Terminated)
            tell("terminated" if terminated else "interrupted")
            raise typer.Exit(TERMINATED if terminated else INTERRUPTED) from error
        except MemoryError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            tell("error: out of memory; use fewer --workers or --jobs, or smaller images")
            raise typer.Exit(FAILED) from error
        except (SynthdetectError, OSError) as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            tell(f"error: {error}")
            raise typer.Exit(FAILED) from error


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    # Plain help and plain errors: they can be piped, searched and pasted into an issue.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"synthdetect {synthdetect.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error as well.")
    ] = False,
) -> None:
    """Is this photograph real or AI-generated?

    \b
    Exit codes:
      0    done
      1    done, but some images could not be read
      2    wrong usage, or nothing could be done; one line on standard error says why
      130  interrupted; 143  terminated: what was finished is kept where the command keeps it
    """


for command in (predict, explain, audit, train, calibrate, compare, stress, card, split, info):
    app.command()(command)
app.add_typer(bundles, name="bundles")
app.add_typer(monitor)


def main() -> None:
    """Run the command line on `sys.argv` and exit."""
    # Unless whoever started us wants it ignored.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except Exception:  # noqa: BLE001 - exit code 1, Python's own, would mean something else
        traceback.print_exc()
        tell("this is a bug in synthdetect; please report it with the lines above")
        sys.exit(FAILED)


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def _drop_stdout() -> None:
    """Let Python's last flush succeed although the reader of the pipe is gone."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # standard output is no file
        if error.errno not in (None, errno.EBADF):
            raise
