"""Commands that look into a run: its calls, its rows, its report and its page."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .common import prepare_libraries
from .flags import Json, OtelContent, RunFolder

if TYPE_CHECKING:
    from rich.console import Console

    from ..records.events import Event
    from ..stores.ledger import Ledger
    from ..stores.queries.calls import CallFilter, Order

app = typer.Typer(rich_markup_mode=None)

CALL_STATUSES = ("failed", "quarantined", "cached")


@app.command()
def trace(
    folder: RunFolder,
    call: Annotated[str, typer.Argument(help="Key of a call, or its beginning.")] = "",
    agent: Annotated[str, typer.Option(help="Only this agent's calls.")] = "",
    round: Annotated[
        int | None, typer.Option(min=0, help="Only this round; 0 is the seeds.")
    ] = None,
    status: Annotated[
        str, typer.Option(metavar="|".join(CALL_STATUSES), help="Only calls with this status.")
    ] = "",
    row: Annotated[str, typer.Option(help="Only calls about this row or made for it.")] = "",
    grep: Annotated[str, typer.Option(help="Only calls that contain this text.")] = "",
    slowest: Annotated[bool, typer.Option("--slowest", help="A list, slowest first.")] = False,
    most_expensive: Annotated[
        bool, typer.Option("--most-expensive", help="A list, most expensive first.")
    ] = False,
    dearest: Annotated[
        bool, typer.Option("--dearest", hidden=True, help="Old name of --most-expensive.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Maximum calls in such a list.")] = 20,
    tail: Annotated[bool, typer.Option("--tail", help="Follow a run until it ends.")] = False,
    tui: Annotated[bool, typer.Option("--tui", help="Browse in a full screen.")] = False,
    otlp: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the run's spans as OTLP in JSON.")
    ] = None,
    otel_content: OtelContent = False,
    json: Json = False,
) -> None:
    """Show the calls of a run as a tree (round, agent, task, call), or one CALL in full."""
    if status not in ("", *CALL_STATUSES):
        raise UsageError(f"--status {status}: should be {', '.join(CALL_STATUSES)}")
    from rich.console import Console

    from ..stores.folder import is_held, opened_ledger, state_of
    from ..stores.queries.calls import CallFilter, subjects_of
    from ..views import trace as view
    from ..views.paging import paged
    from ..views.story import find_one

    if dearest:
        typer.echo("--dearest is now called --most-expensive", err=True)
    console = Console()
    with opened_ledger(folder) as ledger:
        if call:
            _show_call(ledger, view.find_call(ledger, call), console, json=json)
            return
        if otlp:
            from ..views.otlp import with_content, write_spans

            count = write_spans(ledger, otlp, content=with_content(otel_content))
            typer.echo(f"{count:,} spans in {otlp}")
            return
        about = subjects_of(ledger, find_one(ledger, row).id) if row else ()
        wanted = CallFilter(agent, round, status, about, grep)  # type: ignore[arg-type]
        if tui:
            _open_screen(ledger, folder, wanted)
            return
        order: Order | None = (
            "slowest" if slowest else "dearest" if most_expensive or dearest else None
        )
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
    row: Annotated[
        str, typer.Argument(help="Id of a row (lift.id), its beginning, or a text to find.")
    ],
    json: Json = False,
) -> None:
    """Show the story of a ROW, kept or dropped."""
    from rich.console import Console

    from ..stores.folder import opened_ledger
    from ..views.paging import paged
    from ..views.story import find_one, story_of
    from ..views.why import nearest_in, print_story

    with opened_ledger(folder) as ledger:
        if json:
            found = story_of(ledger, find_one(ledger, row), nearest_in(folder))
            _print_records([found.as_dict()])
            return
        with paged(Console()) as pages:
            print_story(ledger, pages, row, nearest_in(folder))


@app.command()
def subspaces(folder: RunFolder, json: Json = False) -> None:
    """Show the subspaces that the analyst named, round by round, with their results."""
    from rich.console import Console

    from ..stores.folder import opened_ledger
    from ..stores.queries.subspaces import subspace_reports
    from ..views.paging import paged
    from ..views.subspaces import print_regions, records

    with opened_ledger(folder) as ledger:
        found = subspace_reports(ledger)
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
    """Compare two runs: settings, coverage, scores, cost, rows in common."""
    from rich.console import Console

    from ..stores.folder import opened_ledger
    from ..stores.queries.comparison import compare
    from ..views.diff import as_record, print_comparison

    with opened_ledger(folder) as one, opened_ledger(other) as another:
        found = compare(one, another)
    if json:
        _print_records([as_record(found)])
    else:
        print_comparison(found, (folder, other), Console())


@app.command()
def report(folder: RunFolder) -> None:
    """Regenerate report.html of the run in DIR."""
    prepare_libraries()
    from ..graph.mapping import draw_missing_map
    from ..stores.folder import opened_ledger
    from ..views.report import write_report

    with opened_ledger(folder) as ledger:
        draw_missing_map(ledger, folder, _print_event)
        typer.echo(write_report(ledger, folder))


@app.command()
def view(
    folder: RunFolder,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
) -> None:
    """Serve a page of the run in DIR on this machine only: rows, map, calls; also in progress."""
    import asyncio
    import webbrowser

    from ..stores.folder import opened_ledger
    from ..views.server import serve

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


def _open_screen(ledger: Ledger, folder: Path, wanted: CallFilter) -> None:
    try:
        from ..views.tui import TraceApp
    except ImportError:
        raise UsageError('--tui needs a package: pip install "lift-agent[tui]"') from None
    TraceApp(ledger, folder, wanted).run()


def _show_call(ledger: Ledger, key: str, console: Console, *, json: bool) -> None:
    from ..views.call import print_call, story_of
    from ..views.paging import paged

    story = story_of(ledger, key)
    if json:
        _print_records([story.as_dict()])
        return
    with paged(console) as pages:
        print_call(story, pages)


def _print_event(event: Event) -> None:
    from ..views.events import lines

    for line in lines(event):
        typer.echo(line, err=True)


def _print_records(records: Iterable[Mapping[str, Any]]) -> None:
    """Print each as JSON on a line of its own."""
    import json as writer

    for record in records:
        typer.echo(writer.dumps(record))
