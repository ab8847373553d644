"""What an export wrote, and what to do with it."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ..jobs.export import Exported
from .format import inert, number


def print_exported(exported: Exported, console: Console) -> None:
    """Print the files with their rows, how to start the trainer, and the hub's address."""
    width = max(len(number(rows)) for rows in exported.rows.values())
    for path, rows in exported.rows.items():
        _say(console, f"{number(rows):>{width}} rows  {path}")
    for path in exported.others:
        _say(console, f"{'':>{width}}       {path}")
    if exported.trainer and exported.others:
        _say(console, f"\nnext  {_next(exported, exported.others[0])}")
    if exported.url:
        _say(console, f"\npushed to {exported.url}")


def _next(exported: Exported, file: Path) -> str:
    if exported.trainer == "trl":
        return shlex.join(["python", str(file), "MODEL"])
    if exported.trainer == "axolotl":
        return f"put the lines of {file} into your configuration"
    return f"in your configuration: dataset_dir: {file.parent}, dataset: {exported.name}"


def _say(console: Console, text: str) -> None:
    console.print(Text(inert(text)), soft_wrap=True)
