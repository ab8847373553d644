"""The ledger: one SQLite file that is the single source of truth of a run.

Every write is an idempotent upsert in one transaction, so that a stage that is run again after
a crash changes nothing that is already there. A stage is done when its rows say so here.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RunFolderError
from ..records import (
    Attempt,
    Batch,
    BatchItem,
    BenchmarkItem,
    Call,
    Check,
    Duel,
    Fate,
    Point,
    Reference,
    ReferenceKind,
    Rejected,
    Row,
    Score,
    Spending,
    Status,
    Subspace,
    Tally,
    Task,
    TrackRecord,
    Verdict,
    row_id,
)
from ..redaction import redacted, without_own_keys
from . import exact_json

LEDGER = "ledger.sqlite"
NO_BETTER = "no better than the response it was to replace"  # why such an answer stays out
REPLACED = "replaced by a better response"  # why a row left the pool that an answer improved
NOT_JUDGED = "left out before the judge, by cheap signals"  # why a row was not worth its price


_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE sources (
    path TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, rows INTEGER NOT NULL,
    rejected INTEGER NOT NULL);
CREATE TABLE source_rejects (
    position INTEGER PRIMARY KEY, source TEXT NOT NULL, line INTEGER NOT NULL,
    reason TEXT NOT NULL, excerpt TEXT NOT NULL);
CREATE TABLE rows (
    id TEXT PRIMARY KEY, position INTEGER NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', origin TEXT NOT NULL, source TEXT NOT NULL,
    line INTEGER NOT NULL, instruction TEXT NOT NULL, input TEXT NOT NULL,
    output TEXT NOT NULL, system TEXT NOT NULL, history TEXT NOT NULL, extra TEXT NOT NULL,
    round INTEGER NOT NULL, strategy TEXT NOT NULL, parents TEXT NOT NULL,
    subspace TEXT NOT NULL, landed INTEGER, distance REAL, rank INTEGER);
CREATE INDEX rows_status ON rows (status, position);
CREATE TABLE subspaces (
    id TEXT NOT NULL, round INTEGER NOT NULL, name TEXT NOT NULL, brief TEXT NOT NULL,
    centre BLOB NOT NULL, radius REAL NOT NULL, sparsity REAL NOT NULL,
    members TEXT NOT NULL, nearby TEXT NOT NULL, quota INTEGER NOT NULL,
    PRIMARY KEY (round, id));
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, position INTEGER NOT NULL, round INTEGER NOT NULL,
    strategy TEXT NOT NULL, parents TEXT NOT NULL, subspace TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
    written TEXT NOT NULL DEFAULT '', row TEXT NOT NULL DEFAULT '');
CREATE INDEX tasks_round ON tasks (round, position);
CREATE INDEX tasks_row ON tasks (row);
CREATE TABLE verdicts (
    row TEXT PRIMARY KEY, duplicate INTEGER NOT NULL, layer TEXT NOT NULL,
    other TEXT NOT NULL, cosine REAL NOT NULL, reason TEXT NOT NULL);
CREATE TABLE scores (
    row TEXT PRIMARY KEY, judge REAL NOT NULL, length REAL NOT NULL, final REAL NOT NULL,
    parts TEXT NOT NULL, reason TEXT NOT NULL, failed TEXT NOT NULL);
CREATE TABLE calls (
    key TEXT PRIMARY KEY, agent TEXT NOT NULL, prompt TEXT NOT NULL, subject TEXT NOT NULL,
    round INTEGER NOT NULL, model TEXT NOT NULL, request TEXT NOT NULL,
    response TEXT NOT NULL, finish_reason TEXT NOT NULL, error TEXT NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cost REAL,
    seconds REAL NOT NULL, attempts INTEGER NOT NULL, started REAL NOT NULL);
CREATE INDEX calls_subject ON calls (subject);
CREATE INDEX calls_agent ON calls (agent, started);
CREATE TABLE rounds (
    round INTEGER PRIMARY KEY, planned INTEGER NOT NULL DEFAULT 0,
    written INTEGER NOT NULL DEFAULT 0, landed INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0, pool INTEGER NOT NULL DEFAULT 0)
"""


