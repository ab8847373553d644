"""What the call cache holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..stores.cache import CachedModel
from .format import inert, money, number


def print_cache(path: Path, models: Sequence[CachedModel], console: Console) -> None:
    """Print the answers of each model, and where they are kept."""
    if models:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("model", "answers", "tokens", "were paid"):
            table.add_column(name, justify="left" if name == "model" else "right")
        for model in models:
            table.add_row(
                Text(inert(model.model)),
                number(model.calls),
                number(model.tokens),
                money(model.usd),
            )
        console.print(table)
        console.print()
    size = path.stat().st_size / 1e6 if path.is_file() else 0.0
    console.print(Text(f"{path}, {size:.1f} MB" if size else f"{path}: empty"), soft_wrap=True)
