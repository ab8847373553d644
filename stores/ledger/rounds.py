"""The rounds of the loop: their subspaces, their tasks, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from ...records import (
    GenerationTask,
    Row,
    Subspace,
    Tally,
    TaskOutcome,
    TrackRecord,
    Why,
)
from .database import Database, to_json
from .row_columns import insert_rows

_SUBSPACE = ", ".join(field.name for field in fields(Subspace))
_SUBSPACE_PLACES = ", ".join("?" * len(fields(Subspace)))
_TASK = "id, position, round, strategy, parents, subspace, rule"


class Rounds:
    """The rounds of the loop."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def plan(
        self, round: int, subspaces: Iterable[Subspace], tasks: Sequence[GenerationTask]
    ) -> None:
        """Record a round's subspaces and its tasks, all or nothing."""
        with self._db.transaction() as db:
            db.executemany(
                f"INSERT OR IGNORE INTO subspaces ({_SUBSPACE}) VALUES ({_SUBSPACE_PLACES})",
                (
                    (
                        *(s.id, s.round),
                        np.asarray(s.centre, dtype=np.float32).tobytes(),
                        *(s.radius, s.gap, to_json(s.members), to_json(s.nearby)),
                        *(s.name, s.brief, s.quota, to_json(s.wanted)),
                        *(s.density, s.wanted_density, s.given_up),
                    )
                    for s in subspaces
                ),
            )
            db.executemany(
                f"INSERT OR IGNORE INTO tasks ({_TASK}) VALUES (?,?,?,?,?,?,?)",
                (
                    (t.id, t.position, t.round, t.strategy, to_json(t.parents), t.subspace, t.rule)
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
        return [_subspace(found) for found in self._db.query(sql, (round,))]

    def set_proximity(self, round: int, found: Mapping[str, tuple[float, float]]) -> None:
        """Keep how close the pool came to each subspace before a round, and after it."""
        with self._db.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO closeness VALUES (?, ?, ?, ?)",
                ((round, subspace, *values) for subspace, values in found.items()),
            )

    def proximity(self) -> dict[tuple[int, str], tuple[float, float]]:
        """How close the pool came to each subspace before its round and after it."""
        found = self._db.query("SELECT round, subspace, before, after FROM closeness")
        return {(round, id): (before, after) for round, id, before, after in found}

    def tasks(self, round: int, *, pending: bool = False) -> list[GenerationTask]:
        """The tasks of a round, optionally those without an outcome only."""
        sql = (
            f"SELECT {_TASK} FROM tasks"
            " WHERE round = ? AND (outcome = '' OR NOT ?) ORDER BY position"
        )
        return [_task(found) for found in self._db.query(sql, (round, pending))]

    def used_parents(self) -> set[frozenset[str]]:
        """The sets of parents that tasks were planned with so far."""
        found = self._db.query("SELECT parents FROM tasks")
        return {frozenset(json.loads(parents)) for (parents,) in found}

    def finish_task(
        self, task: str, outcome: TaskOutcome, why: Why, written: str, row: Row | None
    ) -> None:
        """Record what became of a task, with the row that it made, if any, all or nothing."""
        with self._db.transaction() as db:
            if row:
                insert_rows(db, [row])
            db.execute(
                "UPDATE tasks SET outcome = ?, reason = ?, detail = ?, written = ?, row = ?"
                " WHERE id = ?",
                (outcome, *why, written, row.id if row else "", task),
            )

    def task_outcomes(self, round: int | None = None) -> dict[tuple[TaskOutcome, Why], int]:
        """Number of tasks by outcome and reason, of a round or of all, the most first."""
        sql = (
            "SELECT outcome, reason, detail, COUNT(*) FROM tasks WHERE outcome != ''"
            " AND (?1 IS NULL OR round = ?1) GROUP BY 1, 2, 3 ORDER BY 4 DESC"
        )
        return {(outcome, Why(*why)): n for outcome, *why, n in self._db.query(sql, (round,))}

    def track_records(self) -> dict[str, TrackRecord]:
        """What came of the tasks of each subspace so far, by its id."""
        sql = (
            "SELECT t.subspace, COUNT(*), COUNT(r.id), COALESCE(SUM(r.landed), 0),"
            " SUM((SELECT COALESCE(SUM(input_tokens + output_tokens), 0) FROM calls"
            "  WHERE subject IN (t.id, NULLIF(t.row, ''))))"
            " FROM tasks t LEFT JOIN rows r ON r.id = t.row AND r.status = 'accepted'"
            " WHERE t.outcome != '' AND t.subspace != '' GROUP BY 1"
        )
        return {subspace: TrackRecord(*counts) for subspace, *counts in self._db.query(sql)}

    def tallies(self) -> dict[tuple[str, str, str], Tally]:
        """What came of the finished tasks, by subspace, strategy and rule."""
        sql = (
            "SELECT t.subspace, t.strategy, t.rule, COUNT(*), COUNT(r.id),"
            " COALESCE(SUM(r.landed), 0), COALESCE(SUM(r.status = 'accepted'), 0),"
            " COALESCE(SUM(r.landed AND r.status = 'accepted'), 0)"
            " FROM tasks t LEFT JOIN rows r ON r.id = t.row WHERE t.outcome != '' GROUP BY 1, 2, 3"
        )
        return {(where, how, rule): Tally(*n) for where, how, rule, *n in self._db.query(sql)}

    def task_of(self, row: str) -> GenerationTask | None:
        """The task that made a row."""
        for found in self._db.query(f"SELECT {_TASK} FROM tasks WHERE row = ?", (row,)):
            return _task(found)
        return None

    def close(self, round: int, pool: int) -> None:
        """Record what a round brought, from its rows, and the size of the pool after it."""
        with self._db.transaction() as db:
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

    def all(self) -> list[dict[str, int]]:
        """Each round with what was planned, written, landed, accepted, both, and the pool."""
        names = ("round", "planned", "written", "landed", "accepted", "filled", "pool")
        found = self._db.query(f"SELECT {', '.join(names)} FROM rounds ORDER BY round")
        return [dict(zip(names, values, strict=True)) for values in found]


def _subspace(found: tuple[Any, ...]) -> Subspace:
    values = dict(zip(_SUBSPACE.split(", "), found, strict=True))
    values["centre"] = tuple(np.frombuffer(values["centre"], dtype=np.float32).tolist())
    for column in ("members", "nearby", "wanted"):
        values[column] = tuple(json.loads(values[column]))
    return Subspace(**values)


def _task(found: tuple[Any, ...]) -> GenerationTask:
    values = dict(zip(_TASK.split(", "), found, strict=True))
    return GenerationTask(**{**values, "parents": tuple(json.loads(values["parents"]))})
