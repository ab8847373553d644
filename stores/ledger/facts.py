"""Facts about the run as a whole, each under a name."""

from __future__ import annotations

import json
from typing import Any

from .database import Database, to_json


class Facts:
    """JSON values by name."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def set(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, to_json(value)))

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value kept under a name."""
        found = self._db.query("SELECT value FROM meta WHERE name = ?", (name,))
        return json.loads(found[0][0]) if found else default

    def delete(self, name: str) -> None:
        """Remove the value kept under a name."""
        self._db.execute("DELETE FROM meta WHERE name = ?", (name,))
