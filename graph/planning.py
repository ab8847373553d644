"""Plans a round: the subspaces that the data lacks, and the tasks that are to fill them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..agents.analyst import CoverageAnalyst
from ..agents.target_prompts import TargetPrompts
from ..agents.task_planning import plan_tasks, rows_to_answer
from ..config import RunConfig
from ..geometry.neighbours import Vectors
from ..records import Row
from .stores import RunStores

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
    needed = math.ceil(max(config.target_size - accepted, 1) / rate)
    return min(config.round_size, max(needed, SMALLEST_ROUND))


async def plan_round(
    pool: Sequence[Row],
    vectors: Vectors,
    targets: TargetPrompts | None,
    stores: RunStores,
    analyst: CoverageAnalyst,
    *,
    round: int,
    size: int,
    seed: int,
    small: bool,
) -> None:
    """Find the sparse subspaces of the pool and write `size` tasks for them into the ledger.

    Args:
        pool: the accepted rows.
        vectors: their (n, d) unit vectors.
        targets: what the pool is compared with, None for nothing but itself.
        stores: of the run.
        analyst: finds the subspaces.
        round: number of the round.
        size: tasks of the round.
        seed: of every random choice.
        small: whether a small model carries the tasks out.
    """
    ledger = stores.ledger
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
        targets,
        round=round,
        size=size - len(answers),
        known=ledger.rounds.subspaces(),
        record=ledger.rounds.track_records(),
    )
    tasks = plan_tasks(
        subspaces,
        parents,
        stores.vectors.get([row.id for row in parents]),
        used,
        round=round,
        position=ledger.rows.next_position(),
        seed=seed,
        small=small,
        answers=answers,
        tallies=tallies,
    )
    ledger.rounds.plan(round, subspaces, tasks)
