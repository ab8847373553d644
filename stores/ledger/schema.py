"""The ledger's tables, and the numbered steps that bring an older ledger up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from .old_reasons import give_codes

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
    give_codes,
)