def _create(db: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        db.execute(statement)


def _keep_attempts(db: sqlite3.Connection) -> None:
    """Keep each request by itself, and whether a call was answered from the call cache."""
    db.execute("ALTER TABLE calls ADD COLUMN reused INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "CREATE TABLE attempts (id INTEGER PRIMARY KEY, key TEXT NOT NULL, started REAL NOT NULL,"
        " seconds REAL, outcome TEXT NOT NULL, calls INTEGER NOT NULL, tokens INTEGER NOT NULL,"
        " usd REAL NOT NULL)"
    )
    db.execute("CREATE INDEX attempts_key ON attempts (key)")
    # Of earlier calls only the number of attempts is known: they are one record.
    db.execute(
        "INSERT INTO attempts (key, started, seconds, outcome, calls, tokens, usd)"
        " SELECT key, started, seconds, CASE error WHEN '' THEN 'answered' ELSE error END,"
        " attempts, input_tokens + output_tokens, COALESCE(cost, 0) FROM calls"
    )


def _keep_judgements(db: sqlite3.Connection) -> None:
    """Keep each judgement of a row that has several, and the pairs that the judge compared."""
    db.execute("ALTER TABLE scores ADD COLUMN judgements TEXT NOT NULL DEFAULT '[]'")
    db.execute("ALTER TABLE scores ADD COLUMN concatenation INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "CREATE TABLE duels (position INTEGER PRIMARY KEY, first TEXT NOT NULL,"
        " second TEXT NOT NULL, forward TEXT NOT NULL, backward TEXT NOT NULL,"
        " reason TEXT NOT NULL, failed TEXT NOT NULL)"
    )


def _keep_references(db: sqlite3.Connection) -> None:
    """Keep the prompts that show what is wanted, and what was measured of subspaces by them."""
    db.execute(
        "CREATE TABLE reference (id TEXT PRIMARY KEY, position INTEGER NOT NULL,"
        " kind TEXT NOT NULL, instruction TEXT NOT NULL, input TEXT NOT NULL,"
        " source TEXT NOT NULL, line INTEGER NOT NULL, round INTEGER NOT NULL,"
        " theme TEXT NOT NULL, fault TEXT NOT NULL)"
    )
    db.execute("ALTER TABLE subspaces RENAME COLUMN sparsity TO gap")
    for column, kind in (
        ("wanted", "TEXT NOT NULL DEFAULT '[]'"),
        ("density", "REAL NOT NULL DEFAULT 0"),
        ("wanted_density", "REAL NOT NULL DEFAULT 0"),
        ("given_up", "TEXT NOT NULL DEFAULT ''"),
    ):
        db.execute(f"ALTER TABLE subspaces ADD COLUMN {column} {kind}")


def _keep_rules(db: sqlite3.Connection) -> None:
    """Keep by which rule a task was planned, and how many of a round's rows fill its quotas."""
    db.execute("ALTER TABLE tasks ADD COLUMN rule TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE rounds ADD COLUMN filled INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "UPDATE rounds SET filled = (SELECT COUNT(*) FROM rows WHERE rows.round = rounds.round"
        " AND landed AND status = 'accepted')"
    )


def _keep_map(db: sqlite3.Connection) -> None:
    """Keep where each row and subspace lies on the map of the embedding space."""
    for table in ("rows", "subspaces"):
        for axis in ("x", "y"):
            db.execute(f"ALTER TABLE {table} ADD COLUMN {axis} REAL")


def _keep_margins(db: sqlite3.Connection) -> None:
    """Keep by how much a row was in the dataset or out, and how close rows came to each subspace
    before a round and after it; let calls be listed without reading what was asked and answered.
    """
    db.execute("ALTER TABLE rows ADD COLUMN margin REAL")
    db.execute(
        "CREATE TABLE closeness (round INTEGER NOT NULL, subspace TEXT NOT NULL,"
        " before REAL NOT NULL, after REAL NOT NULL, PRIMARY KEY (round, subspace))"
    )
    db.execute(
        "CREATE INDEX calls_listed ON calls (round, agent, subject, started, key, prompt,"
        " finish_reason, error, input_tokens, output_tokens, cost, seconds, attempts, reused)"
    )
    db.execute("CREATE INDEX rows_place ON rows (round, subspace)")


def _keep_columns(db: sqlite3.Connection) -> None:
    """Keep at which character of its line an unusable record is wrong."""
    db.execute('ALTER TABLE source_rejects ADD COLUMN "column" INTEGER NOT NULL DEFAULT 1')


def _keep_panels(db: sqlite3.Connection) -> None:
    """Keep what each judge of a panel said of a row."""
    db.execute("ALTER TABLE scores ADD COLUMN panel TEXT NOT NULL DEFAULT '{}'")


def _keep_checks(db: sqlite3.Connection) -> None:
    """Keep what the screen found of each row, and the benchmarks that no row may leak."""
    db.execute(
        "CREATE TABLE checks (row TEXT PRIMARY KEY, language TEXT NOT NULL, parts TEXT NOT NULL,"
        " personal TEXT NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL)"
    )
    db.execute(
        "CREATE TABLE benchmarks (position INTEGER PRIMARY KEY, source TEXT NOT NULL,"
        " line INTEGER NOT NULL, prompt TEXT NOT NULL, answer TEXT NOT NULL)"
    )


def _keep_batches(db: sqlite3.Connection) -> None:
    """Keep what calls thought, what came from a cache, how they asked, and open batches."""
    for column, kind in (
        ("reasoning_tokens", "INTEGER NOT NULL DEFAULT 0"),
        ("cached_tokens", "INTEGER NOT NULL DEFAULT 0"),
        ("way", "TEXT NOT NULL DEFAULT ''"),
    ):
        db.execute(f"ALTER TABLE calls ADD COLUMN {column} {kind}")
    db.execute(
        "CREATE TABLE batches (intent TEXT PRIMARY KEY, id TEXT NOT NULL, model TEXT NOT NULL,"
        " calls INTEGER NOT NULL, state TEXT NOT NULL, created REAL NOT NULL, ended REAL)"
    )
    db.execute(
        "CREATE TABLE batch_items (intent TEXT NOT NULL, key TEXT NOT NULL,"
        " attempt INTEGER NOT NULL, room INTEGER NOT NULL, call TEXT NOT NULL,"
        " PRIMARY KEY (intent, key)) WITHOUT ROWID"
    )


# Numbered steps: step i brings a ledger from version i to i + 1. Add steps, never edit one.
MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _create,
    _keep_attempts,
    _keep_judgements,
    _keep_references,
    _keep_rules,
    _keep_map,
    _keep_margins,
    _keep_columns,
    _keep_panels,
    _keep_checks,
    _keep_batches,
)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def contains(column: str) -> str:
    """The condition that a column holds a text, whatever its case: not LIKE, which ends at a null
    byte.
    """
    return f"instr(lower({column}), lower(?))"


class Ledger:
    """The records of one run, in SQLite with a write-ahead log."""

    def __init__(self, path: Path, *, sync: str = "normal") -> None:
        """Open the ledger at `path`, creating it if it is not there.

        What is committed survives the end of the process (sync = normal), or a power cut too
        (sync = full).

        Raises:
            RunFolderError: the file cannot be opened, or is of a newer lift-agent.
        """
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=60)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {sync}")
            self._migrate()
        except sqlite3.Error as error:
            raise RunFolderError(f"cannot open the ledger {path}: {error}") from None

    def _migrate(self) -> None:
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise RunFolderError(
                f"{self.path} was written by a newer lift-agent (ledger version {version}, "
                f"this one knows {len(MIGRATIONS)}): upgrade lift-agent to open it"
            )
        for number in range(version, len(MIGRATIONS)):
            with self._transaction() as db:
                if db.execute("PRAGMA user_version").fetchone()[0] > number:
                    continue  # another process was first
                MIGRATIONS[number](db)
                db.execute(f"PRAGMA user_version = {number + 1}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def read(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """What a query brings, one by one: for the modules beside this one that only read."""
        return self._db.execute(sql, values)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # meta ---------------------------------------------------------------------------------

    def note(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, _json(value)))

    def noted(self, name: str, default: Any = None) -> Any:
        """Return the value kept under a name."""
        found = self._query("SELECT value FROM meta WHERE name = ?", (name,))
        return json.loads(found[0][0]) if found else default

    def forget(self, name: str) -> None:
        """Remove the value kept under a name."""
        self._db.execute("DELETE FROM meta WHERE name = ?", (name,))

    # rows ---------------------------------------------------------------------------------

    def copy_sources(self, other: Ledger) -> None:
        """Take over what another run read from its sources."""
        self.add_rows(other.rows(origin="seed"))
        self.add_rejects(enumerate(other.rejects()))
        self.add_references(other.references("toward"))
        self.add_benchmarks(enumerate(other.benchmarks()))
        self.add_sources(other.sources())

    def clear_rows(self) -> None:
        """Forget what was read from sources that were not read to their end."""
        with self._transaction() as db:
            db.execute("DELETE FROM rows")
            db.execute("DELETE FROM source_rejects")
            db.execute("DELETE FROM reference")
            db.execute("DROP TABLE IF EXISTS temp.copies")
            db.execute("DELETE FROM benchmarks")

    def add_sources(self, sources: Iterable[tuple[str, str, int, int]]) -> None:
        """Record that all sources were read: path, fingerprint, rows, unusable records."""
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)", sources)

    def sources(self) -> list[tuple[str, str, int, int]]:
        """Path, fingerprint, rows and unusable records of each source that was read."""
        found = self._query("SELECT path, fingerprint, rows, rejected FROM sources ORDER BY rowid")
        return [(str(p), str(f), int(n), int(r)) for p, f, n, r in found]

    def add_rejects(self, rejects: Iterable[tuple[int, Rejected]]) -> None:
        """Keep the records of source files that cannot be used, by their position."""
        with self._transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO source_rejects VALUES (?, ?, ?, ?, ?, ?)",
                ((i, *astuple(reject)) for i, reject in rejects),
            )

    def rejects(self) -> list[Rejected]:
        """The records of source files that could not be used, in their order."""
        sql = f"SELECT {_REJECTED} FROM source_rejects ORDER BY position"
        return [Rejected(*values) for values in self._query(sql)]

    def add_seeds(self, rows: Iterable[Row]) -> None:
        """Add rows as they are read, in order: a copy of an earlier one gets an id of its own."""
        with self._transaction() as db:
            db.execute(
                "CREATE TEMP TABLE IF NOT EXISTS copies (id TEXT PRIMARY KEY, n INTEGER NOT NULL)"
            )
            for row in rows:
                if not _insert_rows(db, [row]):
                    _insert_rows(db, [_copy(db, row)])

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Add rows with status new; those already there stay as they are."""
        with self._transaction() as db:
            _insert_rows(db, rows)

    def rows(
        self, *statuses: Status, origin: str = "", round: int | None = None, reason: str = ""
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
        sql = f"SELECT {_ROW} FROM rows WHERE {' AND '.join(where)} ORDER BY position"
        return [_row(found) for found in self._query(sql, values)]

    def rows_by_id(self, ids: Iterable[str]) -> dict[str, Row]:
        """The rows with these ids."""
        wanted = _json(list(ids))
        sql = f"SELECT {_ROW} FROM rows WHERE id IN (SELECT value FROM json_each(?))"
        return {found[0]: _row(found) for found in self._query(sql, (wanted,))}

    def ids(self) -> list[str]:
        """The ids of all rows."""
        return [id for (id,) in self._query("SELECT id FROM rows")]

    def ids_by_round(self, last: int) -> dict[int, list[str]]:
        """The ids of the rows of each round up to `last`."""
        found: dict[int, list[str]] = {}
        for round, id in self._query("SELECT round, id FROM rows WHERE round <= ?", (last,)):
            found.setdefault(round, []).append(id)
        return found

    def status(self, row: str) -> tuple[Status, str]:
        """Status of a row and the reason for it."""
        found = self._query("SELECT status, reason FROM rows WHERE id = ?", (row,))
        return found[0][0], found[0][1]

    def set_statuses(self, statuses: Iterable[tuple[str, Status, str]]) -> None:
        """Set the status of rows: id, status, reason."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE rows SET status = ?, reason = ? WHERE id = ?",
                ((status, reason, row) for row, status, reason in statuses),
            )

    def set_landing(self, landings: Mapping[str, tuple[bool, float]]) -> None:
        """Keep whether each row landed in its subspace, and its distance from the centre."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE rows SET landed = ?, distance = ? WHERE id = ?",
                ((landed, distance, row) for row, (landed, distance) in landings.items()),
            )

    def landing(self, row: str) -> tuple[bool, float] | None:
        """Whether a row landed in its subspace and at what distance; None if it had none."""
        found = self._query("SELECT landed, distance FROM rows WHERE id = ?", (row,))
        landed, distance = found[0]
        return None if landed is None else (bool(landed), float(distance))

    def select(self, rows: Sequence[str], margins: Mapping[str, float]) -> None:
        """Make these rows, in this order, the dataset; keep by how much rows were in or out."""
        with self._transaction() as db:
            db.execute(
                "UPDATE rows SET rank = NULL, margin = NULL"
                " WHERE rank IS NOT NULL OR margin IS NOT NULL"
            )
            db.executemany(
                "UPDATE rows SET margin = ? WHERE id = ?",
                ((margin, row) for row, margin in margins.items()),
            )
            db.executemany(
                "UPDATE rows SET rank = ? WHERE id = ?",
                ((rank, row) for rank, row in enumerate(rows, 1)),
            )

    def selected(self) -> list[Row]:
        """The rows of the dataset, in the order of arrival."""
        sql = f"SELECT {_ROW} FROM rows WHERE rank IS NOT NULL ORDER BY position"
        return [_row(found) for found in self._query(sql)]

    def chosen(self) -> Iterator[tuple[Row, Score]]:
        """The rows of the dataset with their scores, in the order of arrival, one at a time."""
        score = ", ".join(f"scores.{name}" for name in _SCORE.split(", "))
        row = ", ".join(f"rows.{name}" for name in _ROW.split(", "))
        sql = (
            f"SELECT {score}, {row} FROM rows JOIN scores ON scores.row = rows.id"
            " WHERE rank IS NOT NULL ORDER BY position"
        )
        width = len(fields(Score))
        for found in self._db.execute(sql):
            yield _row(found[width:]), _score(found[:width])

    def chosen_ids(self) -> list[str]:
        """The ids of the rows of the dataset, in the order of arrival."""
        sql = "SELECT id FROM rows WHERE rank IS NOT NULL ORDER BY position"
        return [id for (id,) in self._query(sql)]

    def chosen_counts(self) -> dict[str, int]:
        """Number of rows of the dataset by origin."""
        sql = "SELECT origin, COUNT(*) FROM rows WHERE rank IS NOT NULL GROUP BY 1"
        return dict(self._query(sql))

    def rank(self, row: str) -> int | None:
        """The place at which the selector chose a row, None if it did not."""
        rank: int | None = self._query("SELECT rank FROM rows WHERE id = ?", (row,))[0][0]
        return rank

    def margin(self, row: str) -> float | None:
        """By how much the selector chose a row, or, below 0, did not; None if it is not known."""
        margin: float | None = self._query("SELECT margin FROM rows WHERE id = ?", (row,))[0][0]
        return margin

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Number of rows by origin, status and reason."""
        sql = "SELECT origin, status, reason, COUNT(*) FROM rows GROUP BY 1, 2, 3"
        return {(origin, status, why): n for origin, status, why, n in self._query(sql)}

    def fates(self) -> dict[str, Fate]:
        """What became of every row, by its id, in the order of arrival."""
        sql = f"SELECT {_FATE} FROM rows ORDER BY position"
        return {found[0]: Fate(*found) for found in self._query(sql)}

    # the map ------------------------------------------------------------------------------

    def set_map(
        self, rows: Mapping[str, Point], subspaces: Mapping[tuple[int, str], Point]
    ) -> None:
        """Keep where rows, by id, and subspaces, by round and id, lie on the map."""
        with self._transaction() as db:
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
        found = self._query("SELECT round, id, x, y FROM subspaces WHERE x IS NOT NULL")
        return {(round, id): (x, y) for round, id, x, y in found}

    # the reference ------------------------------------------------------------------------

    def add_references(self, references: Iterable[Reference]) -> None:
        """Keep prompts of the reference, all or nothing; those already there stay as they are."""
        with self._transaction() as db:
            db.executemany(
                f"INSERT OR IGNORE INTO reference ({_REFERENCE}) VALUES ({_REFERENCE_PLACES})",
                (astuple(reference) for reference in references),
            )

    def references(self, kind: ReferenceKind) -> list[Reference]:
        """The prompts of the reference of a kind, in order; those with a fault included."""
        sql = f"SELECT {_REFERENCE} FROM reference WHERE kind = ? ORDER BY position"
        return [Reference(*found) for found in self._query(sql, (kind,))]

    # the screen ---------------------------------------------------------------------------

    def add_benchmarks(self, items: Iterable[tuple[int, BenchmarkItem]]) -> None:
        """Keep items of benchmarks that no row may leak, by their position."""
        with self._transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO benchmarks VALUES (?, ?, ?, ?, ?)",
                ((i, *astuple(item)) for i, item in items),
            )

    def benchmarks(self) -> list[BenchmarkItem]:
        """The items of the benchmarks, in order."""
        sql = "SELECT source, line, prompt, answer FROM benchmarks ORDER BY position"
        return [BenchmarkItem(*found) for found in self._query(sql)]

    def add_checks(self, checks: Iterable[Check]) -> None:
        """Keep what the screen found, and reject the new rows for which it has a reason."""
        with self._transaction() as db:
            for c in checks:
                db.execute(
                    "INSERT OR REPLACE INTO checks VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        *(c.row, c.language, _json(dict(c.parts)), _json(dict(c.personal))),
                        *(c.reason, c.evidence),
                    ),
                )
                if c.reason:
                    db.execute(
                        "UPDATE rows SET status = 'rejected', reason = ?"
                        " WHERE id = ? AND status = 'new'",
                        (c.reason, c.row),
                    )

    def checks(self, row: str | None = None) -> dict[str, Check]:
        """What the screen found, by row: of one row or of all."""
        sql = (
            "SELECT row, language, parts, personal, reason, evidence FROM checks"
            " WHERE ?1 IS NULL OR row = ?1"
        )
        return {
            id: Check(id, language, json.loads(parts), json.loads(personal), *why)
            for id, language, parts, personal, *why in self._query(sql, (row,))
        }

    # subspaces and tasks ------------------------------------------------------------------

    def plan_round(self, round: int, subspaces: Iterable[Subspace], tasks: Sequence[Task]) -> None:
        """Record a round's subspaces and its tasks, all or nothing."""
        with self._transaction() as db:
            db.executemany(
                f"INSERT OR IGNORE INTO subspaces ({_SUBSPACE}) VALUES ({_SUBSPACE_PLACES})",
                (
                    (
                        *(s.id, s.round),
                        np.asarray(s.centre, dtype=np.float32).tobytes(),
                        *(s.radius, s.gap, _json(s.members), _json(s.nearby)),
                        *(s.name, s.brief, s.quota, _json(s.wanted)),
                        *(s.density, s.wanted_density, s.given_up),
                    )
                    for s in subspaces
                ),
            )
            db.executemany(
                f"INSERT OR IGNORE INTO tasks ({_TASK}) VALUES (?,?,?,?,?,?,?)",
                (
                    (t.id, t.position, t.round, t.strategy, _json(t.parents), t.subspace, t.rule)
                    for t in tasks
                ),
            )
            db.execute(
                "INSERT OR IGNORE INTO rounds (round, planned) VALUES (?, ?)", (round, len(tasks))
            )

    def subspaces(self, round: int | None = None) -> list[Subspace]:
        """The subspaces of a round (or of all), largest gap first."""
        sql = (
            f"SELECT {_SUBSPACE} FROM subspaces WHERE (?1 IS NULL OR round = ?1)"
            " ORDER BY round, rowid"
        )
        return [_subspace(found) for found in self._query(sql, (round,))]

    def set_closeness(self, round: int, found: Mapping[str, tuple[float, float]]) -> None:
        """Keep how close the pool came to each subspace before a round, and after it."""
        with self._transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO closeness VALUES (?, ?, ?, ?)",
                ((round, subspace, *values) for subspace, values in found.items()),
            )

    def closeness(self) -> dict[tuple[int, str], tuple[float, float]]:
        """How close the pool came to each subspace before its round and after it."""
        found = self._query("SELECT round, subspace, before, after FROM closeness")
        return {(round, id): (before, after) for round, id, before, after in found}

    def tasks(self, round: int, *, pending: bool = False) -> list[Task]:
        """The tasks of a round, optionally those without an outcome only."""
        sql = (
            f"SELECT {_TASK} FROM tasks"
            " WHERE round = ? AND (outcome = '' OR NOT ?) ORDER BY position"
        )
        return [_task(found) for found in self._query(sql, (round, pending))]

    def used_parents(self) -> set[frozenset[str]]:
        """The sets of parents that tasks were planned with so far."""
        found = self._query("SELECT parents FROM tasks")
        return {frozenset(json.loads(parents)) for (parents,) in found}

    def next_position(self) -> int:
        """The first position that no row or task has taken."""
        sql = (
            "SELECT MAX(COALESCE((SELECT MAX(position) FROM rows), -1),"
            " COALESCE((SELECT MAX(position) FROM tasks), -1)) + 1"
        )
        return int(self._query(sql)[0][0])

    def finish_task(
        self, task: str, outcome: str, reason: str, written: str, row: Row | None
    ) -> None:
        """Record what became of a task, with the row that it made, if any, all or nothing."""
        with self._transaction() as db:
            if row:
                _insert_rows(db, [row])
            db.execute(
                "UPDATE tasks SET outcome = ?, reason = ?, written = ?, row = ? WHERE id = ?",
                (outcome, reason, written, row.id if row else "", task),
            )

    def task_outcomes(self, round: int | None = None) -> dict[tuple[str, str], int]:
        """Number of tasks by outcome and reason, of a round or of all."""
        sql = (
            "SELECT outcome, reason, COUNT(*) FROM tasks WHERE outcome != ''"
            " AND (?1 IS NULL OR round = ?1) GROUP BY 1, 2 ORDER BY 3 DESC"
        )
        return {(outcome, why): n for outcome, why, n in self._query(sql, (round,))}

    def subspace_record(self) -> dict[str, TrackRecord]:
        """What came of the tasks of each subspace so far, by its id."""
        sql = (
            "SELECT t.subspace, COUNT(*), COUNT(r.id), COALESCE(SUM(r.landed), 0),"
            " SUM((SELECT COALESCE(SUM(input_tokens + output_tokens), 0) FROM calls"
            "  WHERE subject IN (t.id, NULLIF(t.row, ''))))"
            " FROM tasks t LEFT JOIN rows r ON r.id = t.row AND r.status = 'accepted'"
            " WHERE t.outcome != '' AND t.subspace != '' GROUP BY 1"
        )
        return {subspace: TrackRecord(*counts) for subspace, *counts in self._query(sql)}

    def tallies(self) -> dict[tuple[str, str, str], Tally]:
        """What came of the finished tasks, by subspace, strategy and rule."""
        sql = (
            "SELECT t.subspace, t.strategy, t.rule, COUNT(*), COUNT(r.id),"
            " COALESCE(SUM(r.landed), 0), COALESCE(SUM(r.status = 'accepted'), 0),"
            " COALESCE(SUM(r.landed AND r.status = 'accepted'), 0)"
            " FROM tasks t LEFT JOIN rows r ON r.id = t.row WHERE t.outcome != '' GROUP BY 1, 2, 3"
        )
        return {(where, how, rule): Tally(*n) for where, how, rule, *n in self._query(sql)}

    def task_of(self, row: str) -> Task | None:
        """The task that made a row."""
        for found in self._query(f"SELECT {_TASK} FROM tasks WHERE row = ?", (row,)):
            return _task(found)
        return None

    # verdicts and scores ------------------------------------------------------------------

    def add_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Keep verdicts and set the rows' statuses by them."""
        with self._transaction() as db:
            for v in verdicts:
                db.execute(
                    "INSERT OR REPLACE INTO verdicts VALUES (?,?,?,?,?,?)",
                    (v.row, v.duplicate, v.layer, v.other, v.cosine, v.reason),
                )
                db.execute(
                    "UPDATE rows SET status = ?, reason = ? WHERE id = ? AND status = 'new'",
                    ("duplicate" if v.duplicate else "unique", v.layer * v.duplicate, v.row),
                )

    def verdict(self, row: str) -> Verdict | None:
        """The verdict on a row."""
        for found in self._query("SELECT * FROM verdicts WHERE row = ?", (row,)):
            return Verdict(found[0], bool(found[1]), *found[2:])
        return None

    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on each row, by its id."""
        found = self._query("SELECT * FROM verdicts")
        return {row: Verdict(row, bool(duplicate), *rest) for row, duplicate, *rest in found}

    def add_scores(self, scores: Iterable[Score]) -> None:
        """Keep scores; a failed judgement quarantines its row."""
        with self._transaction() as db:
            for s in scores:
                db.execute(
                    f"INSERT OR REPLACE INTO scores ({_SCORE}) VALUES (?,?,?,?,?,?,?,?,?,?)",
                    (
                        *(s.row, s.judge, s.length, s.final, _json(dict(s.parts)), s.reason),
                        *(s.failed, _json(s.judgements), s.concatenation, _json(s.panel)),
                    ),
                )
                if s.failed:
                    db.execute(
                        "UPDATE rows SET status = 'quarantined', reason = ? WHERE id = ?",
                        (f"judge: {s.failed}", s.row),
                    )

    def scores(self, row: str | None = None) -> dict[str, Score]:
        """The score of each judged row, or of one, by its id."""
        sql = f"SELECT {_SCORE} FROM scores WHERE ?1 IS NULL OR row = ?1"
        return {found[0]: _score(found) for found in self._query(sql, (row,))}

    def set_duels(self, duels: Sequence[Duel]) -> None:
        """Make these the pairs that the judge compared, in this order."""
        with self._transaction() as db:
            db.execute("DELETE FROM duels")
            db.executemany(
                f"INSERT INTO duels (position, {_DUEL}) VALUES (?,?,?,?,?,?,?)",
                (
                    (i, d.first, d.second, d.forward, d.backward, d.reason, d.failed)
                    for i, d in enumerate(duels)
                ),
            )

    def duels(self, row: str | None = None) -> list[Duel]:
        """The pairs that the judge compared, optionally only those with a row."""
        sql = (
            f"SELECT {_DUEL} FROM duels WHERE ?1 IS NULL OR ?1 IN (first, second) ORDER BY position"
        )
        return [Duel(*found) for found in self._query(sql, (row,))]

    def reopen(self, round: int) -> None:
        """Undo what was decided from a round on that was cut short, so that it is decided whole.

        The answers stay, so deciding again costs nothing; what failed by its call is tried again.
        """
        with self._transaction() as db:
            db.execute(
                "UPDATE tasks SET outcome = '', reason = ''"
                " WHERE outcome = 'quarantined' AND round >= ?",
                (round,),
            )
            for table in ("checks", "verdicts", "scores"):
                db.execute(
                    f"DELETE FROM {table} WHERE row IN (SELECT id FROM rows WHERE round >= ?)",
                    (round,),
                )
            db.execute("UPDATE rows SET status = 'new', reason = '' WHERE round >= ?", (round,))
            db.execute("DELETE FROM duels")
            db.execute(
                "UPDATE rows SET status = 'accepted', reason = '' WHERE reason = ? AND id IN"
                " (SELECT json_extract(parents, '$[0]') FROM rows"
                "  WHERE strategy = 'answer' AND round >= ?)",
                (REPLACED, round),
            )
            if round == 0:
                db.execute("DELETE FROM meta WHERE name IN ('longest', 'repeated')")

    def clear_scores(self) -> None:
        """Forget all scores, so that they are combined anew from the calls that were made."""
        with self._transaction() as db:
            db.execute("DELETE FROM scores")
            db.execute("DELETE FROM meta WHERE name = 'longest'")

    # calls --------------------------------------------------------------------------------

    def call(self, key: str) -> Call | None:
        """The call with this key, if it was made."""
        for found in self._query(f"SELECT {_CALL} FROM calls WHERE key = ?", (key,)):
            return _call(found)
        return None

    def begin_attempt(self, key: str, started: float, worst: Spending) -> int:
        """Commit, before it is sent, that a request may spend so much; return its number."""
        return _begin_attempt(self._db, key, started, worst)

    def end_attempt(self, attempt: int, seconds: float, outcome: str, spent: Spending) -> None:
        """Commit how a request without an answer ended, and what it may have spent."""
        _end_attempt(self._db, attempt, seconds, outcome, spent)

    def add_call(
        self, call: Call, attempt: int | None = None, spent: Spending | None = None
    ) -> None:
        """Commit a call before its response is used, with the attempt that brought it."""
        with self._transaction() as db:
            db.execute(
                f"INSERT OR REPLACE INTO calls ({_CALL}) VALUES ({_CALL_PLACES})",
                (
                    *(call.key, call.agent, call.prompt, call.subject, call.round, call.model),
                    without_own_keys(_json(call.request)),
                    *(without_own_keys(call.response), call.finish_reason, redacted(call.error)),
                    *(call.input_tokens, call.output_tokens, call.cost),
                    *(call.seconds, call.attempts, call.started, call.reused),
                    *(call.reasoning_tokens, call.cached_tokens, call.way),
                ),
            )
            if attempt is not None:
                _end_attempt(db, attempt, call.seconds, "answered", spent or Spending(1))

    def attempts(self, key: str) -> list[Attempt]:
        """The requests that were sent for a call, in order."""
        sql = (
            "SELECT started, seconds, outcome, calls, tokens, usd FROM attempts"
            " WHERE key = ? ORDER BY id"
        )
        return [
            Attempt(started, seconds, outcome, Spending(*spent))
            for started, seconds, outcome, *spent in self._query(sql, (key,))
        ]

    # batches ------------------------------------------------------------------------------

    def begin_batch(self, batch: Batch) -> Batch:
        """Commit a batch before it is handed over; return it with its items' attempts."""
        with self._transaction() as db:
            items = tuple(
                replace(i, attempt=_begin_attempt(db, i.call.key, batch.created, i.worst))
                for i in batch.items
            )
            db.execute(
                "INSERT INTO batches (intent, id, model, calls, state, created)"
                " VALUES (?, '', ?, ?, 'intended', ?)",
                (batch.intent, batch.model, batch.calls, batch.created),
            )
            db.executemany(
                "INSERT INTO batch_items VALUES (?, ?, ?, ?, ?)",
                (
                    (batch.intent, i.call.key, i.attempt, i.room, _json(asdict(i.call)))
                    for i in items
                ),
            )
        return replace(batch, items=items)

    def name_batch(self, intent: str, id: str, state: str) -> None:
        """Keep the provider's name of a batch: it was sent, or found there."""
        self._db.execute(
            "UPDATE batches SET id = ?, state = ? WHERE intent = ?", (id, state, intent)
        )

    def end_batch(self, intent: str, state: str) -> None:
        """Note how a batch ended; its answers have been kept."""
        with self._transaction() as db:
            db.execute(
                "UPDATE batches SET state = ?, ended = ? WHERE intent = ?",
                (state, time.time(), intent),
            )
            db.execute("DELETE FROM batch_items WHERE intent = ?", (intent,))

    def open_batches(self) -> list[Batch]:
        """The batches that have not ended."""
        sql = (
            "SELECT intent, model, created, calls, id FROM batches WHERE ended IS NULL"
            " ORDER BY created"
        )
        return [
            Batch(intent, model, created, calls, self._batch_items(intent), id)
            for intent, model, created, calls, id in self._query(sql)
        ]

    def _batch_items(self, intent: str) -> tuple[BatchItem, ...]:
        sql = (
            "SELECT i.call, i.room, i.attempt, a.calls, a.tokens, a.usd FROM batch_items i"
            " JOIN attempts a ON a.id = i.attempt WHERE i.intent = ?"
        )
        return tuple(
            BatchItem(Call(**json.loads(call)), Spending(*worst), room, attempt)
            for call, room, attempt, *worst in self._query(sql, (intent,))
        )

    def batches(self) -> list[dict[str, Any]]:
        """All batches, without their items, in the order in which they were made."""
        names = ("intent", "id", "model", "calls", "state", "created", "ended")
        sql = f"SELECT {', '.join(names)} FROM batches ORDER BY created"
        return [dict(zip(names, found, strict=True)) for found in self._query(sql)]

    def spent(self) -> Spending:
        """What the run's requests spent, or may have spent where no answer came."""
        sql = (
            "SELECT COALESCE(SUM(calls), 0), COALESCE(SUM(tokens), 0), COALESCE(SUM(usd), 0.0)"
            " FROM attempts"
        )
        return Spending(*self._query(sql)[0])

    def calls(self, *, agent: str = "", subjects: Sequence[str] = (), key: str = "") -> list[Call]:
        """Calls in the order in which they were made, optionally of an agent or about subjects."""
        where, values = ["1"], list[Any]()
        if agent:
            where.append("agent = ?")
            values.append(agent)
        if subjects:
            where.append(f"subject IN ({','.join('?' * len(subjects))})")
            values.extend(subjects)
        if key:
            where.append("substr(key, 1, ?) = ?")
            values.extend((len(key), key))
        sql = f"SELECT {_CALL} FROM calls WHERE {' AND '.join(where)} ORDER BY started, key"
        return [_call(found) for found in self._query(sql, values)]

    def models(self) -> list[str]:
        """The models that were called."""
        return [name for (name,) in self._query("SELECT DISTINCT model FROM calls ORDER BY 1")]

    def usage(self) -> dict[str, dict[str, float | None]]:
        """By agent: calls paid by this run, failures, answers from the call cache (reused),
        tokens, cost (None if a price is unknown), seconds and requests sent (attempts).
        """
        sql = (
            "SELECT agent, SUM(NOT reused), SUM(error != ''), SUM(reused),"
            " SUM(input_tokens * NOT reused), SUM(output_tokens * NOT reused),"
            " CASE WHEN COUNT(*) = COUNT(cost) THEN SUM(cost) END, SUM(seconds * NOT reused),"
            " SUM(attempts) FROM calls GROUP BY agent ORDER BY MIN(started)"
        )
        names = (
            *("calls", "failed", "reused", "input_tokens", "output_tokens", "cost", "seconds"),
            "attempts",
        )
        return {found[0]: dict(zip(names, found[1:], strict=True)) for found in self._query(sql)}

    # rounds -------------------------------------------------------------------------------

    def close_round(self, round: int, pool: int) -> None:
        """Record what a round brought, from its rows, and the size of the pool after it."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO rounds (round) VALUES (?)", (round,))
            db.execute(
                "UPDATE rounds SET pool = ?2,"
                " written = (SELECT COUNT(*) FROM rows WHERE round = ?1 AND origin = 'generated'),"
                " landed = (SELECT COUNT(*) FROM rows WHERE round = ?1 AND landed),"
                " accepted = (SELECT COUNT(*) FROM rows"
                "  WHERE round = ?1 AND origin = 'generated' AND status = 'accepted'),"
                " filled = (SELECT COUNT(*) FROM rows"
                "  WHERE round = ?1 AND landed AND status = 'accepted')"
                " WHERE round = ?1",
                (round, pool),
            )

    def rounds(self) -> list[dict[str, int]]:
        """Each round with what was planned, written, landed, accepted, both, and the pool."""
        names = ("round", "planned", "written", "landed", "accepted", "filled", "pool")
        found = self._query(f"SELECT {', '.join(names)} FROM rounds ORDER BY round")
        return [dict(zip(names, values, strict=True)) for values in found]


_ROW = (
    "id, position, instruction, input, output, system, history, origin, source, line, extra,"
    " round, strategy, parents, subspace"
)


def _copy(db: sqlite3.Connection, row: Row) -> Row:
    """The next copy of a row that the ledger has."""
    db.execute(
        "INSERT INTO copies VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1", (row.id,)
    )
    (n,) = db.execute("SELECT n FROM copies WHERE id = ?", (row.id,)).fetchone()
    texts = (row.instruction, row.input, row.output)
    return replace(row, id=row_id(*texts, row.system, row.history, n))


def _insert_rows(db: sqlite3.Connection, rows: Iterable[Row]) -> int:
    """Add the rows that are not there yet; return how many those are."""
    added = db.executemany(
        f"INSERT OR IGNORE INTO rows ({_ROW}, status) VALUES ({'?,' * 15}'new')",
        (
            (
                *(r.id, r.position, r.instruction, r.input, r.output, r.system),
                _json(r.history),
                *(r.origin, r.source, r.line),
                exact_json.dumps(r.extra, compact=True),
                *(r.round, r.strategy, _json(r.parents), r.subspace),
            )
            for r in rows
        ),
    )
    return added.rowcount


def _row(found: tuple[Any, ...]) -> Row:
    values = dict(zip(_ROW.split(", "), found, strict=True))
    values["history"] = tuple((ask, answer) for ask, answer in json.loads(values["history"]))
    values["parents"] = tuple(json.loads(values["parents"]))
    values["extra"] = exact_json.loads(values["extra"])
    return Row(**values)


_FATE = ", ".join(field.name for field in fields(Fate))
_REJECTED = ", ".join(f'"{field.name}"' for field in fields(Rejected))
_SCORE = ", ".join(field.name for field in fields(Score))
_DUEL = ", ".join(field.name for field in fields(Duel))


def _score(found: tuple[Any, ...]) -> Score:
    values = dict(zip(_SCORE.split(", "), found, strict=True))
    values["parts"], values["panel"] = json.loads(values["parts"]), json.loads(values["panel"])
    values["judgements"] = tuple(json.loads(values["judgements"]))
    return Score(**{**values, "concatenation": bool(values["concatenation"])})


_SUBSPACE = ", ".join(field.name for field in fields(Subspace))
_SUBSPACE_PLACES = ", ".join("?" * len(fields(Subspace)))


def _subspace(found: tuple[Any, ...]) -> Subspace:
    values = dict(zip(_SUBSPACE.split(", "), found, strict=True))
    values["centre"] = tuple(np.frombuffer(values["centre"], dtype=np.float32).tolist())
    for column in ("members", "nearby", "wanted"):
        values[column] = tuple(json.loads(values[column]))
    return Subspace(**values)


_REFERENCE = ", ".join(field.name for field in fields(Reference))
_REFERENCE_PLACES = ", ".join("?" * len(fields(Reference)))
_TASK = "id, position, round, strategy, parents, subspace, rule"


def _task(found: tuple[Any, ...]) -> Task:
    values = dict(zip(_TASK.split(", "), found, strict=True))
    return Task(**{**values, "parents": tuple(json.loads(values["parents"]))})


_CALL = ", ".join(field.name for field in fields(Call))
_CALL_PLACES = ", ".join("?" * len(fields(Call)))


def _call(found: tuple[Any, ...]) -> Call:
    values = dict(zip(_CALL.split(", "), found, strict=True))
    values["reused"] = bool(values["reused"])
    return Call(**{**values, "request": json.loads(values["request"])})


def _begin_attempt(db: sqlite3.Connection, key: str, started: float, worst: Spending) -> int:
    made = db.execute(
        "INSERT INTO attempts (key, started, outcome, calls, tokens, usd)"
        " VALUES (?, ?, '', ?, ?, ?)",
        (key, started, worst.calls, worst.tokens, worst.usd),
    )
    assert made.lastrowid is not None
    return made.lastrowid


def _end_attempt(
    db: sqlite3.Connection, attempt: int, seconds: float, outcome: str, spent: Spending
) -> None:
    db.execute(
        "UPDATE attempts SET seconds = ?, outcome = ?, calls = ?, tokens = ?, usd = ? WHERE id = ?",
        (seconds, redacted(outcome), spent.calls, spent.tokens, spent.usd, attempt),
    )
