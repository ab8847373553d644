"""The command line: each command parses its flags, calls one function, prints the result."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from . import __version__
from .config import MAY_CHANGE, Recipe, RunConfig, resolve
from .errors import LiftAgentError, UsageError
from .flags import ConfigFile, Json, Quiet, RunFolder, Yes, with_settings

if TYPE_CHECKING:
    from .graph.estimate import Estimate

app = typer.Typer(
    name="lift-agent",
    help="Broaden an instruction dataset into the regions it lacks, remove redundancy, and keep "
    "the best N rows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help answers in half the time
)

cache_app = typer.Typer(
    name="cache",
    help="The call cache, which all runs share: no answer is paid for twice.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(cache_app)

ASK_OVER_USD = 1.0
NO_FILE = Path(os.devnull)  # settings that come from a run take nothing from lift.toml
SHORT_OF_TARGET = 3
LEAKS_FOUND = 3
INTERRUPTED = 130


@app.command()
@with_settings()
def run(
    flags: dict[str, Any],
    config: ConfigFile = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Estimate calls, money and time; send nothing."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Start anew where the folder holds a run.")
    ] = False,
    yes: Yes = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Make a dataset of exactly N rows from SOURCE files; go on where it was stopped.

    Exit codes: 0 N rows; 1 error; 2 usage; 3 stopped short of N; 130 interrupted.
    """
    settings = resolve(flags, config)
    _quieten_libraries()
    from .graph.run import check_settings, check_sources

    check_settings(settings)
    estimate = None
    if dry_run or force or not _begun(settings.out):
        check_sources(settings)
        estimate = _estimate(settings, dry_run=dry_run, quiet=quiet or json)
    if dry_run:
        _print_dry_run(estimate, json=json)
        return
    if estimate and not yes and sys.stdin.isatty() and sys.stderr.isatty():
        _confirm(settings, estimate[0])
    totals = estimate[0].totals() if estimate else None
    _run(settings, quiet=quiet, json=json, force=force, estimate=totals)


@app.command()
@with_settings(MAY_CHANGE)
def resume(
    folder: RunFolder, flags: dict[str, Any], quiet: Quiet = False, json: Json = False
) -> None:
    """Go on with the run in DIR, with the settings that it was begun with or those given here."""
    _quieten_libraries()
    from .graph.run import settings_of

    given = {name: value for name, value in flags.items() if value is not None}
    before = settings_of(folder).model_dump()
    _run(resolve({**before, **given}, NO_FILE), quiet=quiet, json=json)


@app.command()
def runs(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to look, three folders deep.")
    ] = Path(),
) -> None:
    """List the runs in DIR with their state."""
    from rich.console import Console

    from .stores.folder import runs_under
    from .views.runs import print_runs

    entries = list(runs_under(folder, lambda line: typer.echo(f"error: {line}", err=True)))
    print_runs(entries, folder, Console())


