"""The SQLite file under a ledger: opened, brought up to date, written in transactions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import RunFolderError
from .schema import MIGRATIONS


class Database:
    """One SQLite file with a write-ahead log."""

    def __init__(self, path: Path, *, sync: str = "normal") -> None:
        """Open the file at `path`, creating it if it is not there.

        What is committed survives the end of the process (sync = normal), or a power cut too
        (sync = full).

        Raises:
            RunFolderError: the file cannot be opened, or is of a newer lift-agent.
        """
        self.path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=60)
            self.execute("PRAGMA journal_mode = WAL")
            self.execute(f"PRAGMA synchronous = {sync}")
            self._migrate()
        except sqlite3.Error as error:
            raise RunFolderError(f"cannot open the ledger {path}: {error}") from None

    def _migrate(self) -> None:
        version: int = self.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise RunFolderError(
                f"{self.path} was written by a newer lift-agent (ledger version {version}, "
                f"this one knows {len(MIGRATIONS)}): upgrade lift-agent to open it"
            )
        for number in range(version, len(MIGRATIONS)):
            with self.transaction() as db:
                if db.execute("PRAGMA user_version").fetchone()[0] > number:
                    continue  # another process was first
                MIGRATIONS[number](db)
                db.execute(f"PRAGMA user_version = {number + 1}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written within it is kept, or nothing."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Carry out one statement, which commits by itself outside of a transaction."""
        return self._connection.execute(sql, values)

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a query brings."""
        return self.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def to_json(value: Any) -> str:
    """A value as the columns that hold JSON keep it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def contains(column: str) -> str:
    """The condition that a column holds a text, whatever its case: not LIKE, which ends at a null
    byte.
    """
    return f"instr(lower({column}), lower(?))"
