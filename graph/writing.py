"""Carries out the tasks of a round: the generator writes, the ledger keeps what came of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from ..agents.generator import Generator
from ..agents.reference import ReferenceTexts
from ..records import NO_REASON, GenerationTask, Row, Why
from ..records.events import Emit, ItemsDone, RowsWritten, Stage, StageBegan
from ..stores.ledger import Ledger
from .pool import for_each
from .targets import usable_prompts


async def carry_out(
    round: int, ledger: Ledger, generator: Generator, clean: Callable[[Row], Row], emit: Emit
) -> None:
    """Have the generator write what the round's open tasks ask for; `clean` each row it makes."""
    tasks = ledger.rounds.tasks(round, pending=True)
    rows = ledger.rows.by_id({parent for task in tasks for parent in task.parents})
    subspaces = {subspace.id: subspace for subspace in ledger.rounds.subspaces(round)}
    targets = ReferenceTexts(prompt.task for prompt in usable_prompts(ledger))
    emit(StageBegan(Stage.GENERATE, len(tasks)))

    async def write(task: GenerationTask) -> None:
        parents = [rows[parent] for parent in task.parents]
        draft = await generator.write(task, parents, subspaces.get(task.subspace))
        if draft.row and (
            fault := targets.fault(draft.row.task, draft.row.output, [p.text for p in parents])
        ):
            draft = replace(draft, outcome="rejected", fault=fault, row=None)
        row = clean(draft.row) if draft.row else None
        ledger.rounds.finish_task(task.id, draft.outcome, draft.reason, draft.written, row)
        emit(ItemsDone())

    await for_each(tasks, write, generator.concurrency)
    outcomes = ledger.rounds.task_outcomes(round)
    faults = Counter[Why]()
    for (kind, fault), count in outcomes.items():
        if kind != "row":
            faults[fault] += count
    written = outcomes.get(("row", NO_REASON), 0)
    emit(RowsWritten(round, written, sum(outcomes.values()), faults))
