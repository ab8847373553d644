"""Strangers' names in Markdown, where they can neither format, link, nor break anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_MARKS = "\\`*_[]<>|~&"  # without [ and < there is no link, image or tag


def code(text: object) -> str:
    """A name as a code span that nothing in it can end."""
    name = "".join(c if c.isprintable() and c not in "|`" else "_" for c in str(text))
    return f"`{name.strip() or '_'}`"


def plain(text: object) -> str:
    """A sentence on one line, each mark of Markdown and HTML in it shown as it is."""
    line = "".join(c if c.isprintable() else " " for c in str(text))
    return "".join(f"\\{c}" if c in _MARKS else c for c in line)


def block(lines: Iterable[str]) -> str:
    """Lines as they are, in a block that none of them can end."""
    shown = ["".join(c if c.isprintable() else "_" for c in line) for line in lines]
    return "\n".join(f"    {line}" for line in shown)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
