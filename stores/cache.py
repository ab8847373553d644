"""The call cache: answers of all runs of this user, so that none is paid for twice.

It holds the hash of a request and what was answered, never the request, a key or a header; and
what was learned of how each model takes requests.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import cache_folder
from ..errors import RunFolderError
from ..records import Call

FILE = "calls.sqlite"

logger = logging.getLogger(__name__)

_PACE_LEAST, _PACE_MOST = 20, 1000  # calls over which a model's pace is taken

_TABLE = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, response TEXT NOT NULL,
    finish_reason TEXT NOT NULL, input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, cost REAL, seconds REAL NOT NULL, kept REAL NOT NULL)
WITHOUT ROWID
"""
_ADDED = {  # columns that files of an earlier version lack
    "reasoning_tokens": "INTEGER NOT NULL DEFAULT 0",
    "cached_tokens": "INTEGER NOT NULL DEFAULT 0",
    "way": "TEXT NOT NULL DEFAULT ''",
}
_FIELDS = (  # of a call
    *("model", "response", "finish_reason", "input_tokens", "output_tokens", "cost", "seconds"),
    *_ADDED,
)
_LEARNED = """
CREATE TABLE IF NOT EXISTS learned (
    model TEXT PRIMARY KEY, facts TEXT NOT NULL, kept REAL NOT NULL) WITHOUT ROWID
"""
_FORGET = 30 * 24 * 3600.0  # seconds after which a server may have changed


@dataclass(frozen=True, slots=True)
class CachedModel:
    """What the cache holds of a model; `usd` is what its answers cost when they were paid."""

    model: str
    calls: int
    tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Pace:
    """Mean seconds of a model's calls, over so many."""

    calls: int
    seconds: float


def cache_path() -> Path:
    """Where the cache is."""
    return cache_folder() / FILE


class SharedCache:
    """Answered calls by key, in one SQLite file that several processes may use at once.

    A cache that cannot be read or written is done without: that is logged once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            _prepare(self._db)
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def get(self, key: str) -> Call | None:
        """The call with this key, with what its answer was; agent and request are not kept."""
        if self._db is None:
            return None
        sql = f"SELECT {', '.join(_FIELDS)} FROM calls WHERE key = ?"
        try:
            found = self._db.execute(sql, (key,)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        if found is None:
            return None
        kept = dict(zip(_FIELDS, found, strict=True))
        return Call(key=key, agent="", prompt="", subject="", round=0, request={}, **kept)

    def put(self, call: Call) -> None:
        """Keep an answered call."""
        if self._db is None:
            return
        values = (call.key, time.time(), *(getattr(call, name) for name in _FIELDS))
        sql = (
            f"INSERT OR REPLACE INTO calls (key, kept, {', '.join(_FIELDS)})"
            f" VALUES ({', '.join('?' * len(values))})"
        )
        try:
            self._db.execute(sql, values)
        except sqlite3.Error as error:
            self._give_up(error)

    def recall(self, name: str) -> Mapping[str, Any]:
        """What was learned of a model, {} if nothing was, or too long ago."""
        if self._db is None:
            return {}
        sql = "SELECT facts FROM learned WHERE model = ? AND kept > ?"
        try:
            found = self._db.execute(sql, (name, time.time() - _FORGET)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return {}
        facts: dict[str, Any] = json.loads(found[0]) if found else {}
        return facts

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        """Keep what was learned of a model."""
        if self._db is None:
            return
        values = (name, json.dumps(facts), time.time())
        try:
            self._db.execute("INSERT OR REPLACE INTO learned VALUES (?, ?, ?)", values)
        except sqlite3.Error as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._db = None
        logger.warning("cannot use the call cache %s (%s): continuing without it", self.path, error)

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None


def _prepare(db: sqlite3.Connection) -> None:
    """Make the tables, and the columns that a file of an earlier version lacks."""
    db.execute(_TABLE)
    db.execute(_LEARNED)
    if _lacking(db):
        db.execute("BEGIN IMMEDIATE")  # another process may be adding them
        for name in _lacking(db):
            db.execute(f"ALTER TABLE calls ADD COLUMN {name} {_ADDED[name]}")
        db.execute("COMMIT")


def _lacking(db: sqlite3.Connection) -> list[str]:
    there = {name for _, name, *_ in db.execute("PRAGMA table_info(calls)")}
    return [name for name in _ADDED if name not in there]


def cached_models(path: Path) -> list[CachedModel]:
    """What the cache holds, by model.

    Raises:
        RunFolderError: the file cannot be read.
    """
    if not path.is_file():
        return []
    sql = (
        "SELECT model, COUNT(*), SUM(input_tokens + output_tokens),"
        " CASE WHEN COUNT(*) = COUNT(cost) THEN SUM(cost) END FROM calls GROUP BY 1 ORDER BY 2 DESC"
    )
    try:
        with contextlib.closing(sqlite3.connect(path)) as db:
            return [CachedModel(*found) for found in db.execute(sql)]
    except sqlite3.Error as error:
        raise RunFolderError(f"cannot read the call cache {path}: {error}") from None


def pace_of(model: str) -> Pace | None:
    """How long a model's calls took, if the cache knows enough of them."""
    path = cache_path()
    if not os.access(path, os.R_OK):
        return None
    sql = (
        "SELECT COUNT(*), AVG(seconds) FROM"
        " (SELECT seconds FROM calls WHERE model = ? AND seconds > 0 LIMIT ?)"
    )
    try:
        with contextlib.closing(sqlite3.connect(path)) as db:
            calls, seconds = db.execute(sql, (model, _PACE_MOST)).fetchone()
    except sqlite3.Error:
        return None
    return Pace(calls, seconds) if calls >= _PACE_LEAST else None


def clear_cache(path: Path) -> int:
    """Delete all answers; return how many there were.

    Raises:
        RunFolderError: the file cannot be written.
    """
    calls = sum(model.calls for model in cached_models(path))
    if not path.is_file():
        return 0
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            _prepare(db)
            db.execute("DELETE FROM calls")  # not the tables: a run may be using them
            db.execute("DELETE FROM learned")
            db.execute("VACUUM")
    except sqlite3.Error as error:
        raise RunFolderError(f"cannot clear the call cache {path}: {error}") from None
    return calls
