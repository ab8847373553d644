"""What an audit found: counts, and the clearest leaks beside what they leak."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..jobs.audit import Audit, Leak, LeakingRow
from .format import inert, number

_AROUND = 48  # characters that are shown before and after the words in common
_RUN = 240  # and of these


def print_audit(audit: Audit, console: Console, *, examples: int, semantic: bool) -> None:
    """Print how many rows leak, which benchmarks they leak, and some of them."""
    leaking = len(audit.leaking)
    share = f" ({leaking / audit.rows:.2%})" if audit.rows else ""
    told = f"{number(leaking)} of {number(audit.rows)} rows leak{share}"
    unusable = f", {number(audit.unusable)} unusable records" if audit.unusable else ""
    console.print(Text(told + unusable, style="bold red" if leaking else "bold green"))
    how = (
        "words in a row and embeddings"
        if semantic
        else "words in a row (--semantic adds embeddings)"
    )
    console.print(Text(f"compared by {how}\n", style="dim"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("benchmark", "items", "leaked", "by rows"):
        table.add_column(name, justify="left" if name == "benchmark" else "right")
    for found in audit.by_benchmark():
        file = Text(inert(Path(found["benchmark"]).name))
        table.add_row(file, *(number(found[key]) for key in ("items", "leaked", "rows")))
    console.print(table)
    for row in sorted(audit.leaking, key=lambda row: -len(row.leaks[0].run))[:examples]:
        console.print()
        _print_example(audit, row, console)
    if leaking > examples:
        console.print(Text(f"\nand {number(leaking - examples)} more rows (--out FILE lists all)"))


def _print_example(audit: Audit, found: LeakingRow, console: Console) -> None:
    leak, row = found.leaks[0], found.row
    item = audit.benchmarks.items[leak.item]
    where = f"{Path(row.source).name} line {row.line} leaks {leak.name} line {leak.line}"
    console.print(Text(inert(f"{where}: {_rule(leak)}"), style="bold"), soft_wrap=True)
    said = " ".join((*(t for turn in row.history for t in turn), row.task, row.output))
    for label, text in (("row ", said), ("item", getattr(item, leak.part))):
        console.print(Text.assemble(f"  {label}  ", _marked(text, leak)), soft_wrap=True)


def _rule(leak: Leak) -> str:
    shared = "the whole prompt" if leak.whole else f"{len(leak.run)} words in a row"
    if leak.cosine:
        return f"cosine {leak.cosine:.2f}, {shared}"
    return f"{shared}, of its answer" if leak.part == "answer" else shared


def _marked(text: str, leak: Leak) -> Text:
    """The words in common in their place, marked, with a little of what is around them."""
    found = (
        re.search(r"\W*".join(map(re.escape, leak.run)), text, re.IGNORECASE) if leak.run else None
    )
    if found is None:
        return Text(_line(text[: _RUN + _AROUND]))
    before, shared, after = text[: found.start()], found.group(), text[found.end() :]
    return Text.assemble(
        _line(("…" if len(before) > _AROUND else "") + before[-_AROUND:]),
        ("«" + _line(shared[:_RUN] + ("…" if len(shared) > _RUN else "")) + "»", "bold yellow"),
        _line(after[:_AROUND] + ("…" if len(after) > _AROUND else "")),
    )


def _line(text: str) -> str:
    return inert(re.sub(r"\s+", " ", text))
