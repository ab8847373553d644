"""The estimate of a run: on the screen, in one line, and beside what came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..jobs.estimate import Estimate
from ..records.ranges import Range
from ..stores.queries.summary import Summary
from .format import compact, duration, inert, money, number


def print_estimate(estimate: Estimate, rows: int, console: Console) -> None:
    """Print what a run over so many rows will take, by agent, and what was assumed."""
    console.print(Text(f"{number(rows)} rows read. Nothing was sent to a model.\n"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("agent", "calls", "tokens in", "tokens out", "money", "time"):
        table.add_column(name, justify="left" if name == "agent" else "right", no_wrap=True)
    agents = Counter(part.agent for part in estimate.parts)
    for part in estimate.parts:
        several = agents[part.agent] > 1  # a panel of judges
        table.add_row(
            Text(inert(f"{part.agent} ({part.model})" if several else part.agent)),
            _span(part.calls, compact),
            _span(part.input_tokens, compact),
            _span(part.output_tokens, compact),
            _span(part.usd, _about),
            _span(part.seconds, duration),
        )
    table.add_row("embedding", "", "", "", "", _span(estimate.embedding, duration))
    table.add_row(
        Text("together", style="bold"),
        _span(estimate.calls, compact),
        "",
        "",
        _span(estimate.usd, _about),
        _span(estimate.seconds, duration),
    )
    console.print(table)
    console.print()
    for line in estimate.assumed:
        console.print(Text(f"assumed: {inert(line)}", style="dim"), soft_wrap=True)


def in_one_line(estimate: Estimate) -> str:
    """The estimate's totals."""
    price = _span(estimate.usd, _about) if estimate.usd else "price unknown"
    return (
        f"{_span(estimate.calls, compact)} calls, {_span(estimate.tokens, compact)} tokens, "
        f"{price}, {_span(estimate.seconds, duration)}"
    )


def print_estimated_and_actual(summary: Summary, console: Console) -> None:
    """Set what the run was thought to take beside what it took."""
    spans = {name: Range(*span) if span else None for name, span in summary.estimate.items()}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "calls", "tokens", "money", "time"):
        table.add_column(name, justify="left" if not name else "right")
    table.add_row(
        "estimated",
        _span(spans["calls"], compact),
        _span(spans["tokens"], compact),
        _span(spans["usd"], _about),
        _span(spans["seconds"], duration),
    )
    reused = f" (and {number(summary.reused)} reused)" if summary.reused else ""
    table.add_row(
        "actual",
        number(summary.calls) + reused,
        number(summary.tokens),
        money(summary.cost),
        duration(summary.seconds),
    )
    console.print(table)


def _span(span: Range | None, shown: Callable[[float], str]) -> str:
    if span is None:
        return "unknown"
    low, high = shown(span.low), shown(span.high)
    return low if low == high else f"{low} – {high}"


def _about(usd: float) -> str:
    return f"${usd:.2g}" if 0 < usd < 1 else money(usd)
