"""The plugins that installed packages bring."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..plugins import GROUPS, Found
from .format import inert


def print_plugins(found: Sequence[Found], console: Console) -> None:
    """Print each plugin with its package, its place, and whether it can be imported."""
    if not found:
        groups = ", ".join(f"lift_agent.{group}" for group in GROUPS)
        console.print(f"No installed package declares a plugin ({groups}).", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("kind", "name", "package", "place", "state"):
        table.add_column(name, overflow="fold")
    for one in found:
        state = Text(inert(one.broken or "ok"), style="red" if one.broken else "green")
        told = (one.name, one.package, one.place)
        table.add_row(one.group, *(Text(inert(text)) for text in told), state)
    console.print(table)
