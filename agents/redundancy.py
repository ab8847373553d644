"""The redundancy agent: removes the rows that set a task which another row sets already."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from hashlib import blake2b

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..errors import BudgetReached, RunStopped, TooManyErrors
from ..geometry.duplicates import duplicate_candidates, graph_candidates
from ..geometry.neighbours import EXACT_LIMIT, PROBES, Floats, Indices, Vectors, nearest_others
from ..llms.gateway import Gateway
from ..records import Row, Verdict
from . import scoring
from .differences import Finding, Task, compare
from .prompts import load
from .texts import clip, normalised

CANDIDATES = 10  # rows that each row is compared with at most: its nearest that stay
_WIDE = 40  # neighbours among which a large set's candidates are sought
_BLOCK = 1024  # rows decided together, before the next are compared with those that stay
_READ = 20_000  # tasks kept in memory as they were read

Pair = tuple[int, int]


class SameTask(BaseModel):
    """What the model says of two rows of the borderline band."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=160)
    same: bool


@dataclass(frozen=True, slots=True)
class Keys:
    """Digests that are equal for rows the same but for form, and for tasks in the same words."""

    form: bytes
    words: bytes


class RedundancyAgent:
    """Decides which rows repeat another: by text, by words, by embedding, in doubt by the model."""

    def __init__(
        self,
        gateway: Gateway | None,
        candidate: float,
        borderline: float,
        *,
        exact_limit: int = EXACT_LIMIT,
        probes: int = PROBES,
    ) -> None:
        """Take the cosines from which rows are compared, and from which there is a doubt.

        `exact_limit` and `probes` go to `nearest_others` where a set is large.
        """
        self._gateway = gateway
        self._exact_limit = exact_limit
        self._probes = probes
        self._candidate = candidate
        self._borderline = borderline
        self._keys: dict[str, Keys] = {}

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
        sweep = _Sweep(rows, [self._key(row) for row in rows], len(kept), self._borderline)
        # A few new rows beside many kept ones are not worth a graph of them all.
        large = len(new) * len(rows) > self._exact_limit**2
        sizes = {"exact_limit": self._exact_limit, "probes": self._probes}
        graph = nearest_others(vectors, _WIDE, **sizes) if large else None
        stopped: RunStopped | None = None
        for block in sweep.blocks():
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
            parts = (normalised(row.text), Task(row).fingerprint)
            form, words = (blake2b(p.encode("utf-8", "replace"), digest_size=12) for p in parts)
            self._keys[row.id] = Keys(form.digest(), words.digest())
        return self._keys[row.id]

    async def _settle(
        self, sweep: _Sweep, questions: Mapping[Pair, Verdict], round: int
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
            doubt, duplicate=answer.value.same, layer="model", reason=answer.value.reason
        )


class _Sweep:
    """Goes through rows of which the first `kept` stay, block by block; rows go by their index.

    A block is decided in passes: each goes through its rows in order, by the answers there are,
    and says which doubts are open. A pass without one is the block's outcome: that of deciding
    one row after another.
    """

    def __init__(
        self, rows: Sequence[Row], keys: Sequence[Keys], kept: int, borderline: float
    ) -> None:
        self.rows = rows
        self.answers: dict[Pair, Verdict] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.stay = list(range(kept))
        self._keys = keys
        self._borderline = borderline
        self._task = lru_cache(_READ)(lambda i: Task(rows[i]))
        self._forms: dict[bytes, int] = {}
        self._words: dict[bytes, int] = {}
        for i in self.stay:
            self._forms.setdefault(keys[i].form, i)
            self._words.setdefault(keys[i].words, i)

    def blocks(self) -> Iterator[range]:
        """The new rows, some at a time."""
        for start in range(len(self.stay), len(self.rows), _BLOCK):
            yield range(start, min(start + _BLOCK, len(self.rows)))

    def open(self, block: range, vectors: Vectors, near: Sequence[tuple[Indices, Floats]]) -> None:
        """Begin a block, given the nearest of the rows that stay and of the block for each row."""
        self._block = block
        self._vectors = vectors
        self._near = [(ids.tolist(), cosines.tolist()) for ids, cosines in near]
        self._find: Callable[[int, int, float], Finding] = cache(self._compare)

    def decide(self) -> dict[Pair, Verdict]:
        """Give every row of the block its verdict; return the doubts that no answer settles."""
        forms, words = ChainMap({}, self._forms), ChainMap({}, self._words)
        gone: set[int] = set()
        unsure: set[int] = set()
        questions: dict[Pair, Verdict] = {}
        for i, near in zip(self._block, self._near, strict=True):
            key = self._keys[i]
            verdict, other, doubt = self._verdict(i, near, forms, words, gone)
            if doubt and (other, i) in self.answers:
                verdict = self.answers[other, i]
            elif doubt:
                # What is asked about a row that may go itself waits for the next pass.
                if other not in unsure:
                    questions[other, i] = verdict
                verdict = replace(verdict, duplicate=False)
                unsure.add(i)
            self.verdicts[verdict.row] = verdict
            if verdict.duplicate:
                gone.add(i)
            else:
                forms.setdefault(key.form, i)
                words.setdefault(key.words, i)
        return questions

    def close(self) -> None:
        """Let the rows of the block stay that are no duplicates."""
        for i in self._block:
            if not self.verdicts[self.rows[i].id].duplicate:
                self.stay.append(i)
                self._forms.setdefault(self._keys[i].form, i)
                self._words.setdefault(self._keys[i].words, i)

    def _verdict(
        self,
        i: int,
        near: tuple[Sequence[int], Sequence[float]],
        forms: Mapping[bytes, int],
        words: Mapping[bytes, int],
        gone: set[int],
    ) -> tuple[Verdict, int, bool]:
        """A row's verdict, the row it is about, and whether it is in doubt."""
        row, key = self.rows[i], self._keys[i]
        if (copy := forms.get(key.form, -1)) >= 0:
            layer, said = "normalised", "the same but for form"
            if self.rows[copy].text == row.text:
                layer, said = "exact", "the same text"
            return Verdict(row.id, True, layer, self.rows[copy].id, 1.0, said), copy, False
        others = [(j, c) for j, c in zip(*near, strict=True) if j not in gone][:CANDIDATES]
        alike = words.get(key.words, -1)
        if alike >= 0:
            others.insert(0, (alike, float(self._vectors[alike] @ self._vectors[i])))
        found = [(j, c, self._find(j, i, c)) for j, c in others]
        for kind in ("duplicate", "borderline"):
            for j, cosine, finding in found:
                if finding.kind == kind:
                    layer = "lexical" if j == alike else "semantic"
                    verdict = Verdict(
                        row.id, finding.same, layer, self.rows[j].id, cosine, finding.evidence
                    )
                    return verdict, j, kind == "borderline"
        if not found:
            return Verdict(row.id, False, "none"), -1, False
        j, cosine, finding = found[0]
        return Verdict(row.id, False, "none", self.rows[j].id, cosine, finding.evidence), j, False

    def _compare(self, first: int, second: int, cosine: float) -> Finding:
        return compare(self._task(first), self._task(second), cosine, self._borderline)
