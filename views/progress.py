"""The screen while a run goes on: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..graph.progress import Progress
from ..redaction import redacted
from .format import duration, inert, money, number

_AGENTS = {
    "analyze": "coverage analyst",
    "generate": "generator",
    "deduplicate": "redundancy agent",
    "judge": "judge",
    "break ties": "judge",
    "select": "selector",
}


@contextmanager
def shown(progress: Progress, console: Console, *, quiet: bool) -> Iterator[None]:
    """Show the progress while the body runs."""
    if quiet:
        yield
    elif console.is_terminal:
        view = _LiveView(progress)
        with Live(view, console=console, refresh_per_second=4, transient=True):
            progress.listener = lambda line: console.print(Text(_said(line), style="dim"))
            yield
    else:
        begin = time.monotonic()

        def say(line: str) -> None:
            passed = duration(time.monotonic() - begin)
            console.print(Text(f"[{passed}] {_said(line)}"), soft_wrap=True)

        progress.listener = say
        yield


def _said(line: str) -> str:
    return inert(redacted(line))


class _LiveView:
    """Renders the progress each time that rich asks for it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich__(self) -> RenderableType:
        p = self._progress
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(f"round {p.round} of {p.max_rounds}" if p.round else "seeds", style="bold"),
            Text(p.stage, style="bold cyan"),
            ProgressBar(total=max(1, p.target), completed=p.accepted, width=28),
            Text(f"{number(p.accepted)} of {number(p.target)} accepted"),
        )
        items = f"  {number(p.done)}/{number(p.total)}" if p.total else ""
        doing = Text.assemble(
            (f"{_AGENTS.get(p.stage, p.stage)}: ", "green"), inert(p.activity), items
        )
        parts: list[RenderableType] = [head, doing]
        if p.subspaces:
            names = ", ".join(
                f"{inert(name)} ({quota})" for name, quota in p.subspaces[:6] if quota
            )
            more = f" and {len(p.subspaces) - 6} more" if len(p.subspaces) > 6 else ""
            parts.append(Text.assemble(("subspaces: ", "green"), names, more))
        parts.append(_rates(p))
        return Panel(Group(*parts), title="lift-agent", title_align="left", border_style="dim")


def _rates(p: Progress) -> Text:
    tokens = p.usage.input_tokens + p.usage.output_tokens
    figures = [
        f"accepted {_share(p.taken, p.tried)}",
        f"landed {_share(p.landed, p.written)}",
        f"calls {number(p.usage.calls)}",
        f"tokens {number(tokens)}",
        money(p.usage.usd),
        duration(time.monotonic() - p.started),
    ]
    left = expected(p)
    if left:
        figures.append(f"about {duration(left)} to go")
    return Text(" · ".join(figures), style="dim")


def expected(p: Progress) -> float | None:
    """Seconds that the run may still take, None while there is nothing to judge by.

    Before the first round it is the rest of the stage at its pace; then what is missing, at the
    pace at which rows were accepted so far.
    """
    passed = time.monotonic() - p.started
    if p.taken and p.round > 1:
        missing = p.target - p.accepted
        return missing * (passed - p.loop_began) / p.taken if missing > 0 else None
    stage = time.monotonic() - p.stage_began
    if p.total and p.done >= 5 and p.done < p.total:
        return stage * (p.total - p.done) / p.done
    return None


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "–"
