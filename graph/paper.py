"""The nodes that only the recipe paper has: LIFT as published (arXiv 2312.11508)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..agents.deepening import means_of
from ..formats.reading.precomputed import load_embeddings
from ..geometry.neighbours import Floats
from ..geometry.variance import varied_rows
from ..records import GenerationTask, Row
from ..records.codes import Reason
from ..records.events import RoundBegan, RowsFiltered, Stage, StageBegan
from ..stores.ledger import Ledger
from .node import Update, node
from .nodes import write_rows
from .state import RunContext, RunState


@node
async def rewrite(state: RunState, context: RunContext) -> Update:
    """Rewrite every row, k times over: round i deepens the rows that round i - 1 wrote."""
    rounds = context.config.max_rounds
    for round in range(1, rounds + 1):
        _plan(round, context.stores.ledger)
        context.emit(RoundBegan(round))
        await write_rows(round, context)
    return {"round": rounds}


def _plan(round: int, ledger: Ledger) -> None:
    """Plan a task for each row of the round before, unless the round is planned."""
    if ledger.rounds.tasks(round):
        return
    before = [row for row in ledger.rows.find(round=round - 1) if not row.history]
    position = ledger.rows.next_position()
    tasks = [
        GenerationTask(
            *(f"r{round}-{i + 1:05d}", position + i, round, "deepen", (row.id,)),
            rule=means_of(row, round + i),
        )
        for i, row in enumerate(before)
    ]
    ledger.rounds.plan(round, [], tasks)


@node
async def keep_varied(state: RunState, context: RunContext) -> Update:
    """Keep the rows whose variance is above the 80th percentile of all rows."""
    ledger, vectors = context.stores.ledger, context.stores.vectors
    rows = ledger.rows.find()
    if not context.config.embeddings and vectors.missing([row.id for row in rows]):
        return {}  # the run stopped while it embedded them
    context.emit(StageBegan(Stage.FILTER, len(rows)))
    # The filter and the length scale are of all rows: what was decided over fewer is undone.
    ledger.judgements.clear_scores()
    kept = varied_rows(_exact_vectors(rows, context))
    ledger.rows.set_statuses(
        (row.id, *(("unique", "") if keep else ("rejected", Reason.LOW_VARIANCE)))
        for row, keep in zip(rows, kept, strict=True)
    )
    context.emit(RowsFiltered(int(kept.sum()), len(rows)))
    return {}


def _exact_vectors(rows: Sequence[Row], context: RunContext) -> Floats:
    """The vectors of rows (n, d), precomputed ones as they are: not scaled to length 1."""
    if context.config.embeddings:
        return load_embeddings(context.config.embeddings)[[row.position for row in rows]]
    return context.stores.vectors.get([row.id for row in rows]).astype(np.float64)
