"""The rows of a run with their status, and where they lie on the map."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Literal

from ...records import (
    Origin,
    Point,
    Reason,
    Row,
    RowOutcome,
    Status,
    Why,
    row_id,
)
from .database import Database, to_json
from .row_columns import COLUMNS, insert_rows, row_of

_FATE = ", ".join(field.name for field in fields(RowOutcome))


class Rows:
    """All rows, seeds and generated ones."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add_seeds(self, rows: Iterable[Row]) -> None:
        """Add rows as they are read, in order: a copy of an earlier one gets an id of its own."""
        with self._db.transaction() as db:
            db.execute(
                "CREATE TEMP TABLE IF NOT EXISTS copies (id TEXT PRIMARY KEY, n INTEGER NOT NULL)"
            )
            for row in rows:
                if not insert_rows(db, [row]):
                    insert_rows(db, [_copy(db, row)])

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows with status new; those already there stay as they are."""
        with self._db.transaction() as db:
            insert_rows(db, rows)

    def find(
        self,
        *statuses: Status,
        origin: str = "",
        round: int | None = None,
        reason: Reason | Literal[""] = "",
    ) -> list[Row]:
        """Rows in the order of arrival, optionally only some statuses, an origin, a round, a
        reason for their status.
        """
        where, values = ["1"], list[Any]()
        if statuses:
            where.append(f"status IN ({','.join('?' * len(statuses))})")
            values.extend(statuses)
        for column, value in (
            ("origin", origin or None),
            ("round", round),
            ("reason", reason or None),
        ):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        sql = f"SELECT {COLUMNS} FROM rows WHERE {' AND '.join(where)} ORDER BY position"
        return [row_of(found) for found in self._db.query(sql, values)]

    def by_id(self, ids: Iterable[str]) -> dict[str, Row]:
        """The rows with these ids."""
        wanted = to_json(list(ids))
        sql = f"SELECT {COLUMNS} FROM rows WHERE id IN (SELECT value FROM json_each(?))"
        return {found[0]: row_of(found) for found in self._db.query(sql, (wanted,))}

    def ids(self) -> list[str]:
        """The ids of all rows."""
        return [id for (id,) in self._db.query("SELECT id FROM rows")]

    def ids_by_round(self, last: int) -> dict[int, list[str]]:
        """The ids of the rows of each round up to `last`."""
        found: dict[int, list[str]] = {}
        for round, id in self._db.query("SELECT round, id FROM rows WHERE round <= ?", (last,)):
            found.setdefault(round, []).append(id)
        return found

    def status(self, row: str) -> tuple[Status, Why]:
        """Status of a row and the reason for it."""
        ((status, *why),) = self._db.query(
            "SELECT status, reason, detail FROM rows WHERE id = ?", (row,)
        )
        return status, Why(*why)

    def set_statuses(self, statuses: Iterable[tuple[str, Status, str]]) -> None:
        """Set the status of rows: id, status, reason."""
        with self._db.transaction() as db:
            db.executemany(
                "UPDATE rows SET status = ?, reason = ?, detail = '' WHERE id = ?",
                ((status, reason, row) for row, status, reason in statuses),
            )

    def set_landing(self, landings: Mapping[str, tuple[bool, float]]) -> None:
        """Keep whether each row landed in its subspace, and its distance from the centre."""
        with self._db.transaction() as db:
            db.executemany(
                "UPDATE rows SET landed = ?, distance = ? WHERE id = ?",
                ((landed, distance, row) for row, (landed, distance) in landings.items()),
            )

    def landing(self, row: str) -> tuple[bool, float] | None:
        """Whether a row landed in its subspace and at what distance; None if it had none."""
        found = self._db.query("SELECT landed, distance FROM rows WHERE id = ?", (row,))
        landed, distance = found[0]
        return None if landed is None else (bool(landed), float(distance))

    def counts(self) -> dict[tuple[Origin, Status, Why], int]:
        """Number of rows by origin, status and reason."""
        sql = "SELECT origin, status, reason, detail, COUNT(*) FROM rows GROUP BY 1, 2, 3, 4"
        return {(origin, status, Why(*why)): n for origin, status, *why, n in self._db.query(sql)}

    def outcomes(self) -> dict[str, RowOutcome]:
        """What became of every row, by its id, in the order of arrival."""
        sql = f"SELECT {_FATE} FROM rows ORDER BY position"
        return {found[0]: RowOutcome(*found) for found in self._db.query(sql)}

    def next_position(self) -> int:
        """The first position that no row or task has taken."""
        sql = (
            "SELECT MAX(COALESCE((SELECT MAX(position) FROM rows), -1),"
            " COALESCE((SELECT MAX(position) FROM tasks), -1)) + 1"
        )
        return int(self._db.query(sql)[0][0])

    def set_map(
        self, rows: Mapping[str, Point], subspaces: Mapping[tuple[int, str], Point]
    ) -> None:
        """Keep where rows, by id, and subspaces, by round and id, lie on the map."""
        with self._db.transaction() as db:
            db.executemany(
                "UPDATE rows SET x = ?, y = ? WHERE id = ?",
                ((x, y, row) for row, (x, y) in rows.items()),
            )
            db.executemany(
                "UPDATE subspaces SET x = ?, y = ? WHERE round = ? AND id = ?",
                ((x, y, round, id) for (round, id), (x, y) in subspaces.items()),
            )

    def mapped_subspaces(self) -> dict[tuple[int, str], Point]:
        """Where the subspaces that are on the map lie, by round and id."""
        found = self._db.query("SELECT round, id, x, y FROM subspaces WHERE x IS NOT NULL")
        return {(round, id): (x, y) for round, id, x, y in found}


def _copy(db: sqlite3.Connection, row: Row) -> Row:
    """The next copy of a row that the ledger has."""
    db.execute(
        "INSERT INTO copies VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1", (row.id,)
    )
    (n,) = db.execute("SELECT n FROM copies WHERE id = ?", (row.id,)).fetchone()
    texts = (row.instruction, row.input, row.output)
    return replace(row, id=row_id(*texts, row.system, row.history, n))
