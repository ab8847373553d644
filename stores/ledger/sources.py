"""What was read: sources, unusable records, and prompts that rows are held against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, fields

from ...records import (
    BenchmarkItem,
    PromptKind,
    TargetPrompt,
    UnusableRecord,
)
from .database import Database

_REJECTED = ", ".join(f'"{field.name}"' for field in fields(UnusableRecord))
_REFERENCE = ", ".join(field.name for field in fields(TargetPrompt))
_REFERENCE_PLACES = ", ".join("?" * len(fields(TargetPrompt)))


class Sources:
    """The sources of a run."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, sources: Iterable[tuple[str, str, int, int]]) -> None:
        """Record that all sources were read: path, fingerprint, rows, unusable records."""
        with self._db.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)", sources)

    def all(self) -> list[tuple[str, str, int, int]]:
        """Path, fingerprint, rows and unusable records of each source that was read."""
        found = self._db.query(
            "SELECT path, fingerprint, rows, rejected FROM sources ORDER BY rowid"
        )
        return [(str(p), str(f), int(n), int(r)) for p, f, n, r in found]

    def clear(self) -> None:
        """Forget what was read from sources that were not read to their end."""
        with self._db.transaction() as db:
            db.execute("DELETE FROM rows")
            db.execute("DELETE FROM source_rejects")
            db.execute("DELETE FROM reference")
            db.execute("DROP TABLE IF EXISTS temp.copies")
            db.execute("DELETE FROM benchmarks")

    def add_unusable(self, rejects: Iterable[tuple[int, UnusableRecord]]) -> None:
        """Keep the records of source files that cannot be used, by their position."""
        with self._db.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO source_rejects VALUES (?, ?, ?, ?, ?, ?)",
                ((i, *astuple(reject)) for i, reject in rejects),
            )

    def unusable(self) -> list[UnusableRecord]:
        """The records of source files that could not be used, in their order."""
        sql = f"SELECT {_REJECTED} FROM source_rejects ORDER BY position"
        return [UnusableRecord(*values) for values in self._db.query(sql)]

    def add_target_prompts(self, references: Iterable[TargetPrompt]) -> None:
        """Keep prompts of the reference, all or nothing; those already there stay as they are."""
        with self._db.transaction() as db:
            db.executemany(
                f"INSERT OR IGNORE INTO reference ({_REFERENCE}) VALUES ({_REFERENCE_PLACES})",
                (astuple(reference) for reference in references),
            )

    def target_prompts(self, kind: PromptKind) -> list[TargetPrompt]:
        """The prompts of the reference of a kind, in order; those with a fault included."""
        sql = f"SELECT {_REFERENCE} FROM reference WHERE kind = ? ORDER BY position"
        return [TargetPrompt(*found) for found in self._db.query(sql, (kind,))]

    def add_benchmarks(self, items: Iterable[tuple[int, BenchmarkItem]]) -> None:
        """Keep items of benchmarks that no row may leak, by their position."""
        with self._db.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO benchmarks VALUES (?, ?, ?, ?, ?)",
                ((i, *astuple(item)) for i, item in items),
            )

    def benchmarks(self) -> list[BenchmarkItem]:
        """The items of the benchmarks, in order."""
        sql = "SELECT source, line, prompt, answer FROM benchmarks ORDER BY position"
        return [BenchmarkItem(*found) for found in self._db.query(sql)]
