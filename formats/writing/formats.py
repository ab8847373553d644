"""The one place where the name of an export's format is looked up.

A name is a shape (`messages`), a container (`parquet`, which holds the shape alpaca), both
(`messages.parquet`), a trainer, or a plugin's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...plugins import declared, plugin
from .outputs import CONTAINERS, ending_of
from .shapes import SHAPES, Shape, alpaca
from .trainers import TRAINERS, Trainer

TABLES = (".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class Format:
    """How a dataset is written; `ending` is that of the files, "" if the name leaves it open.

    `write` is a plugin's function, which takes the records and a path.
    """

    name: str
    shape: Shape = alpaca
    trainer: Trainer | None = None
    ending: str = ""
    write: Callable[..., Any] | None = None


def format_called(name: str) -> Format:
    """Look up a format.

    Raises:
        UsageError: there is none of this name, or it is a plugin that is broken.
    """
    base, dot, rest = name.partition(".")
    if f".{base}" in CONTAINERS:
        base, rest, dot = "alpaca", name, "."
    ending = f".{rest}" if dot else ""
    known = base in SHAPES or base in TRAINERS
    if known and (not ending or "".join(ending_of(Path(f"x{ending}"))) == ending):
        trainer = TRAINERS.get(base)
        if trainer and ending.startswith(TABLES):
            raise UsageError(f"{name}: {base} reads nested columns, which {ending} cannot hold")
        return Format(name, SHAPES.get(base, alpaca), trainer, ending)
    write = plugin("writers", name)
    if write is None:
        raise UsageError(f"there is no format {name}: they are {', '.join(format_names())}")
    return Format(name, write=write)


def format_names() -> list[str]:
    """The names of all formats; of a shape with a container only the parts."""
    containers = [ending[1:] for ending in CONTAINERS]
    return [*SHAPES, *containers, *TRAINERS, *declared("writers")]
