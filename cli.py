"""The command line: each command parses its flags, calls one function, prints the result."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from . import __version__
from .config import MAY_CHANGE, Recipe, RunConfig, resolve
from .errors import LiftAgentError, UsageError
from .flags import ConfigFile, Json, Otel, OtelContent, Quiet, RunFolder, Yes, with_settings

if TYPE_CHECKING:
    from rich.console import Console

    from .graph.estimate import Estimate
    from .stores.calls import Order, Wanted
    from .stores.ledger import Ledger
    from .stores.reading.sources import File

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
CALL_STATUSES = ("failed", "quarantined", "cached")
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
    otel: Otel = None,
    otel_content: OtelContent = False,
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
        sources, toward, _ = check_sources(settings, None if force else settings.out)
        estimate = _estimate(settings, sources, toward, dry_run=dry_run, quiet=quiet or json)
    if dry_run:
        _print_dry_run(estimate, json=json)
        return
    if estimate and not yes and sys.stdin.isatty() and sys.stderr.isatty():
        _confirm(settings, estimate[0])
    totals = estimate[0].totals() if estimate else None
    spans = _exported(settings.out, otel, otel_content)
    _run(settings, spans, quiet=quiet, json=json, force=force, estimate=totals)


@app.command()
@with_settings(MAY_CHANGE)
def resume(
    folder: RunFolder,
    flags: dict[str, Any],
    quiet: Quiet = False,
    json: Json = False,
    otel: Otel = None,
    otel_content: OtelContent = False,
) -> None:
    """Go on with the run in DIR, with the settings that it was begun with or those given here."""
    _quieten_libraries()
    from .graph.run import settings_of

    given = {name: value for name, value in flags.items() if value is not None}
    before = settings_of(folder).model_dump()
    settings = resolve({**before, **given}, NO_FILE)
    _run(settings, _exported(folder, otel, otel_content), quiet=quiet, json=json)


@app.command()
@with_settings(("sources", "map"))
def peek(flags: dict[str, Any], json: Json = False) -> None:
    """Show what SOURCE is and what a run would read from it: rows, figures, what is unusable."""
    settings = resolve({"llm": "none", "recipe": "curate", **flags}, NO_FILE)
    from .graph.peek import peek as peek_at
    from .graph.run import check_sources

    if not settings.sources:
        raise UsageError("name at least one SOURCE to look at")
    found = peek_at(check_sources(settings)[0], settings.map)
    if json:
        from .stores.exact_json import dumps

        typer.echo(dumps(found.as_dict()))
        return
    from rich.console import Console

    from .views.peek import print_peek

    print_peek(found, Console())


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


@app.command()
def export(
    folder: RunFolder,
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="alpaca, messages, sharegpt or prompt-completion; jsonl, json, csv, tsv, parquet "
            "or arrow; both, as messages.parquet; trl, axolotl or llama-factory; or a plugin.",
        ),
    ] = "alpaca",
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="PATH",
            help="A file (x.jsonl, x.csv.gz, x.parquet), or a folder for data, card and "
            "configuration.",
        ),
    ] = None,
    test_share: Annotated[
        float,
        typer.Option(
            "--test-share", help="Share of rows to hold out, with no near-duplicate in the rest."
        ),
    ] = 0.0,
    license: Annotated[
        list[str] | None,
        typer.Option(
            "--license",
            metavar="NAME",
            help="Licence of the sources, or FILE=NAME for one; may be repeated. Default: the "
            "run's.",
        ),
    ] = None,
    defuse: Annotated[
        bool,
        typer.Option(
            "--defuse/--no-defuse",
            help="CSV: an apostrophe before cells that a spreadsheet would run.",
        ),
    ] = True,
    push: Annotated[
        str,
        typer.Option("--push", metavar="hf:OWNER/NAME", help="Put it on the hub, private."),
    ] = "",
    public: Annotated[
        bool, typer.Option("--public", help="For --push: a new dataset is public.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="For --push: write to a dataset that is there.")
    ] = False,
) -> None:
    """Write the dataset of the run in DIR in the form that a trainer reads."""
    _quieten_libraries()
    from rich.console import Console

    from .graph.export import Options
    from .graph.export import export as export_run
    from .views.exported import print_exported

    options = Options(test_share, tuple(license or ()), defuse, push, public, force)
    print_exported(export_run(folder, format, to, options), Console())


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

    from .redaction import redacted
    from .stores.writing.writers import toml_value

    document = tomlkit.document()
    values = json.loads(settings.model_dump_json())
    tables = values.pop("llms")
    if tables:  # in one file llm cannot be a name as well
        named = tomlkit.table()
        named.add("use", values.pop("llm"))
        for name, table in tables.items():
            named.add(name, table)
    for name, value in values.items():
        document.add(tomlkit.comment(RunConfig.model_fields[name].description or ""))
        if value is None:
            document.add(tomlkit.comment(f"{name} = (not set)"))
        else:
            document.add(name, toml_value(value))
    if tables:
        document.add("llm", named)
    typer.echo(redacted(tomlkit.dumps(document).rstrip()))


_CHECKED = (
    *("llm", "analyst_llm", "generator_llm", "redundancy_llm", "judge_llm", "base_url"),
    *("embedder", "embedder_base_url", "embedder_prompt", "prices", "prompt_style", "timeout"),
)


@app.command()
@with_settings(_CHECKED)
def check(flags: dict[str, Any], config: ConfigFile = None, json: Json = False) -> None:
    """Try the models that a run would ask, by one small request of each kind that it makes.

    Without a model among the flags and in lift.toml it is the embedded one. The embedder is tried
    where it is named. Exit codes: 0 all can be used; 1 one cannot; 2 usage.
    """
    settings = resolve(flags, config)
    _quieten_libraries()
    from rich.console import Console

    from .graph.check import check as check_models
    from .views.check import print_check

    named = settings.model_fields_set & set(_CHECKED)
    found = check_models(settings, models=named != {"embedder"}, embedder="embedder" in named)
    if json:
        import json as writer

        typer.echo(writer.dumps(found.as_dict()))
    else:
        print_check(found, Console())
    if not found.usable:
        raise typer.Exit(LiftAgentError.exit_code)


@app.command()
def plugins() -> None:
    """List the plugins that installed packages bring: models, embedders, readers and writers."""
    _quieten_libraries()
    from rich.console import Console

    from .plugins import found
    from .views.plugins import print_plugins

    print_plugins(found(), Console())


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
    round: Annotated[int | None, typer.Option(min=0, help="Only this round; 0: seeds.")] = None,
    status: Annotated[
        str, typer.Option(metavar="|".join(CALL_STATUSES), help="Only such calls.")
    ] = "",
    row: Annotated[str, typer.Option(help="Only calls about this row, or for it.")] = "",
    grep: Annotated[str, typer.Option(help="Only calls with this text in them.")] = "",
    slowest: Annotated[bool, typer.Option("--slowest", help="A list, slowest first.")] = False,
    dearest: Annotated[bool, typer.Option("--dearest", help="A list, dearest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Calls in such a list.")] = 20,
    tail: Annotated[bool, typer.Option("--tail", help="Follow a run until it ends.")] = False,
    tui: Annotated[bool, typer.Option("--tui", help="Look around in a full screen.")] = False,
    otlp: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the run's spans as OTLP in JSON.")
    ] = None,
    otel_content: OtelContent = False,
    json: Json = False,
) -> None:
    """Show the calls of a run as a tree (round, agent, task, call), or one CALL whole."""
    if status not in ("", *CALL_STATUSES):
        raise UsageError(f"--status {status}: should be {', '.join(CALL_STATUSES)}")
    from rich.console import Console

    from .stores.calls import Wanted, subjects_of
    from .stores.folder import is_held, opened_ledger, state_of
    from .views import trace as view
    from .views.paging import paged
    from .views.story import find_one

    console = Console()
    with opened_ledger(folder) as ledger:
        if call:
            _show_call(ledger, view.find_call(ledger, call), console, json=json)
            return
        if otlp:
            from .views.otlp import with_content, write_spans

            count = write_spans(ledger, otlp, content=with_content(otel_content))
            typer.echo(f"{count:,} spans in {otlp}")
            return
        about = subjects_of(ledger, find_one(ledger, row).id) if row else ()
        wanted = Wanted(agent, round, status, about, grep)  # type: ignore[arg-type]
        if tui:
            _open_screen(ledger, folder, wanted)
            return
        order: Order | None = "slowest" if slowest else "dearest" if dearest else None
        if tail:
            followed = view.follow(ledger, wanted, lambda: is_held(folder), limit)
            if json:
                _print_records(view.as_record(*told) for told in followed)
            else:
                view.print_tail(console, followed)
        elif json:
            state = state_of(folder, ledger)
            _print_records(view.call_records(ledger, wanted, order, limit, state))
        else:
            with paged(console) as pages:
                if order:
                    view.print_list(ledger, pages, wanted, order, limit)
                else:
                    view.print_tree(ledger, pages, wanted, state_of(folder, ledger))


@app.command()
def why(
    folder: RunFolder,
    row: Annotated[str, typer.Argument(help="A row's id (lift.id), its beginning, or a text.")],
    json: Json = False,
) -> None:
    """Tell the story of a ROW, kept or dropped."""
    from rich.console import Console

    from .stores.folder import opened_ledger
    from .views.paging import paged
    from .views.story import find_one, story_of
    from .views.why import nearest_in, print_story

    with opened_ledger(folder) as ledger:
        if json:
            found = story_of(ledger, find_one(ledger, row), nearest_in(folder))
            _print_records([found.as_dict()])
            return
        with paged(Console()) as pages:
            print_story(ledger, pages, row, nearest_in(folder))


@app.command()
def subspaces(folder: RunFolder, json: Json = False) -> None:
    """Show the regions that the analyst named, round by round, and what came of them."""
    from rich.console import Console

    from .stores.folder import opened_ledger
    from .stores.regions import regions
    from .views.paging import paged
    from .views.subspaces import print_regions, records

    with opened_ledger(folder) as ledger:
        found = regions(ledger)
    if json:
        _print_records(records(found))
        return
    with paged(Console()) as pages:
        print_regions(found, pages)


@app.command()
def diff(
    folder: RunFolder,
    other: Annotated[Path, typer.Argument(metavar="DIR2", help="Folder of the other run.")],
    json: Json = False,
) -> None:
    """Set two runs side by side: settings, coverage, scores, cost, rows in common."""
    from rich.console import Console

    from .stores.comparison import compare
    from .stores.folder import opened_ledger
    from .views.diff import print_comparison

    with opened_ledger(folder) as one, opened_ledger(other) as another:
        found = compare(one, another)
    if json:
        _print_records([found.as_dict()])
    else:
        print_comparison(found, (folder, other), Console())


def _open_screen(ledger: Ledger, folder: Path, wanted: Wanted) -> None:
    try:
        from .views.tui import TraceApp
    except ImportError:
        raise UsageError('--tui needs a package: pip install "lift-agent[tui]"') from None
    TraceApp(ledger, folder, wanted).run()


def _show_call(ledger: Ledger, key: str, console: Console, *, json: bool) -> None:
    from .views.call import print_call, story_of
    from .views.paging import paged

    story = story_of(ledger, key)
    if json:
        _print_records([story.as_dict()])
        return
    with paged(console) as pages:
        print_call(story, pages)


def _print_records(records: Iterable[Mapping[str, Any]]) -> None:
    """Print each as JSON on a line of its own."""
    import json as writer

    for record in records:
        typer.echo(writer.dumps(record))


@app.command()
def report(folder: RunFolder) -> None:
    """Write report.html of the run in DIR anew."""
    _quieten_libraries()
    from .graph.mapping import draw_missing_map
    from .stores.folder import opened_ledger
    from .views.report import write_report

    with opened_ledger(folder) as ledger:
        draw_missing_map(ledger, folder)
        typer.echo(write_report(ledger, folder))


@app.command()
def view(
    folder: RunFolder,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
) -> None:
    """Serve a page on this machine only: rows, map and calls of the run in DIR, also under way."""
    import asyncio
    import webbrowser

    from .stores.folder import opened_ledger
    from .views.server import serve

    def ready(address: str) -> None:
        typer.echo(f"{address}\nCtrl-C stops it. Whoever has this address can read the run.")
        if browser and sys.stdout.isatty():
            webbrowser.open(address)

    async def wait() -> None:
        runner = await serve(ledger, folder, port, ready)
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    with opened_ledger(folder) as ledger, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(wait())


@app.command()
@with_settings(("sources", "map", "ngram", "leak_cosine", "embedder"))
def audit(
    flags: dict[str, Any],
    against: Annotated[
        list[str], typer.Option(metavar="SOURCE", help="Benchmark, as published; repeatable.")
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
    from .stores.writing.outputs import CONTAINERS, ending_of, write_records

    if out and not ending_of(out)[0]:
        raise UsageError(f"--out {out}: its name should end with {', '.join(CONTAINERS)}")
    settings = settings.model_copy(update={"decontaminate": tuple(against)})
    check_settings(settings)
    sources, _, benchmarks = check_sources(settings)
    found = find(
        sources,
        benchmarks,
        columns=settings.map,
        ngram=settings.ngram,
        leak_cosine=settings.leak_cosine,
        embedder=LazyEmbedder(settings.embedder) if semantic else None,
    )
    if out:
        write_records([record for row in found.leaking for record in row.records()], out)
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


def _begun(folder: Path) -> bool:
    """Whether there is a run in the folder that has read its sources."""
    from .stores.folder import opened_ledger
    from .stores.ledger import LEDGER

    if not (folder / LEDGER).is_file():
        return False
    with opened_ledger(folder) as ledger:
        return bool(ledger.sources())


def _estimate(
    settings: RunConfig, sources: list[File], toward: list[File], *, dry_run: bool, quiet: bool
) -> tuple[Estimate, int] | None:
    """Estimate a run that has a model to ask, with the number of rows that it reads."""
    if settings.llm == "none" and not settings.judge_llm and not dry_run:
        return None
    from .embedders import LazyEmbedder, is_local
    from .graph.estimate import estimate
    from .records import Reference, Row
    from .stores.reading.prompts import read_prompts
    from .stores.reading.readers import read_rows
    from .views.estimate import in_one_line

    rows = [record for record in read_rows(sources, settings.map) if isinstance(record, Row)]
    local = is_local(settings.embedder) and not settings.embeddings
    embedder = LazyEmbedder(settings.embedder, prompt=settings.embedder_prompt) if local else None
    found = read_prompts(toward, settings.map)
    prompts = sum(isinstance(record, Reference) for record in found)
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


def _exported(
    folder: Path, otel: bool | None, content: bool
) -> Callable[[Callable[[str], None]], AbstractContextManager[None]]:
    """What exports the spans of a run in a folder, told how to speak to the user; or nothing."""
    from .views.otlp import exported, is_wanted, need_package, with_content

    if not is_wanted(otel):
        return lambda say: nullcontext()
    try:
        need_package()
    except UsageError as error:
        if otel:
            raise
        typer.echo(f"no spans, although the environment names a collector: {error}", err=True)
        return lambda say: nullcontext()
    return lambda say: exported(folder, say, content=with_content(content))


def _run(
    settings: RunConfig,
    spans: Callable[[Callable[[str], None]], AbstractContextManager[None]],
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
    from .stores.folder import opened_ledger
    from .views.progress import shown
    from .views.report import write_report
    from .views.summary import print_summary

    begun = time.monotonic()
    progress = Progress()
    with shown(progress, Console(stderr=True), quiet=quiet or json), spans(progress.say):
        summary = run_graph(settings, progress, force=force, estimate=estimate)
        progress.begin("report", "writing the report")
        with opened_ledger(settings.out) as ledger:
            write_report(ledger, settings.out)
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
