"""The coverage of sets of rows as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from .format import number
from .text import printed

COLUMNS = ("coverage", "rows", "distance", "99%", "cells", "Vendi", "NovelSum", "pairs")


def coverage_table(measures: Mapping[str, Mapping[str, Any]]) -> Table:
    """A line for each set of rows: its label, then its measures."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "coverage" else "right")
    for label, m in measures.items():
        table.add_row(
            label,
            number(m["rows"]),
            f"{m['distance']:.3f}",
            f"{m['distance_p99']:.3f}",
            f"{m['cells']:.0%}",
            f"{m['vendi']:.1f}",
            f"{m['novelsum']:.3f}",
            number(m["pairs"]),
        )
    return table


def as_text(measures: Mapping[str, Mapping[str, Any]]) -> str:
    """The table as plain text."""
    return printed(lambda console: console.print(coverage_table(measures)))
