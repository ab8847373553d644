"""What is printed on a screen, as text."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

WIDTH = 80


def printed(show: Callable[[Console], None], width: int = WIDTH) -> str:
    """What `show` prints, as plain text of a width in characters."""
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as captured:
        show(console)
    return captured.get().rstrip("\n")
