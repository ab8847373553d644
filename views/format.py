"""How figures and strangers' text are written on a screen."""

from __future__ import annotations

import unicodedata


def number(value: float) -> str:
    """12345 as 12,345."""
    return f"{value:,.0f}"


def compact(value: float) -> str:
    """12345 as 12k: two figures are enough for what is estimated."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:
            return (
                f"{value / size:.2g}{unit}" if value < 100 * size else f"{value / size:.0f}{unit}"
            )
    return f"{value:.0f}"


def money(usd: float | None) -> str:
    """USD with as many digits as matter; an unknown price is said to be unknown."""
    if usd is None:
        return "price unknown"
    return f"${usd:.2f}" if usd >= 1 or usd == 0 else f"${usd:.4f}"


def duration(seconds: float) -> str:
    """Seconds as 42s, 3m 05s or 2h 07m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def inert(text: str) -> str:
    """Text without the characters that command a terminal or turn its direction.

    Rows and answers come from strangers: an escape sequence in them must come out as text.
    """
    return "\n".join(
        line if line.replace("\t", "").isprintable() else "".join(map(_inert, line))
        for line in text.split("\n")
    )


def _inert(c: str) -> str:
    active = c != "\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    return "\ufffd" if active else c


def in_one_line(text: str, most: int = 200) -> str:
    """The beginning of a stranger's text on one line."""
    line = inert(" ".join(text[: 4 * most].split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def beginning(text: str, lines: int = 12, most: int = 1600) -> str:
    """The first lines of a stranger's text; how much is left out stands below."""
    shown = "\n".join(text[:most].splitlines()[:lines])
    left = len(text) - len(shown)
    return inert(shown) + (f"\n… ({number(left)} more characters)" if left > 1 else "")
