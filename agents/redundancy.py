"""The redundancy agent: removes the rows that set a task which another row sets already."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..errors import BudgetReached, RunStopped, TooManyErrors
from ..geometry.duplicates import duplicate_candidates, graph_candidates
from ..geometry.neighbours import EXACT_LIMIT, PROBES, Floats, Indices, Vectors, nearest_others
from ..llms.gateway import Gateway
from ..records import Row, Verdict
from ..records.codes import Layer
from ..records.ranges import Range
from . import scoring
from .differences import compare
from .duplicate_sweep import CANDIDATES, Keys, Pair, Sweep
from .forecasts import Forecast
from .prompts import load
from .task_text import TaskText
from .texts import clip, normalised

_WIDE = 40  # neighbours among which a large set's candidates are sought
_DOUBTFUL_WRITTEN = 0.1  # share of the written rows that are in doubt, at most
BLOCK = 1024  # rows decided together, before the next are compared with those that stay


class SameTask(BaseModel):
    """What the model says of two rows of the borderline band."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=160)
    same: bool


class RedundancyAgent:
    """Decides which rows repeat another: by text, by words, by embedding, in doubt by the model."""

    def __init__(
        self,
        gateway: Gateway | None,
        candidate: float,
        borderline: float,
        *,
        block: int = BLOCK,
        exact_limit: int = EXACT_LIMIT,
        probes: int = PROBES,
    ) -> None:
        """Take the cosines from which rows are compared, and from which there is a doubt.

        Args:
            gateway: the model that settles doubts, None where the rows' responses do.
            candidate: lowest cosine of two rows that are compared.
            borderline: lowest cosine at which words that differ leave a doubt.
            block: rows decided together; the verdicts are the same for any.
            exact_limit: up to the square of this many pairs (new rows times all rows), a row is
                compared with every other; above, with its neighbours in a graph.
            probes: cells that are searched for a row's neighbours where the graph is not exact.
        """
        self._gateway = gateway
        self._exact_limit = exact_limit
        self._probes = probes
        self._candidate = candidate
        self._borderline = borderline
        self._block = block
        self._keys: dict[str, Keys] = {}

    async def find_duplicates(
        self,
        new: Sequence[Row],
        new_vectors: Vectors,
        kept: Sequence[Row],
        kept_vectors: Vectors,
        *,
        round: int = 0,
    ) -> tuple[list[Verdict], RunStopped | None]:
        """Give a verdict on each new row, in order, against the kept rows and each other.

        Kept rows stay. Of new rows that repeat each other the best stays, by the cheap signals
        and then by order. A row is compared with its `CANDIDATES` nearest rows that stay, and
        with one in the same words: no row that stays is a duplicate of those by
        `differences.compare`. When no model can be asked, or no more, the outputs settle a
        doubt; why asking stopped comes back beside the verdicts.
        """
        if not new:
            return [], None
        quality = [sum(scoring.points(row).values()) for row in new]
        order = sorted(range(len(new)), key=lambda i: -quality[i])
        rows = [*kept, *(new[i] for i in order)]
        vectors = np.concatenate([kept_vectors, new_vectors[order]]) if kept else new_vectors[order]
        sweep = Sweep(rows, [self._key(row) for row in rows], len(kept), self._borderline)
        # A few new rows beside many kept ones are not worth a graph of them all.
        large = len(new) * len(rows) > self._exact_limit**2
        sizes = {"exact_limit": self._exact_limit, "probes": self._probes}
        graph = nearest_others(vectors, _WIDE, **sizes) if large else None
        stopped: RunStopped | None = None
        for block in sweep.blocks(self._block):
            sweep.open(block, vectors, self._near(block, sweep.stay, vectors, graph))
            while questions := sweep.decide():
                if self._gateway is None or stopped:
                    sweep.answers.update(questions)
                else:
                    stopped = await self._settle(sweep, questions, round)
            sweep.close()
        return [sweep.verdicts[row.id] for row in new], stopped

    def _near(
        self,
        block: range,
        stay: Sequence[int],
        vectors: Vectors,
        graph: tuple[Vectors, Indices] | None,
    ) -> list[tuple[Indices, Floats]]:
        """The rows of the block and those that stay which each of the block may repeat."""
        ids = np.asarray([*stay, *block], dtype=np.int64)
        if graph is None:
            found = duplicate_candidates(vectors[block], vectors[stay], self._candidate, CANDIDATES)
            return [(ids[near], cosines) for near, cosines in found]
        open_rows = np.zeros(len(vectors), dtype=bool)
        open_rows[ids] = True
        return graph_candidates(graph, block, open_rows, self._candidate)

    def _key(self, row: Row) -> Keys:
        if row.id not in self._keys:
            parts = (normalised(row.text), TaskText(row).fingerprint)
            form, words = (blake2b(p.encode("utf-8", "replace"), digest_size=12) for p in parts)
            self._keys[row.id] = Keys(form.digest(), words.digest())
        return self._keys[row.id]

    async def _settle(
        self, sweep: Sweep, questions: Mapping[Pair, Verdict], round: int
    ) -> RunStopped | None:
        """Ask the model all that is open; return why it cannot be asked any more, if so."""
        asked = (
            self._ask(verdict, sweep.rows[first], sweep.rows[second], round)
            for (first, second), verdict in questions.items()
        )
        results = await asyncio.gather(*asked, return_exceptions=True)
        stopped: RunStopped | None = None
        for pair, result in zip(questions, results, strict=True):
            if isinstance(result, (BudgetReached, TooManyErrors)):
                stopped = stopped or result
            elif isinstance(result, BaseException):
                raise result
            else:
                sweep.answers[pair] = result
        return stopped

    async def _ask(self, doubt: Verdict, first: Row, second: Row, round: int) -> Verdict:
        assert self._gateway is not None
        size = self._gateway.room(2)
        request = load("same_task").ask(
            first=clip(first.task, size), second=clip(second.task, size)
        )
        answer = await self._gateway.ask_for(
            SameTask, request, agent="redundancy", subject=doubt.row, round=round
        )
        if answer.value is None:
            said = f"{doubt.reason}; the model gave no verdict: {answer.error}"
            return replace(doubt, reason=said)
        return replace(
            doubt, duplicate=answer.value.same, layer=Layer.MODEL, reason=answer.value.reason
        )


