"""Commands that make a dataset: run, resume, replay, and the list of runs."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..config import MAY_CHANGE, NO_FILE, RunConfig, resolve
from ..errors import LiftAgentError, UsageError
from .common import errors_shown, prepare_libraries
from .flags import (
    ConfigFile,
    Json,
    Otel,
    OtelContent,
    Quiet,
    RunFolder,
    SectionedCommand,
    Yes,
    with_settings,
)

if TYPE_CHECKING:
    from ..formats.reading.sources import File
    from ..jobs.estimate import Estimate

app = typer.Typer(rich_markup_mode=None)

ASK_OVER_USD = 1.0
SHORT_OF_TARGET = 3
INTERRUPTED = 130


@app.command(cls=SectionedCommand)
@with_settings()
def run(
    flags: dict[str, Any],
    config: ConfigFile = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Estimate calls, money and time; send nothing."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Restart from scratch if the folder holds a run.")
    ] = False,
    yes: Yes = False,
    quiet: Quiet = False,
    json: Json = False,
    otel: Otel = None,
    otel_content: OtelContent = False,
) -> None:
    """Make a dataset of exactly N rows from SOURCE files, or continue a stopped run.

    Exit codes: 0 N rows; 1 error; 2 usage; 3 stopped short of N; 130 interrupted.
    """
    settings = resolve(flags, config)
    prepare_libraries()
    from ..jobs.preflight import check_settings, check_sources

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


@app.command(cls=SectionedCommand)
@with_settings(MAY_CHANGE)
def resume(
    folder: RunFolder,
    flags: dict[str, Any],
    quiet: Quiet = False,
    json: Json = False,
    otel: Otel = None,
    otel_content: OtelContent = False,
) -> None:
    """Continue the run in DIR, with its settings or those given here."""
    prepare_libraries()
    from ..jobs.settings import settings_of

    given = {name: value for name, value in flags.items() if value is not None}
    before = settings_of(folder).model_dump()
    settings = resolve({**before, **given}, NO_FILE)
    _run(settings, _exported(folder, otel, otel_content), quiet=quiet, json=json)


@app.command()
def replay(
    folder: RunFolder,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the replay.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the two datasets; exit 1 if they differ.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Repeat the run in DIR from its ledger, with no model and no network."""
    prepare_libraries()
    from rich.console import Console

    from ..jobs.replay import first_difference
    from ..jobs.replay import replay as replay_run
    from ..views.progress import shown

    with shown(Console(stderr=True), quiet=quiet) as emit:
        summary = replay_run(folder, out, emit)
    typer.echo(f"{summary.rows} rows in {out} ({summary.stop}), {summary.reused} answers replayed")
    if verify:
        if difference := first_difference(folder, out):
            raise LiftAgentError(difference)
        typer.echo("the datasets are equal, byte for byte")


@app.command()
def runs(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to search, three levels deep.")
    ] = Path(),
) -> None:
    """List the runs in DIR with their state."""
    from rich.console import Console

    from ..stores.folder import runs_under
    from ..views.runs import print_runs

    with errors_shown():
        entries = list(runs_under(folder))
    print_runs(entries, folder, Console())


def _begun(folder: Path) -> bool:
    """Whether there is a run in the folder that has read its sources."""
    from ..stores.folder import opened_ledger
    from ..stores.layout import LEDGER

    if not (folder / LEDGER).is_file():
        return False
    with opened_ledger(folder) as ledger:
        return bool(ledger.sources.all())


def _estimate(
    settings: RunConfig, sources: list[File], toward: list[File], *, dry_run: bool, quiet: bool
) -> tuple[Estimate, int] | None:
    """Estimate a run that has a model to ask, with the number of rows that it reads."""
    from ..embedders import LazyEmbedder, is_local

    if not (dry_run or settings.models) and is_local(settings.embedder):
        return None  # it asks nobody
    from ..formats.reading.prompts import read_prompts
    from ..formats.reading.readers import read_rows
    from ..jobs.estimate import estimate
    from ..records import Row, TargetPrompt
    from ..views.estimate import in_one_line

    rows = [record for record in read_rows(sources, settings.map) if isinstance(record, Row)]
    local = is_local(settings.embedder) and not settings.embeddings
    embedder = LazyEmbedder(settings.embedder, **settings.embedding) if local else None
    found = read_prompts(toward, settings.map)
    prompts = sum(isinstance(record, TargetPrompt) for record in found)
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

    from ..views.estimate import print_estimate

    print_estimate(*estimate, Console())


def _confirm(settings: RunConfig, estimate: Estimate) -> None:
    """On a terminal, ask before money is spent that was not allowed by a cap."""
    from ..views.estimate import in_one_line

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


def _exported(folder: Path, otel: bool | None, content: bool) -> AbstractContextManager[None]:
    """What exports the spans of a run in a folder, or nothing."""
    from ..views.otlp import exported, is_wanted, need_package, with_content

    if not is_wanted(otel):
        return nullcontext()
    try:
        need_package()
    except UsageError as error:
        if otel:
            raise
        typer.echo(f"no spans, although the environment names a collector: {error}", err=True)
        return nullcontext()
    return exported(folder, content=with_content(content))


def _run(
    settings: RunConfig,
    spans: AbstractContextManager[None],
    *,
    quiet: bool,
    json: bool,
    force: bool = False,
    estimate: dict[str, Any] | None = None,
) -> None:
    """Run or go on, show it, and end with the exit code that says how it ended."""
    from rich.console import Console

    from ..jobs.run import run as run_graph
    from ..records.events import Stage, StageBegan
    from ..stores.folder import opened_ledger
    from ..views.progress import shown
    from ..views.report import write_report
    from ..views.summary import as_record, print_summary

    begun = time.monotonic()
    with shown(Console(stderr=True), quiet=quiet or json) as emit, spans:
        summary = run_graph(settings, emit, force=force, estimate=estimate)
        emit(StageBegan(Stage.REPORT))
        with opened_ledger(settings.out) as ledger:
            write_report(ledger, settings.out)
    if json:
        import json as writer

        typer.echo(writer.dumps(as_record(summary) | {"folder": str(settings.out)}))
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
