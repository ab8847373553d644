"""The generator: picks parents in a subspace, fuses them into a new task, and answers it."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from pydantic import BaseModel, ConfigDict

from ..geometry.neighbours import Vectors
from ..llms.gateway import Gateway, Request
from ..records import Row, Subspace, Task, row_id
from .checks import answer_fault, task_fault
from .prompts import load
from .texts import clip

_REACH = 12  # nearest rows to a centre among which parents are sought, at least
_LABEL = re.compile(r"^\s*(new |fused |final )?(task|instruction)\s*:\s*", re.IGNORECASE)
_INPUT = re.compile(r"^\s*input\s*:\s*", re.IGNORECASE | re.MULTILINE)
_NO_INPUT = ("", "none", "n/a", "no input", "(none)", "none.")


class WrittenTask(BaseModel):
    """A task as a model writes it in plain text: the instruction, then perhaps `Input:`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instruction: str
    input: str = ""

    @classmethod
    def read(cls, text: str) -> WrittenTask:
        """Separate the instruction from its input; drop a leading label and quotes."""
        instruction, *rest = _INPUT.split(_LABEL.sub("", text.strip()), maxsplit=1)
        given = rest[0].strip() if rest else ""
        instruction = instruction.strip()
        if len(instruction) > 2 and instruction[0] == instruction[-1] == '"':
            instruction = instruction[1:-1].strip()
        return cls(instruction=instruction, input="" if given.casefold() in _NO_INPUT else given)

    @property
    def task(self) -> str:
        """The task as the answering model sees it."""
        return f"{self.instruction}\nInput: {self.input}" if self.input else self.instruction


@dataclass(frozen=True, slots=True)
class Draft:
    """What became of a task: a row, or the reason for which there is none.

    `outcome` is row, rejected (what was written is no use) or quarantined (a call failed);
    `written` is the instruction that the model wrote, if it came so far.
    """

    outcome: str
    reason: str = ""
    written: str = ""
    row: Row | None = None


class Generator:
    """Writes rows into subspaces by fusing seed rows, or deepens single rows."""

    def __init__(self, gateway: Gateway, seed: int) -> None:
        self._gateway = gateway
        self._seed = seed

    def plan(
        self,
        subspaces: Sequence[Subspace],
        candidates: Sequence[Row],
        vectors: Vectors,
        used: Collection[frozenset[str]],
        *,
        round: int,
        position: int,
    ) -> list[Task]:
        """Choose two parents for each task of each subspace's quota.

        Pairs inside the subspace come first, because their fusions land there most often; then
        those with one parent inside, then pairs just outside. No pair of `used` comes again.

        Args:
            subspaces: with their quotas.
            candidates: rows that may be parents.
            vectors: their (n, d) unit vectors.
            used: the pairs of earlier tasks, by row id.
            round: number of the round.
            position: position of the first task; the rows they make keep it.
        """
        tasks: list[Task] = []
        if len(candidates) < 2:
            return tasks
        taken = set(used)
        for subspace in subspaces:
            pairs = self._pairs(subspace, candidates, vectors, taken)
            for pair in pairs[: subspace.quota]:
                taken.add(frozenset(pair))
                tasks.append(
                    Task(
                        id=f"r{round}-{len(tasks) + 1:04d}",
                        position=position + len(tasks),
                        round=round,
                        strategy="fusion",
                        parents=pair,
                        subspace=subspace.id,
                    )
                )
        return tasks

    def _pairs(
        self,
        subspace: Subspace,
        candidates: Sequence[Row],
        vectors: Vectors,
        taken: Collection[frozenset[str]],
    ) -> list[tuple[str, str]]:
        distance = 1 - vectors @ np.asarray(subspace.centre, dtype=np.float32)
        inside = int(np.count_nonzero(distance <= subspace.radius))
        reach = max(_REACH, inside + 2)
        nearest = np.argsort(distance, kind="stable")[:reach]
        dice = random.Random(f"{self._seed} {subspace.id} {subspace.round}")
        ranked: list[tuple[int, float, tuple[str, str]]] = []
        for i, j in combinations(range(len(nearest)), 2):
            pair = (candidates[nearest[i]].id, candidates[nearest[j]].id)
            if frozenset(pair) not in taken:
                outside = int(i >= inside) + int(j >= inside)
                ordered = pair if dice.random() < 0.5 else pair[::-1]
                ranked.append((outside, dice.random(), ordered))
        return [pair for _, _, pair in sorted(ranked)]

    async def write(self, task: Task, parents: Sequence[Row], subspace: Subspace | None) -> Draft:
        """Carry out one task: write the instruction, check it, answer it, check the answer."""
        request = self._request(task, parents, subspace)
        answer = await self._gateway.ask(
            request,
            agent="generator",
            subject=task.id,
            round=task.round,
        )
        if answer.error:
            return Draft("quarantined", f"no task: {answer.error}")
        written = WrittenTask.read(answer.text)
        fault = task_fault(
            written.instruction,
            written.input,
            [parent.task for parent in parents],
            prompt=load(request.prompt.partition("@")[0]).own_text,
            truncated=answer.truncated,
        )
        if fault:
            return Draft("rejected", fault, answer.text)
        reply = await self._gateway.ask(
            load("answer_small" if self._gateway.backend.small else "answer").ask(
                task=written.task
            ),
            agent="generator",
            subject=task.id,
            round=task.round,
        )
        if reply.error:
            return Draft("quarantined", f"no answer: {reply.error}", answer.text)
        fault = answer_fault(written.task, reply.text, reply.truncated)
        if fault:
            return Draft("rejected", fault, answer.text)
        row = Row(
            # The position keeps two rows apart on which the model happens to write the same.
            id=row_id(written.instruction, written.input, reply.text, occurrence=task.position),
            position=task.position,
            instruction=written.instruction,
            input=written.input,
            output=reply.text,
            origin="generated",
            round=task.round,
            strategy=task.strategy,
            parents=task.parents,
            subspace=task.subspace,
        )
        return Draft("row", "", answer.text, row)

    def _request(self, task: Task, parents: Sequence[Row], subspace: Subspace | None) -> Request:
        size = self._gateway.room(3)
        if task.strategy == "deepen":
            family = "deepen_code" if is_code(parents[0]) else "deepen"
            return load(family).ask(task=clip(parents[0].task, size))
        assert subspace is not None
        family = "fuse_code" if all(is_code(parent) for parent in parents) else "fuse"
        return load(family).ask(
            first=clip(parents[0].task, size),
            second=clip(parents[1].task, size),
            subspace=subspace.name,
            # A small model writes about the brief instead of the tasks.
            brief="" if self._gateway.backend.small else subspace.brief,
        )


_CODE_TASK = re.compile(
    r"```|\b(code|function|program|script|python|java(script)?|c\+\+|c#|sql|query|html|css|bash|"
    r"regex|algorithm|compile|debug|api|golang|rust|php|ruby|kotlin|swift)\b",
    re.IGNORECASE,
)


def is_code(row: Row) -> bool:
    """Whether a row is a programming task, for which there is a family of prompts."""
    return bool(_CODE_TASK.search(row.instruction))
