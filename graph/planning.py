"""Plans a round: the subspaces that the data lacks, and the tasks that are to fill them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..agents.task_planning import plan_tasks, rows_to_answer
from ..config import RunConfig
from .reference import reference_of
from .state import RunContext

SMALLEST_ROUND = 8  # tasks, however few rows are missing


def round_size(config: RunConfig, accepted: int, rounds: Sequence[Mapping[str, int]]) -> int:
    """How many tasks should make up what is missing, judged by the rounds so far.

    Args:
        config: the settings.
        accepted: rows of the target that the pool can fill.
        rounds: number, planned and accepted rows of each round so far; 0 is that of the seeds.
    """
    generated = [round for round in rounds if round["round"] > 0]
    rate = (sum(r["accepted"] for r in generated) + 1) / (sum(r["planned"] for r in generated) + 2)
    wanted = math.ceil(max(config.target_size - accepted, 1) / rate)
    return min(config.round_size, max(wanted, SMALLEST_ROUND))


async def plan_round(round: int, size: int, context: RunContext) -> None:
    """Find the sparse subspaces of the pool and write `size` tasks for them into the ledger."""
    ledger, analyst, generator = context.ledger, context.analyst, context.generator
    assert analyst is not None
    assert generator is not None
    pool = ledger.rows.find("accepted")
    vectors = context.vectors.get([row.id for row in pool])
    wanted = await reference_of(pool, vectors, context, round=round, size=size)
    context.progress.begin("analyze", "finding sparse subspaces and naming them")
    used, tallies = ledger.rounds.used_parents(), ledger.rounds.tallies()
    # Fusions of fusions drift away from what people ask: only seeds are parents.
    parents = [row for row in pool if row.origin == "seed" and not row.history]
    failed = [row for row in ledger.rows.find("rejected", origin="seed") if not row.history]
    answers = rows_to_answer(
        [*parents, *failed], ledger.judgements.scores(), used, tallies, size=size
    )
    subspaces = await analyst.find(
        pool,
        vectors,
        wanted,
        round=round,
        size=size - len(answers),
        known=ledger.rounds.subspaces(),
        record=ledger.rounds.track_records(),
    )
    tasks = plan_tasks(
        subspaces,
        parents,
        context.vectors.get([row.id for row in parents]),
        used,
        round=round,
        position=ledger.rows.next_position(),
        seed=context.config.seed,
        small=generator.small,
        answers=answers,
        tallies=tallies,
    )
    ledger.rounds.plan(round, subspaces, tasks)
