"""Two runs side by side on a screen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..stores.queries.comparison import Comparison
from ..stores.queries.summary import PAIR, Summary
from .format import duration, in_one_line, inert, money, number
from .summary import as_record as summary_record
from .wording import scorer_named

_MEASURES = (
    ("distance", "mean distance to the nearest chosen row", ".3f"),
    ("distance_p99", "its 99th percentile", ".3f"),
    ("cells", "cells hit", ".0%"),
    ("vendi", "Vendi score", ".1f"),
    ("novelsum", "NovelSum", ".3f"),
    ("pairs", f"pairs of rows at cosine {PAIR} or above", ",.0f"),
)


def print_comparison(found: Comparison, folders: tuple[Path, Path], console: Console) -> None:
    """Print what differs between two runs, and what came of each."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for folder in folders:
        table.add_column(Text(inert(str(folder))), justify="right", overflow="fold")
    for name, pair in found.settings.items():
        table.add_row(Text(inert(name), style="cyan"), *(_value(value) for value in pair))
    if not found.settings:
        table.add_row(Text("the same settings", style="dim"), "", "")
    table.add_section()
    for (name, one), (_, other) in zip(_figures(found.one), _figures(found.other), strict=True):
        if one or other:
            table.add_row(name, one, other)
    console.print(table)
    common = found.common
    said = (
        f"in both: {number(common.rows)} rows read or generated, {number(common.accepted)} "
        f"accepted, {number(common.dataset)} in the dataset"
    )
    console.print(Text(said), soft_wrap=True)


def as_record(found: Comparison) -> dict[str, Any]:
    """What ``--json`` prints: everything."""
    return {
        "settings": found.settings,
        "one": summary_record(found.one),
        "other": summary_record(found.other),
        "common": asdict(found.common),
    }


def _value(value: Any) -> Text:
    unset = value in (None, {}, [])
    return Text("not set" if unset else in_one_line(str(value), 60), style="dim" if unset else "")


def _figures(s: Summary) -> Iterator[tuple[str, str]]:
    """What came of a run, figure by figure; "" for what it does not have."""
    yield "rows in the dataset", f"{number(s.rows)} of {number(s.target)}"
    yield "stopped by", inert(s.stop) or "not ended"
    yield "seeds among them", number(s.seeds_chosen)
    yield "rows read", number(s.read)
    yield "near-duplicates removed", number(s.near_duplicates)
    yield "rows generated", number(s.written)
    yield "landed in their subspace", f"{s.landed / s.written:.0%}" if s.written else ""
    yield "generated and accepted", number(s.generated_accepted)
    coverage = s.coverage.get("dataset", {})
    for key, name, form in _MEASURES:
        yield name, format(coverage[key], form) if key in coverage else ""
    yield "judge", inert(scorer_named(s.judge))
    quartiles = s.judging.get("quartiles")
    yield "scores: median", f"{quartiles[2]:g}" if quartiles else ""
    middle = f"{quartiles[1]:g} – {quartiles[3]:g}" if quartiles else ""
    yield "scores: middle half", middle
    yield "calls", number(s.calls)
    yield "reused answers", number(s.reused)
    yield "tokens", number(s.tokens)
    yield "money", money(s.cost)
    yield "time", duration(s.seconds)
