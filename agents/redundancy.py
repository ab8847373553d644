"""The redundancy agent: removes the rows that say what an earlier row says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from ..errors import BudgetReached, RunStopped, TooManyErrors
from ..geometry.duplicates import first_come
from ..geometry.neighbours import Vectors
from ..llms.gateway import Gateway
from ..records import Row, Verdict
from .prompts import load
from .texts import clip, normalised


class SameTask(BaseModel):
    """What the model says of two rows of the borderline band."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=160)
    same: bool


class RedundancyAgent:
    """Decides which rows repeat an earlier one: by text, by embedding, in doubt by the model."""

    def __init__(self, gateway: Gateway | None, duplicate: float, borderline: float) -> None:
        """Take the cosines from which a row is a duplicate, and from which the model is asked."""
        self._gateway = gateway
        self._duplicate = duplicate
        self._borderline = borderline

    async def check(
        self,
        new: Sequence[Row],
        new_vectors: Vectors,
        kept: Sequence[Row],
        kept_vectors: Vectors,
        *,
        round: int = 0,
    ) -> tuple[list[Verdict], RunStopped | None]:
        """Give a verdict on each new row, in order, against the kept rows and each other.

        No two rows that remain are at the duplicate cosine or above, or equal but for case,
        punctuation and spacing. When no model can be asked any more, a borderline row stays, and
        why comes back beside the verdicts.
        """
        rows = [*kept, *new]
        copies = _copies(new, kept)
        fresh = [i for i, row in enumerate(new) if row.id not in copies]
        repeats, closest, cosine = first_come(new_vectors[fresh], kept_vectors, self._duplicate)
        verdicts = dict(copies)
        doubtful: list[Verdict] = []
        for place, i in enumerate(fresh):
            nearest = int(closest[place])
            if nearest >= len(kept):
                nearest = len(kept) + fresh[nearest - len(kept)]
            verdict = Verdict(
                row=new[i].id,
                duplicate=bool(repeats[place]),
                layer="semantic" if repeats[place] else "none",
                other=rows[nearest].id if nearest >= 0 else "",
                cosine=float(cosine[place]),
            )
            verdicts[verdict.row] = verdict
            if self._gateway and not verdict.duplicate and verdict.cosine >= self._borderline:
                doubtful.append(verdict)
        by_id = {row.id: row for row in rows}
        answers, stopped = await self._settle(doubtful, by_id, round)
        for settled in answers:
            # A row that repeats one which is itself removed has nothing left that it repeats.
            gone = settled.other in verdicts and verdicts[settled.other].duplicate
            verdicts[settled.row] = replace(settled, duplicate=settled.duplicate and not gone)
        return [verdicts[row.id] for row in new], stopped

    async def _settle(
        self, doubtful: Sequence[Verdict], rows: Mapping[str, Row], round: int
    ) -> tuple[list[Verdict], RunStopped | None]:
        results = await asyncio.gather(
            *(self._ask(verdict, rows, round) for verdict in doubtful), return_exceptions=True
        )
        settled: list[Verdict] = []
        stopped: RunStopped | None = None
        for result in results:
            if isinstance(result, (BudgetReached, TooManyErrors)):
                stopped = stopped or result
            elif isinstance(result, BaseException):
                raise result
            else:
                settled.append(result)
        return settled, stopped

    async def _ask(self, verdict: Verdict, rows: Mapping[str, Row], round: int) -> Verdict:
        assert self._gateway is not None
        size = self._gateway.room(2)
        request = load("same_task").ask(
            first=clip(rows[verdict.other].task, size), second=clip(rows[verdict.row].task, size)
        )
        answer = await self._gateway.ask_for(
            SameTask, request, agent="redundancy", subject=verdict.row, round=round
        )
        if answer.value is None:
            return replace(verdict, reason=f"the model gave no verdict: {answer.error}")
        return replace(
            verdict, duplicate=answer.value.same, layer="model", reason=answer.value.reason
        )


def _copies(new: Sequence[Row], kept: Sequence[Row]) -> dict[str, Verdict]:
    """Verdicts on the new rows that equal an earlier row, exactly or but for form."""
    exact: dict[str, str] = {}
    loose: dict[str, str] = {}
    verdicts: dict[str, Verdict] = {}
    for place, row in enumerate([*kept, *new]):
        text = row.text
        form = normalised(text)
        if place >= len(kept) and form in loose:
            verdicts[row.id] = (
                Verdict(row.id, True, "exact", exact[text], 1.0, "the same text")
                if text in exact
                else Verdict(row.id, True, "normalised", loose[form], 1.0, "the same but for form")
            )
        exact.setdefault(text, row.id)
        loose.setdefault(form, row.id)
    return verdicts
