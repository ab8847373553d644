"""Output that is longer than the screen: through the user's pager, on a terminal."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.text import Text

OWN_PAGER = "LIFT_AGENT_PAGER"


@contextmanager
def paged(console: Console) -> Iterator[Console]:
    """Yield a console that writes through $PAGER (less) if `console` is a terminal.

    Nothing is produced that is not read: when the pager is closed, the body ends at its next line.
    """
    command = os.environ.get(OWN_PAGER, os.environ.get("PAGER", "less"))
    pager = _opened(command) if console.is_terminal and command not in ("", "cat") else None
    if pager is None or pager.stdin is None:
        yield console
        return
    try:
        yield _Pages(
            file=pager.stdin,
            width=console.width,
            force_terminal=True,
            color_system=console.color_system or None,  # type: ignore[arg-type]
            no_color=console.no_color,
        )
    except (BrokenPipeError, KeyboardInterrupt):
        pass  # the user has seen enough
    finally:
        with suppress(BrokenPipeError):
            pager.stdin.close()
        while pager.poll() is None:
            with suppress(KeyboardInterrupt):  # Ctrl-C is for the pager
                pager.wait()


class _Pages(Console):
    """A console that leaves it to its caller when the pager is gone."""

    def on_broken_pipe(self) -> None:
        """Do not end the process, as rich would."""
        raise BrokenPipeError


def _opened(command: str) -> subprocess.Popen[str] | None:
    # As git sets less: no pager for less than a screen, colours, and the screen stays.
    settings = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
    try:
        return subprocess.Popen(
            shlex.split(command), stdin=subprocess.PIPE, text=True, encoding="utf-8", env=settings
        )
    except (OSError, ValueError):
        return None


def print_line(console: Console, line: Text) -> None:
    """Print one line: cut to the width of a terminal, and whole where there is none."""
    if not console.is_terminal:
        console.file.write(f"{line.plain}\n")  # rich would take most of the time
        return
    line.truncate(console.width, overflow="ellipsis")
    console.print(line, no_wrap=True, crop=True, soft_wrap=True)
