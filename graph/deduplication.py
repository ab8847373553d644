"""Removes new rows that repeat an earlier one, or that a fusion copied from a parent."""

from __future__ import annotations

from collections.abc import Sequence

from ..agents.acceptance import copies_of_parents
from ..agents.redundancy import RedundancyAgent
from ..records import Row, Verdict
from .decisions import apply
from .stores import RunStores


def reject_copies(stores: RunStores) -> None:
    """Reject the new fused rows that landed on a parent, whatever their words."""
    fused = [row for row in stores.ledger.rows.find("new") if len(row.parents) > 1]
    vectors = stores.vectors.get([row.id for row in fused])
    parents = [stores.vectors.get(row.parents) for row in fused]
    apply(copies_of_parents(fused, vectors, parents), stores.ledger)


async def find_duplicates(
    new: Sequence[Row], kept: Sequence[Row], stores: RunStores, agent: RedundancyAgent, round: int
) -> list[Verdict]:
    """Give verdicts on new rows against the kept ones and each other, and record them.

    A new answer repeats its parent's task: which of the two stays, their scores decide.
    """
    answers = [row for row in new if row.strategy == "answer"]
    others = [row for row in new if row.strategy != "answer"]
    verdicts = await _compare(others, kept, stores, agent, round)
    unique = {verdict.row for verdict in verdicts if not verdict.duplicate}
    answered = {row.parents[0] for row in answers}
    beside = [row for row in kept if row.id not in answered]
    beside += [row for row in others if row.id in unique]
    return verdicts + await _compare(answers, beside, stores, agent, round)


async def _compare(
    new: Sequence[Row], kept: Sequence[Row], stores: RunStores, agent: RedundancyAgent, round: int
) -> list[Verdict]:
    verdicts, stopped = await agent.find_duplicates(
        new,
        stores.vectors.get([row.id for row in new]),
        kept,
        stores.vectors.get([row.id for row in kept]),
        round=round,
    )
    stores.ledger.judgements.add_verdicts(verdicts)
    if stopped:
        raise stopped
    return verdicts
