"""The subspaces of a run on a screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from ..stores.queries.subspaces import SubspaceReport
from .format import in_one_line, inert, money, number


def print_regions(found: Sequence[SubspaceReport], console: Console) -> None:
    """Print the subspaces of each round, with what came of them."""
    if not found:
        _say(console, "no subspace: nothing was generated, or the run has not come that far")
    for round, subspace_reports in groupby(found, key=lambda region: region.subspace.round):
        console.print(Text(f"round {round}", style="bold"))
        for region in subspace_reports:
            _print(region, console)


def records(found: Sequence[SubspaceReport]) -> Iterator[dict[str, Any]]:
    """What ``--json`` prints: each subspace in a round, without its vector."""
    for region in found:
        values = asdict(region)
        subspace = values.pop("subspace")
        del subspace["centre"]
        examples = [{"id": row.id, "instruction": row.instruction} for row in region.examples]
        yield {**subspace, **values, "cost_per_row": region.cost_per_row, "examples": examples}


def _print(region: SubspaceReport, console: Console) -> None:
    s = region.subspace
    title = Text.assemble("  ", (inert(s.name or s.id), "bold cyan"), f"  {s.id}", style="")
    console.print(title, soft_wrap=True)
    if s.brief:
        _say(console, f"    {in_one_line(s.brief, 300)}", "dim")
    if s.given_up:
        _say(console, f"    given up: {in_one_line(s.given_up)}", "yellow")
    _say(console, f"    {_density(region)}")
    _say(console, f"    {_yield(region)}")
    for row in region.examples:
        _say(console, f"      {row.id}  {in_one_line(row.task, 120)}", "dim")


def _density(region: SubspaceReport) -> str:
    s = region.subspace
    said = f"data there {s.density:.1%}"
    if s.wanted:
        said += f", wanted {s.wanted_density:.1%}"
    if region.before is None or region.after is None:
        return said
    return f"{said}; ten nearest rows: cosine {region.before:.3f} → {region.after:.3f}"


def _yield(region: SubspaceReport) -> str:
    quota = region.subspace.quota
    parts = [
        f"quota {number(quota)}",
        f"generated {number(region.generated)}",
        f"landed {number(region.landed)}",
        f"accepted {number(region.accepted)}",
        f"{number(region.tokens)} tokens",
    ]
    each = region.cost_per_row
    if region.accepted:
        tokens = region.tokens / region.accepted
        price = "" if each is None else f", {money(each)}"
        parts.append(f"{number(tokens)} tokens{price} an accepted row")
    return " · ".join(parts)


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)
