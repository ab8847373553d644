"""The calls to models, each request by itself, and what they spent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ...records import (
    Attempt,
    Call,
    Spending,
)
from ...redaction import redacted, without_own_keys
from .database import Database, to_json

_CALL = ", ".join(field.name for field in fields(Call))
_CALL_PLACES = ", ".join("?" * len(fields(Call)))


class Calls:
    """The calls of a run."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def call(self, key: str) -> Call | None:
        """The call with this key, if it was made."""
        for found in self._db.query(f"SELECT {_CALL} FROM calls WHERE key = ?", (key,)):
            return _call(found)
        return None

    def begin_attempt(self, key: str, started: float, worst: Spending) -> int:
        """Commit, before it is sent, that a request may spend so much; return its number."""
        return begin_attempt(self._db, key, started, worst)

    def end_attempt(self, attempt: int, seconds: float, outcome: str, spent: Spending) -> None:
        """Commit how a request without an answer ended, and what it may have spent."""
        _end_attempt(self._db, attempt, seconds, outcome, spent)

    def add_call(
        self, call: Call, attempt: int | None = None, spent: Spending | None = None
    ) -> None:
        """Commit a call before its response is used, with the attempt that brought it."""
        with self._db.transaction() as db:
            db.execute(
                f"INSERT OR REPLACE INTO calls ({_CALL}) VALUES ({_CALL_PLACES})",
                (
                    *(call.key, call.agent, call.prompt, call.subject, call.round, call.model),
                    without_own_keys(to_json(call.request)),
                    *(without_own_keys(call.response), call.finish_reason, redacted(call.error)),
                    *(call.input_tokens, call.output_tokens, call.cost),
                    *(call.seconds, call.attempts, call.started, call.reused),
                    *(call.reasoning_tokens, call.cached_tokens, call.way),
                ),
            )
            if attempt is not None:
                _end_attempt(self._db, attempt, call.seconds, "answered", spent or Spending(1))

    def attempts(self, key: str) -> list[Attempt]:
        """The requests that were sent for a call, in order."""
        sql = (
            "SELECT started, seconds, outcome, calls, tokens, usd FROM attempts"
            " WHERE key = ? ORDER BY id"
        )
        return [
            Attempt(started, seconds, outcome, Spending(*spent))
            for started, seconds, outcome, *spent in self._db.query(sql, (key,))
        ]

    def spent(self) -> Spending:
        """What the run's requests spent, or may have spent where no answer came."""
        sql = (
            "SELECT COALESCE(SUM(calls), 0), COALESCE(SUM(tokens), 0), COALESCE(SUM(usd), 0.0)"
            " FROM attempts"
        )
        return Spending(*self._db.query(sql)[0])

    def find(self, *, agent: str = "", subjects: Sequence[str] = (), key: str = "") -> list[Call]:
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
        return [_call(found) for found in self._db.query(sql, values)]

    def models(self) -> list[str]:
        """The models that were called."""
        return [name for (name,) in self._db.query("SELECT DISTINCT model FROM calls ORDER BY 1")]

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
        return {found[0]: dict(zip(names, found[1:], strict=True)) for found in self._db.query(sql)}


def _call(found: tuple[Any, ...]) -> Call:
    values = dict(zip(_CALL.split(", "), found, strict=True))
    values["reused"] = bool(values["reused"])
    return Call(**{**values, "request": json.loads(values["request"])})


def begin_attempt(db: Database, key: str, started: float, worst: Spending) -> int:
    """Commit that a request for a call may spend so much; return its number."""
    made = db.execute(
        "INSERT INTO attempts (key, started, outcome, calls, tokens, usd)"
        " VALUES (?, ?, '', ?, ?, ?)",
        (key, started, worst.calls, worst.tokens, worst.usd),
    )
    assert made.lastrowid is not None
    return made.lastrowid


def _end_attempt(db: Database, attempt: int, seconds: float, outcome: str, spent: Spending) -> None:
    db.execute(
        "UPDATE attempts SET seconds = ?, outcome = ?, calls = ?, tokens = ?, usd = ? WHERE id = ?",
        (seconds, redacted(outcome), spent.calls, spent.tokens, spent.usd, attempt),
    )