def sample_doubts(
    rows: Sequence[Row], vectors: Vectors, candidate: float, borderline: float
) -> tuple[int, int]:
    """How many rows of a sample repeat their nearest other row, and how many are in doubt.

    Args:
        rows: n rows, of which n > 1.
        vectors: their (n, d) unit vectors.
        candidate: lowest cosine of two rows that are compared.
        borderline: lowest cosine at which words that differ leave a doubt.
    """
    cosines, others = nearest_others(vectors, 1)
    tasks = [TaskText(row) for row in rows]
    kinds = [
        compare(tasks[int(other)], task, float(cosine), borderline).kind
        for task, cosine, other in zip(tasks, cosines[:, 0], others[:, 0], strict=True)
        if cosine >= candidate
    ]
    return kinds.count("duplicate"), kinds.count("borderline")


def forecast(seeds: Range, written: Range, doubtful: Range, task_bytes: float) -> list[Forecast]:
    """What it takes to settle doubts.

    Args:
        seeds: seed rows that may be in doubt: those that repeat no other, and all of them.
        written: rows that the run writes.
        doubtful: share of the seeds that are in doubt.
        task_bytes: mean size of a task.
    """
    asked = Range(
        seeds.low * doubtful.low, seeds.high * doubtful.high + written.high * _DOUBTFUL_WRITTEN
    )
    return [Forecast("redundancy", "same_task", asked, 2 * task_bytes)]
