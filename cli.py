"""The command line: the commands put together, and errors turned into a line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from . import __version__
from .commands import data, inspecting, running, setup
from .errors import LiftAgentError

app = typer.Typer(
    name="lift-agent",
    help="Broaden an instruction dataset into the subspaces it lacks, remove redundancy, and keep "
    "the best N rows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help answers in half the time
)
for commands in (running.app, data.app, inspecting.app, setup.app):
    app.add_typer(commands)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True)
    ] = False,
) -> None:
    if version:
        typer.echo(f"lift-agent {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; turn errors into one line and an exit code."""
    try:
        app()
    except LiftAgentError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that may not be written
        _complain(error)
        sys.exit(LiftAgentError.exit_code)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "CancelledError":
            typer.echo("\nStopped immediately; all received answers are saved.", err=True)
            os._exit(running.INTERRUPTED)  # threads of the embedded server may be in the middle
        if not isinstance(error, Exception):
            raise
        _betray()
        sys.exit(LiftAgentError.exit_code)


def _complain(error: Exception) -> None:
    from .redaction import redacted
    from .views.format import inert

    typer.echo(f"error: {inert(redacted(str(error)))}", err=True)


def _betray() -> None:
    """Print the traceback of a fault of our own, without keys."""
    import traceback

    from .redaction import redacted

    typer.echo(redacted(traceback.format_exc()), err=True)
