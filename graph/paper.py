"""The nodes that only the recipe paper has: LIFT as published (arXiv 2312.11508)."""

from __future__ import annotations

import numpy as np

from ..agents.deepening import means_of
from ..formats.reading.precomputed import load_embeddings
from ..geometry.variance import varied_rows
from ..records import Task
from ..records.codes import Reason
from .nodes import Update, carry_out, node
from .state import RunContext, RunState


@node
async def rewrite(state: RunState, context: RunContext) -> Update:
    """Rewrite every row, k times over: round i deepens the rows that round i - 1 wrote."""
    ledger, rounds = context.ledger, context.config.max_rounds
    for round in range(1, rounds + 1):
        if not ledger.rounds.tasks(round):
            before = [row for row in ledger.rows.find(round=round - 1) if not row.history]
            position = ledger.rows.next_position()
            tasks = [
                Task(
                    *(f"r{round}-{i + 1:05d}", position + i, round, "deepen", (row.id,)),
                    rule=means_of(row, round + i),
                )
                for i, row in enumerate(before)
            ]
            ledger.rounds.plan(round, [], tasks)
        context.progress.round = round
        await carry_out(round, context)
    return {"round": rounds}


@node
async def keep_varied(state: RunState, context: RunContext) -> Update:
    """Keep the rows whose variance is above the 80th percentile of all rows."""
    ledger = context.ledger
    rows = ledger.rows.find()
    if not context.config.embeddings and context.vectors.missing([row.id for row in rows]):
        return {}  # the run stopped while it embedded them
    context.progress.begin("filter", f"measuring the variance of {len(rows):,} rows")
    # The filter and the length scale are of all rows: what was decided over fewer is undone.
    ledger.judgements.clear_scores()
    if context.config.embeddings:
        given = load_embeddings(context.config.embeddings)
        vectors = given[[row.position for row in rows]]
    else:
        vectors = context.vectors.get([row.id for row in rows]).astype(np.float64)
    kept = varied_rows(vectors)
    ledger.rows.set_statuses(
        (row.id, *(("unique", "") if keep else ("rejected", Reason.LOW_VARIANCE)))
        for row, keep in zip(rows, kept, strict=True)
    )
    context.progress.say(f"kept {int(kept.sum()):,} of {len(rows):,} rows by their variance")
    return {}
