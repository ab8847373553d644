"""How a row lies in its table."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from ...records import (
    Row,
)
from .. import exact_json
from .database import to_json

COLUMNS = (
    "id, position, instruction, input, output, system, history, origin, source, line, extra,"
    " round, strategy, parents, subspace"
)


def insert_rows(db: sqlite3.Connection, rows: Iterable[Row]) -> int:
    """Add the rows that are not there yet; return how many those are."""
    added = db.executemany(
        f"INSERT OR IGNORE INTO rows ({COLUMNS}, status) VALUES ({'?,' * 15}'new')",
        (
            (
                *(r.id, r.position, r.instruction, r.input, r.output, r.system),
                to_json(r.history),
                *(r.origin, r.source, r.line),
                exact_json.dumps(r.extra, compact=True),
                *(r.round, r.strategy, to_json(r.parents), r.subspace),
            )
            for r in rows
        ),
    )
    return added.rowcount


def row_of(found: tuple[Any, ...]) -> Row:
    """A row as its columns hold it."""
    values = dict(zip(COLUMNS.split(", "), found, strict=True))
    values["history"] = tuple((ask, answer) for ask, answer in json.loads(values["history"]))
    values["parents"] = tuple(json.loads(values["parents"]))
    values["extra"] = exact_json.loads(values["extra"])
    return Row(**values)
