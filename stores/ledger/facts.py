"""Facts about the run as a whole, kept as JSON values by their names."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ...records.facts import FactChanges, RunFacts
from .database import Database, to_json

if TYPE_CHECKING:
    from typing_extensions import Unpack

_NAMES = tuple(field.name for field in fields(RunFacts))


class Facts:
    """The facts of a run."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def read(self) -> RunFacts:
        """Everything that is recorded; what is not has its default."""
        found: dict[str, Any] = {
            name: json.loads(value)
            for name, value in self._db.query("SELECT name, value FROM meta")
            if name in _NAMES and value != "null"
        }
        return RunFacts(**found)

    def update(self, **changes: Unpack[FactChanges]) -> None:
        """Record these facts, all or nothing; None forgets one."""
        with self._db.transaction() as db:
            for name, value in changes.items():
                if value is None:
                    db.execute("DELETE FROM meta WHERE name = ?", (name,))
                else:
                    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, to_json(value)))
