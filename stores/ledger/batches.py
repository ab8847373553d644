"""Batches of calls that are handed to a provider together."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from typing import Any

from ...records import (
    Batch,
    BatchItem,
    Call,
    Spending,
)
from .calls import Calls, begin_attempt
from .database import to_json


class Batches(Calls):
    """The calls of a run with the batches that some of them go in."""

    def begin_batch(self, batch: Batch) -> Batch:
        """Commit a batch before it is submitted; return it with its items' attempts."""
        with self._db.transaction() as db:
            items = tuple(
                replace(i, attempt=begin_attempt(self._db, i.call.key, batch.created, i.worst))
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
                    (batch.intent, i.call.key, i.attempt, i.room, to_json(asdict(i.call)))
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
        with self._db.transaction() as db:
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
            for intent, model, created, calls, id in self._db.query(sql)
        ]

    def _batch_items(self, intent: str) -> tuple[BatchItem, ...]:
        sql = (
            "SELECT i.call, i.room, i.attempt, a.calls, a.tokens, a.usd FROM batch_items i"
            " JOIN attempts a ON a.id = i.attempt WHERE i.intent = ?"
        )
        return tuple(
            BatchItem(Call(**json.loads(call)), Spending(*worst), room, attempt)
            for call, room, attempt, *worst in self._db.query(sql, (intent,))
        )

    def batches(self) -> list[dict[str, Any]]:
        """All batches, without their items, in the order in which they were made."""
        names = ("intent", "id", "model", "calls", "state", "created", "ended")
        sql = f"SELECT {', '.join(names)} FROM batches ORDER BY created"
        return [dict(zip(names, found, strict=True)) for found in self._db.query(sql)]
