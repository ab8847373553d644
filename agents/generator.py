"""The generator: has a task written and answered, and says what is wrong with either.

Three strategies: fusion of two or three rows into one task that needs all of them, deepening of
one row by one named means, and a new answer to a row whose own is poor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..llms.gateway import Gateway
from ..llms.messages import Request
from ..records import GenerationTask, Row, Subspace, row_id
from ..records.codes import DraftFault, TaskOutcome, Why
from ..records.ranges import Range
from .code import is_code
from .deepening import means_text
from .draft_faults import answer_fault, task_fault
from .forecasts import Forecast
from .prompts import load
from .task_planning import ANSWER_SHARE
from .texts import clip, words
from .written_task import WrittenTask

_COUNTS = {2: "two", 3: "three"}
_ANSWERED = (0.5, 1.0)  # share of the drafts that pass their checks and so are answered


@dataclass(frozen=True, slots=True)
class Draft:
    """What became of a task: a row, or the reason for which there is none.

    `outcome` is row, rejected (what was written is no use) or quarantined (a call failed), with
    the `fault` and its `detail`, the model's error. `written` is the instruction that the model
    wrote, if it came so far.
    """

    outcome: TaskOutcome
    fault: DraftFault | Literal[""] = ""
    written: str = ""
    row: Row | None = None
    detail: str = ""

    @property
    def reason(self) -> Why:
        """The fault with its detail."""
        return Why(self.fault, self.detail)


class Generator:
    """Writes rows into subspaces by fusing or deepening seed rows; answers poor seeds anew."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @property
    def small(self) -> bool:
        """Whether a small model writes: it gets shorter prompts, and never three rows to fuse."""
        return self._gateway.backend.small

    @property
    def concurrency(self) -> int:
        """Most tasks that are worth carrying out at once."""
        return self._gateway.concurrency

    async def write(
        self, task: GenerationTask, parents: Sequence[Row], subspace: Subspace | None
    ) -> Draft:
        """Carry out one task: write the instruction, check it, answer it, check the answer."""
        if task.strategy == "answer":
            parent = parents[0]
            text, written = "", WrittenTask(instruction=parent.instruction, input=parent.input)
        else:
            request = self._request(task, parents, subspace)
            drafted = await self._gateway.ask(
                request, agent="generator", subject=task.id, round=task.round
            )
            if drafted.error:
                return Draft("quarantined", DraftFault.NO_TASK, detail=drafted.error)
            text, written = drafted.text, WrittenTask.read(drafted.text)
            fault = task_fault(
                written.instruction,
                written.input,
                [parent.task for parent in parents],
                prompt=load(request.prompt.partition("@")[0]).own_text,
                truncated=drafted.truncated,
            )
            if fault:
                return Draft("rejected", fault, text)
        reply = await self._gateway.ask(
            load("answer_small" if self.small else "answer").ask(task=written.task),
            agent="generator",
            subject=task.id,
            round=task.round,
        )
        if reply.error:
            return Draft("quarantined", DraftFault.NO_ANSWER, text, detail=reply.error)
        fault = answer_fault(written.task, reply.text, reply.truncated)
        if fault:
            return Draft("rejected", fault, text)
        row = Row(
            # The position keeps two rows apart on which the model happens to write the same.
            id=row_id(written.instruction, written.input, reply.text, occurrence=task.position),
            position=task.position,
            instruction=written.instruction,
            input=written.input,
            output=reply.text,
            system=parents[0].system if task.strategy == "answer" else "",
            origin="generated",
            round=task.round,
            strategy=task.strategy,
            parents=task.parents,
            subspace=task.subspace,
        )
        return Draft("row", "", text, row)

    def _request(
        self, task: GenerationTask, parents: Sequence[Row], subspace: Subspace | None
    ) -> Request:
        size = self._gateway.room(len(parents) + 1)
        if task.strategy == "deepen":
            return load("deepen_code" if is_code(parents[0]) else "deepen").ask(
                means=means_text(parents[0], task.rule), task=clip(parents[0].task, size)
            )
        assert subspace is not None
        shown = [clip(parent.task, size) for parent in parents]
        # More room than for its parents would be filled with tasks that are only joined.
        longest = max(30, sum(len(words(text)) for text in shown))
        room = f" in at most {longest} words, one step harder than the hardest of these"
        family = "fuse_code" if all(is_code(parent) for parent in parents) else "fuse"
        return load(family).ask(
            count=_COUNTS[len(parents)],
            tasks="\n\n".join(
                f"Task {letter}: {text}" for letter, text in zip("ABC", shown, strict=False)
            ),
            subspace=subspace.name,
            # A small model writes about the brief, or about the limit, instead of the tasks.
            brief="" if self.small else subspace.brief,
            room="" if self.small else room,
        )


def forecast(tasks: Range, task_bytes: float, *, rewriting: bool) -> list[Forecast]:
    """What it takes to write and answer tasks.

    Args:
        tasks: tasks of the run.
        task_bytes: mean size of a task.
        rewriting: whether each task deepens one row, as in the recipe paper; else most fuse two.
    """
    if rewriting:
        drafts = Forecast("generator", "deepen", tasks, task_bytes, in_words=True)
    else:
        # A new answer to a seed needs no draft.
        drafted = tasks.times(Range(1 - ANSWER_SHARE, 1))
        drafts = Forecast("generator", "fuse", drafted, 2 * task_bytes, in_words=True)
    answered = tasks.times(Range(*_ANSWERED))
    answers = Forecast("generator", "answer", answered, task_bytes, "answer_small", in_words=True)
    return [drafts, answers]
