"""The runs in a folder, with their state."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..stores.folder import RunEntry
from .format import duration, inert, money, number

_STYLES = {"running": "green", "finished": "", "stopped": "yellow", "unfinished": "yellow"}


def print_runs(entries: Sequence[RunEntry], folder: Path, console: Console) -> None:
    """Print a line for each run."""
    if not entries:
        console.print(Text(f"no run in {folder}"))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "state", "rows", "calls", "money", "time", "changed"):
        left = name in ("run", "state")
        table.add_column(
            name,
            justify="left" if left else "right",
            overflow="fold",
            no_wrap=name != "run",
        )
    for entry in entries:
        s = entry.summary
        table.add_row(
            Text(inert(str(entry.folder))),
            Text(_state(entry), style=_STYLES[entry.state]),
            f"{number(s.rows or s.seeds_accepted + s.generated_accepted)} of {number(s.target)}",
            number(s.calls),
            money(s.cost),
            duration(s.seconds),
            f"{duration(max(0.0, time.time() - entry.changed))} ago",
        )
    console.print(table)
    if any(entry.state in ("stopped", "unfinished") for entry in entries):
        console.print()
        console.print(Text("Continue a stopped run: lift-agent resume DIR", style="dim"))


def _state(entry: RunEntry) -> str:
    if entry.state == "running":
        return f"running ({entry.holder})" if entry.holder else "running"
    if entry.state == "unfinished":
        return "killed" if entry.holder else "unfinished"
    return f"{entry.state}: {entry.summary.stop}"
