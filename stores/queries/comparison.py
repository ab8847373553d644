"""Two runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..ledger import Ledger
from .summary import Summary, summarise


@dataclass(frozen=True, slots=True)
class Common:
    """How many rows two runs share: of all rows, of the accepted ones, of the datasets."""

    rows: int
    accepted: int
    dataset: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The settings that differ (a pair by name), the two summaries, and the rows in common."""

    settings: Mapping[str, tuple[Any, Any]]
    one: Summary
    other: Summary
    common: Common


def compare(one: Ledger, other: Ledger) -> Comparison:
    """Compare two runs by their ledgers."""
    before, after = one.facts.read().settings or {}, other.facts.read().settings or {}
    names = [*before, *(name for name in after if name not in before)]
    differing = {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }
    conditions = ("1", "status = 'accepted'", "rank IS NOT NULL")
    shared = (len(_ids(one, where) & _ids(other, where)) for where in conditions)
    return Comparison(differing, summarise(one), summarise(other), Common(*shared))


def _ids(ledger: Ledger, where: str) -> set[str]:
    return {id for (id,) in ledger.read(f"SELECT id FROM rows WHERE {where}")}
