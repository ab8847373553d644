"""The screen of a run in progress: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..records.events import Emit, Event, Stage
from ..redaction import redacted
from .events import lines
from .format import duration, inert, money, number
from .live_state import LiveState, expected

_AGENTS = {
    Stage.ANALYZE: "coverage analyst",
    Stage.PROBE: "coverage analyst",
    Stage.GENERATE: "generator",
    Stage.DEDUPLICATE: "redundancy agent",
    Stage.JUDGE: "judge",
    Stage.BREAK_TIES: "judge",
    Stage.SELECT: "selector",
}
_STAGES = {Stage.PROBE: "analyze"}  # where the screen calls a stage otherwise


@contextmanager
def shown(console: Console, *, quiet: bool) -> Iterator[Emit]:
    """Show the run that is made in the body: what its events and the package's log tell.

    Yields what the run is to pass its events to.
    """
    if quiet:
        with _logged(logging.NullHandler()):
            yield lambda event: None
    elif console.is_terminal:
        state = LiveState()

        def print_line(line: str) -> None:
            console.print(Text(_safe(line), style="dim"))

        live = Live(_LiveView(state), console=console, refresh_per_second=4, transient=True)
        with live, _logged(_LineHandler(print_line)):
            yield _telling(print_line, state)
    else:
        began = time.monotonic()

        def print_timed(line: str) -> None:
            passed = duration(time.monotonic() - began)
            console.print(Text(f"[{passed}] {_safe(line)}"), soft_wrap=True)

        with _logged(_LineHandler(print_timed)):
            yield _telling(print_timed, LiveState())


def _telling(show: Callable[[str], None], state: LiveState) -> Emit:
    def emit(event: Event) -> None:
        state.update(event)
        for line in lines(event):
            show(line)

    return emit


def _safe(line: str) -> str:
    return inert(redacted(line))


class _LineHandler(logging.Handler):
    """Shows what the package logs among the lines of the run."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        """Show one message."""
        self._show(record.getMessage())


@contextmanager
def _logged(handler: logging.Handler) -> Iterator[None]:
    """Send what the package logs, from INFO on, to a handler while the body runs."""
    logger = logging.getLogger(__package__.partition(".")[0])
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


class _LiveView:
    """Renders the state of the run each time that rich asks for it."""

    def __init__(self, state: LiveState) -> None:
        self._state = state

    def __rich__(self) -> RenderableType:
        s = self._state
        stage = _STAGES.get(s.stage, s.stage.value) if s.stage else "starting"
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(f"round {s.round} of {s.max_rounds}" if s.round else "seeds", style="bold"),
            Text(stage, style="bold cyan"),
            ProgressBar(total=max(1, s.target), completed=s.accepted, width=28),
            Text(f"{number(s.accepted)} of {number(s.target)} accepted"),
        )
        items = f"  {number(s.done)}/{number(s.total)}" if s.total else ""
        agent = _AGENTS.get(s.stage, stage) if s.stage else stage
        doing = Text.assemble((f"{agent}: ", "green"), inert(s.activity), items)
        parts: list[RenderableType] = [head, doing]
        if s.subspaces:
            names = ", ".join(
                f"{inert(name)} ({quota})" for name, quota in s.subspaces[:6] if quota
            )
            more = f" and {len(s.subspaces) - 6} more" if len(s.subspaces) > 6 else ""
            parts.append(Text.assemble(("subspaces: ", "green"), names, more))
        parts.append(_rates(s))
        return Panel(Group(*parts), title="lift-agent", title_align="left", border_style="dim")


def _rates(state: LiveState) -> Text:
    so_far = state.so_far
    figures = [
        f"accepted {_share(so_far.accepted, so_far.planned)}",
        f"landed {_share(so_far.landed, so_far.written)}",
        f"calls {number(state.calls)}",
        f"tokens {number(state.tokens)}",
        money(state.usd),
        duration(time.monotonic() - state.started),
    ]
    if left := expected(state, time.monotonic()):
        figures.append(f"about {duration(left)} to go")
    return Text(" · ".join(figures), style="dim")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "–"