@app.command()
def replay(
    folder: RunFolder,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the replay.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the two datasets; exit 1 if they differ.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run the run in DIR again from its ledger, with no model and no network."""
    _quieten_libraries()
    from rich.console import Console

    from .graph.progress import Progress
    from .graph.replay import first_difference
    from .graph.replay import replay as replay_run
    from .views.progress import shown

    progress = Progress()
    with shown(progress, Console(stderr=True), quiet=quiet):
        summary = replay_run(folder, out, progress)
    typer.echo(f"{summary.rows} rows in {out} ({summary.stop}), {summary.reused} answers replayed")
    if verify:
        if difference := first_difference(folder, out):
            raise LiftAgentError(difference)
        typer.echo("the datasets are equal, byte for byte")


@cache_app.command("stats")
def cache_stats() -> None:
    """Show what the cache holds, by model."""
    from rich.console import Console

    from .stores.cache import cache_path, cached_models
    from .views.cache import print_cache

    path = cache_path()
    print_cache(path, cached_models(path), Console())


@cache_app.command("clear")
def cache_clear(yes: Yes = False) -> None:
    """Forget all answers; runs keep their own."""
    from .stores.cache import cache_path, cached_models, clear_cache

    path = cache_path()
    calls = sum(model.calls for model in cached_models(path))
    if calls and not yes and sys.stdin.isatty():
        typer.confirm(f"Forget {calls:,} answers in {path}?", abort=True, err=True)
    typer.echo(f"forgot {clear_cache(path):,} answers")


@app.command("config")
@with_settings()
def show_config(flags: dict[str, Any], config: ConfigFile = None) -> None:
    """Print the settings as a run would use them, each with its description, as lift.toml."""
    settings = resolve(flags, config)
    import json

    import tomlkit

    from .stores.writers import toml_value

    document = tomlkit.document()
    for name, value in json.loads(settings.model_dump_json()).items():
        document.add(tomlkit.comment(RunConfig.model_fields[name].description or ""))
        if value is None:
            document.add(tomlkit.comment(f"{name} = (not set)"))
        else:
            document.add(name, toml_value(value))
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

    from .stores.folder import opened_ledger
    from .views.trace import print_call, print_calls

    with opened_ledger(folder) as ledger:
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

    from .stores.folder import opened_ledger
    from .views.why import print_story

    with opened_ledger(folder) as ledger:
        print_story(ledger, Console(), row)


@app.command()
@with_settings(("sources", "ngram", "leak_cosine", "embedder"))
def audit(
    flags: dict[str, Any],
    against: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Benchmark, as it is published; repeatable.")
    ],
    semantic: Annotated[
        bool,
        typer.Option(
            "--semantic/--no-semantic", help="Look for rewordings, too: embeds every row."
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all leaks there, as JSONL.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Rows shown.")] = 5,
    json: Json = False,
) -> None:
    """Say which rows of SOURCE files leak a benchmark, with what they share.

    Exit codes: 0 none leaks; 1 error; 2 usage; 3 some leak.
    """
    settings = resolve(flags, NO_FILE)
    _quieten_libraries()
    from .embedders import LazyEmbedder
    from .graph.audit import audit as find
    from .graph.run import check_settings, check_sources
    from .stores.writers import write_records

    settings = settings.model_copy(update={"decontaminate": tuple(against)})
    check_settings(settings)
    check_sources(settings)
    found = find(
        settings.sources,
        against,
        ngram=settings.ngram,
        leak_cosine=settings.leak_cosine,
        embedder=LazyEmbedder(settings.embedder) if semantic else None,
    )
    if out:
        write_records(out, (record for row in found.leaking for record in row.records()))
    if json:
        import json as writer

        typer.echo(writer.dumps(found.as_dict(), ensure_ascii=False))
    else:
        from rich.console import Console

        from .views.audit import print_audit

        print_audit(found, Console(), examples=examples, semantic=semantic)
    if found.leaking:
        raise typer.Exit(LEAKS_FOUND)


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


def _begun(folder: Path) -> bool:
    """Whether there is a run in the folder that has read its sources."""
    from .stores.folder import opened_ledger
    from .stores.ledger import LEDGER

    if not (folder / LEDGER).is_file():
        return False
    with opened_ledger(folder) as ledger:
        return bool(ledger.sources())


def _estimate(settings: RunConfig, *, dry_run: bool, quiet: bool) -> tuple[Estimate, int] | None:
    """Estimate a run that has a model to ask, with the number of rows that it reads."""
    if settings.llm == "none" and not settings.judge_llm and not dry_run:
        return None
    from .embedders import LazyEmbedder
    from .graph.estimate import estimate
    from .records import Reference, Row
    from .stores.prompts import read_prompts
    from .stores.readers import read_rows
    from .views.estimate import in_one_line

    rows = [record for record in read_rows(settings.sources) if isinstance(record, Row)]
    embedder = None if settings.embeddings else LazyEmbedder(settings.embedder)
    prompts = sum(isinstance(record, Reference) for record in read_prompts(settings.toward))
    made = estimate(settings, rows, embedder, prompts)
    if not dry_run and not quiet:
        typer.echo(f"estimated: {in_one_line(made)}", err=True)
    return made, len(rows)


def _print_dry_run(estimate: tuple[Estimate, int] | None, *, json: bool) -> None:
    assert estimate is not None
    if json:
        import json as writer

        typer.echo(writer.dumps({"rows": estimate[1], **estimate[0].as_dict()}))
        return
    from rich.console import Console

    from .views.estimate import print_estimate

    print_estimate(*estimate, Console())


def _confirm(settings: RunConfig, estimate: Estimate) -> None:
    """On a terminal, ask before money is spent that was not allowed by a cap."""
    from .views.estimate import in_one_line

    if estimate.unpriced and not (settings.max_calls or settings.max_tokens):
        models = " and ".join(estimate.unpriced)
        typer.confirm(
            f"The price of {models} is unknown (--prices gives it), and no cap is set "
            "(--max-calls, --max-tokens). Go on?",
            abort=True,
            err=True,
        )
    most = sum(part.usd.high for part in estimate.parts if part.usd)
    if settings.budget_usd is None and most > ASK_OVER_USD:
        typer.confirm(
            f"This run may take {in_one_line(estimate)}, without --budget-usd. Go on?",
            abort=True,
            err=True,
        )


def _run(
    settings: RunConfig,
    *,
    quiet: bool,
    json: bool,
    force: bool = False,
    estimate: dict[str, Any] | None = None,
) -> None:
    """Run or go on, show it, and end with the exit code that says how it ended."""
    from rich.console import Console

    from .graph.progress import Progress
    from .graph.run import run as run_graph
    from .views.progress import shown
    from .views.summary import print_summary

    begun = time.monotonic()
    progress = Progress()
    with shown(progress, Console(stderr=True), quiet=quiet or json):
        summary = run_graph(settings, progress, force=force, estimate=estimate)
    if json:
        import json as writer

        typer.echo(writer.dumps(summary.as_dict() | {"folder": str(settings.out)}))
    elif quiet:
        typer.echo(f"{summary.rows} rows in {settings.out} ({summary.stop})")
    else:
        print_summary(summary, settings.out, time.monotonic() - begun, Console())
    if not summary.finished:
        typer.echo(f"\nEverything that was answered is saved in {settings.out}.", err=True)
        more = " with a higher cap" if summary.stop == "budget" else ""
        again = shlex.join(["lift-agent", "resume", str(settings.out)])
        typer.echo(f"Go on{more}: {again}", err=True)
    if summary.stop == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if summary.rows != summary.target:
        raise typer.Exit(SHORT_OF_TARGET)


def _quieten_libraries() -> None:
    """Keep libraries from printing over the display, and from calling home."""
    import warnings

    warnings.filterwarnings("ignore")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
