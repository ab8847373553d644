"""What `lift-agent peek` shows: what the sources are, and what would be read from them."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..formats.reading.forms import Example
from ..jobs.peek import SAMPLED, Peek
from .format import inert, number

_SHOWN = 300  # characters of a text


def print_peek(peek: Peek, console: Console) -> None:
    """Print what was recognised, rows as they will be seen, figures, and what is unusable."""
    console.print(_files(peek))
    rows, quarantined = sum(f.rows for f in peek.files), sum(f.quarantined for f in peek.files)
    for index, example in enumerate(peek.rows, 1):
        console.print()
        console.print(Text(f"row {index}", style="bold"), _row(example), sep="\n")
    console.print()
    flow = Table.grid(padding=(0, 2))
    flow.add_column(justify="right")
    flow.add_column()
    flow.add_row(number(rows), "rows would be read")
    flow.add_row(number(peek.duplicates), "of them repeat an earlier row exactly")
    flow.add_row(number(quarantined), "records would be quarantined")
    for reason, count in peek.reasons.items():
        flow.add_row(number(count), Text(f"  {inert(reason)}"))
    console.print(flow)
    if peek.rows:
        _print_figures(peek, rows, console)
    for item in peek.rejected:
        place = f"{item.source}:{item.line}:{item.column}"
        console.print()
        console.print(Text(inert(f"{place}: {item.reason}"), style="yellow"), soft_wrap=True)
        if item.excerpt:
            console.print(Text(f"  {inert(item.excerpt)}", style="dim"), soft_wrap=True)


def _print_figures(peek: Peek, rows: int, console: Console) -> None:
    sampled = sum(peek.languages.values())
    of = f" (of {number(SAMPLED)} rows)" if rows > SAMPLED else ""
    told = ", ".join(f"{name} {count / sampled:.0%}" for name, count in peek.languages.items())
    console.print(Text(inert(f"\nlanguages{of}: {told}")), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("characters")
    for name in next(iter(peek.lengths.values())):
        table.add_column(name, justify="right")
    for name, quantiles in peek.lengths.items():
        table.add_row(name, *map(number, quantiles.values()))
    console.print()
    console.print(table)


def _files(peek: Peek) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("source", "is", "forms", "rows", "quarantined"):
        table.add_column(name, justify="right" if name in ("rows", "quarantined") else "left")
    for file in peek.files:
        packed = f", {file.compression}" if file.compression else ""
        forms = ", ".join(f"{form} {number(n)}" for form, n in file.forms.items())
        table.add_row(
            Text(inert(file.name), overflow="fold"),
            f"{file.container}{packed}",
            Text(inert(forms)),
            number(file.rows),
            number(file.quarantined),
        )
    return table


def _row(example: Example) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    cells = [("system", example.system)]
    for ask, answer in example.history:
        cells += [("earlier", ask), ("answered", answer)]
    cells += [("instruction", example.instruction), ("input", example.input)]
    cells += [("output", example.output), ("columns", ", ".join(example.extra))]
    for name, text in cells:
        if text:
            cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
            table.add_row(name, Text(inert(cut)))
    return table
