"""The command line: each command parses its flags, calls one function, prints the result."""

from __future__ import annotations

import functools
import inspect
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from . import __version__
from .config import Recipe, RunConfig, resolve
from .errors import LiftAgentError, RunFolderError, UsageError

if TYPE_CHECKING:
    from .stores.ledger import Ledger

app = typer.Typer(
    name="lift-agent",
    help="Broaden an instruction dataset into the regions it lacks, remove redundancy, and keep "
    "the best N rows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help answers in half the time
)

SHORT_OF_TARGET = 3
INTERRUPTED = 130

RunFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the run.")]


def _setting(name: str) -> inspect.Parameter:
    """The flag of a setting (for sources: the arguments), with the setting's own description.

    Flags are passed on as text, so that one place, the settings' model, checks every value.
    """
    field = RunConfig.model_fields[name]
    kind: Any
    if name == "sources":
        kind = Annotated[
            list[str] | None, typer.Argument(metavar="SOURCE...", help=field.description)
        ]
    else:
        choices = _choices(field.annotation)
        default = "" if field.default is None else f" [default: {field.default}]"
        option = typer.Option(
            f"--{name.replace('_', '-')}",
            help=f"{field.description}{default}",
            metavar="|".join(choices) or _metavar(field.annotation),
            autocompletion=(lambda: list(choices)) if choices else None,
        )
        kind = Annotated[str | None, option]
    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, either, default=None, annotation=kind)


def _choices(annotation: Any) -> tuple[str, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _metavar(annotation: Any) -> str:
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    names = {int: "INT", float: "NUMBER", Path: "PATH"}
    return names.get(kinds[0], "NAME")


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a flag for every setting; it gets those that were used as `flags`."""
    own = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != "flags"
    ]
    parameters = [*map(_setting, RunConfig.model_fields), *own]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        flags = {name: values.pop(name) for name in RunConfig.model_fields}
        command(flags=flags, **values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Settings file. [default: ./lift.toml]")
]


@app.command()
@_with_settings
def run(
    flags: dict[str, Any],
    config: ConfigFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, one line.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Make a dataset of exactly N rows from SOURCE files.

    Exit codes: 0 N rows; 1 error; 2 usage; 3 stopped short of N; 130 interrupted.
    """
    settings = resolve(flags, config)
    _quieten_libraries()
    from rich.console import Console

    from .graph.progress import Progress
    from .graph.run import check_sources
    from .graph.run import run as run_graph
    from .views.progress import shown
    from .views.summary import print_summary

    check_sources(settings)
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        _confirm(settings)
    begun = time.monotonic()
    progress = Progress()
    with shown(progress, Console(stderr=True), quiet=quiet or json):
        summary = run_graph(settings, progress)
    if json:
        import json as writer

        typer.echo(writer.dumps(summary.as_dict() | {"folder": str(settings.out)}))
    elif quiet:
        typer.echo(f"{summary.rows} rows in {settings.out} ({summary.stop})")
    else:
        print_summary(summary, settings.out, time.monotonic() - begun, Console())
    if summary.stop == "interrupted":
        typer.echo(f"\nEverything that was answered is saved in {settings.out}.", err=True)
        typer.echo(f"Go on with: {shlex.join(['lift-agent', *sys.argv[1:]])}", err=True)
        raise typer.Exit(INTERRUPTED)
    if summary.rows != summary.target:
        raise typer.Exit(SHORT_OF_TARGET)


@app.command("config")
@_with_settings
def show_config(flags: dict[str, Any], config: ConfigFile = None) -> None:
    """Print the settings as a run would use them, each with its description, as lift.toml."""
    settings = resolve(flags, config)
    import json

    import tomlkit

    document = tomlkit.document()
    for name, value in json.loads(settings.model_dump_json()).items():
        document.add(tomlkit.comment(RunConfig.model_fields[name].description or ""))
        if value is None:
            document.add(tomlkit.comment(f"{name} = (not set)"))
        else:
            document.add(name, value)
    typer.echo(tomlkit.dumps(document).rstrip())


@app.command()
def graph(
    recipe: Annotated[str, typer.Option(help="lift, paper or curate.")] = "lift",
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Only the Mermaid source.")] = False,
) -> None:
    """Show the state machine of a recipe."""
    if recipe not in get_args(Recipe):
        raise UsageError(f"recipe = {recipe}: should be {', '.join(get_args(Recipe))}")
    from .views import graph as view

    if not mermaid:
        typer.echo(view.drawing(recipe) + "\n")
    typer.echo(view.mermaid(recipe))


@app.command()
def trace(
    folder: RunFolder,
    call: Annotated[str, typer.Argument(help="A call's key, or its beginning.")] = "",
    agent: Annotated[str, typer.Option(help="Only this agent's calls.")] = "",
    last: Annotated[int, typer.Option(min=1, help="Calls shown for each agent.")] = 40,
) -> None:
    """List the calls of a run by agent, or show one CALL whole."""
    from rich.console import Console

    from .views.trace import print_call, print_calls

    with _ledger(folder) as ledger:
        if call:
            print_call(ledger, Console(), call)
        else:
            print_calls(ledger, Console(), agent=agent, last=last)


@app.command()
def why(
    folder: RunFolder,
    row: Annotated[str, typer.Argument(help="A row's id (lift.id), or its beginning.")],
) -> None:
    """Tell the story of a ROW, kept or dropped."""
    from rich.console import Console

    from .views.why import print_story

    with _ledger(folder) as ledger:
        print_story(ledger, Console(), row)


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
            typer.echo("\nStopped at once; answers that had arrived are saved.", err=True)
            os._exit(INTERRUPTED)  # threads of the embedded server may be in the middle
        raise


def _complain(error: Exception) -> None:
    from .views.format import inert

    typer.echo(f"error: {inert(str(error))}", err=True)


@contextmanager
def _ledger(folder: Path) -> Iterator[Ledger]:
    from .stores.ledger import FILE, Ledger

    if not (folder / FILE).is_file():
        raise RunFolderError(f"{folder} is not the folder of a run: it has no {FILE}")
    ledger = Ledger(folder / FILE)
    try:
        yield ledger
    finally:
        ledger.close()


def _confirm(settings: RunConfig) -> None:
    """On a terminal, ask before a hosted model is used without a cap."""
    hosted = [
        name
        for name in (settings.llm, settings.judge_llm)
        if name
        and not name.startswith(("local:", "scripted:", "none"))
        and not (name.startswith("openai:") and settings.base_url)
    ]
    if hosted and not settings.max_calls and not settings.max_tokens:
        files = ", ".join(path.name for path in settings.sources)
        typer.confirm(
            f"This run sends the rows of {files} to {' and '.join(hosted)}, which may cost money, "
            "without a cap (--max-calls, --max-tokens). Go on?",
            abort=True,
            err=True,
        )


def _quieten_libraries() -> None:
    """Keep libraries from printing over the display, and from calling home."""
    import warnings

    warnings.filterwarnings("ignore")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
