"""The generator: chooses parents and a strategy, has a task written, and has it answered.

Three strategies: fusion of two or three rows into one task that needs all of them, deepening of
one row by one named means, and a new answer to a row whose own is poor.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from ..geometry.neighbours import Vectors
from ..geometry.parents import parent_sets
from ..llms.gateway import Gateway
from ..llms.messages import Request
from ..records import Row, Score, Subspace, Tally, Task, row_id
from .checks import answer_fault, task_fault
from .prompts import load
from .rates import ACROSS, ANSWER, DEEPEN, INSIDE, OUTSIDE, OUTSIDE_THREE, Arm, Rates
from .texts import clip, words

ANSWERS = 0.25  # largest share of a round's tasks that are new answers, if all of them are better
_MEANS = {
    "constraint": "Add one constraint.",
    "rarer case": "Ask for a rarer case.",
    "precise notion": "Replace a general notion by a precise one.",
    "more steps": "Require one more step of reasoning.",
}
_CODE_MEANS = {
    "constraint": "Add one constraint.",
    "rarer requirement": "Replace a common requirement by a rarer one.",
    "more steps": "Require one more step.",
    "misleading code": "Give a short piece of wrong code as a misleading hint.",
    "complexity bound": "Set a limit on time or memory.",
}
_COUNTS = {2: "two", 3: "three"}
_LABEL = re.compile(r"^\s*(new |fused |final )?(task|instruction)\s*:\s*", re.IGNORECASE)
_INPUT_WORDS = (
    "inputs?|eingaben?|entrées?|entradas?|ingressi|ingresso|invoer|indata|dane wejściowe|wejście|"
    "girdi|ввод|входные данные|вхідні дані|είσοδος|קלט|المدخلات|مدخلات|المدخل|ورودی|इनपुट|ইনপুট|"
    "输入|輸入|入力|입력|อินพุต|đầu vào|masukan"
)
# At the start of a line, or after the end of a sentence on the same line.
_INPUT = re.compile(
    rf"(?:^[ \t]*|(?<=[.?!。？！:])[ \t]+)[*_#]*(?:{_INPUT_WORDS})[*_]*\s*[:：][*_]*[ \t]*\n?",
    re.IGNORECASE | re.MULTILINE,
)
_NO_INPUT = ("", "none", "n/a", "no input", "(none)", "none.", "keine", "aucune", "无", "なし", "-")


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
    """Writes rows into subspaces by fusing or deepening seed rows; answers poor seeds anew."""

    def __init__(self, gateway: Gateway, seed: int) -> None:
        self._gateway = gateway
        self._seed = seed

    def to_answer(
        self,
        seeds: Sequence[Row],
        scores: Mapping[str, Score],
        used: Collection[frozenset[str]],
        tallies: Mapping[tuple[str, str, str], Tally],
        *,
        size: int,
    ) -> list[Row]:
        """Choose the seeds whose instruction is good and whose response is to be written anew.

        At most a quarter of the `size` tasks of a round, times the rate at which such answers
        proved better so far; the poorest responses first.
        """
        most = int(size * ANSWERS * Rates(tallies).mean(ANSWER))
        poor = []
        for row in seeds:
            if row.id in scores and frozenset([row.id]) not in used:
                need = response_need(row, scores[row.id])
                if need > 0:
                    poor.append((-need, row.position, row))
        return [row for _, _, row in sorted(poor, key=lambda found: found[:2])[:most]]

    def plan(
        self,
        subspaces: Sequence[Subspace],
        candidates: Sequence[Row],
        vectors: Vectors,
        used: Collection[frozenset[str]],
        *,
        round: int,
        position: int,
        answers: Sequence[Row] = (),
        tallies: Mapping[tuple[str, str, str], Tally] | None = None,
    ) -> list[Task]:
        """Choose strategy and parents for each task of each subspace's quota.

        Where two or more candidates lie in the subspace, both parents do, or one of them; where
        one does, it is fused with one beside it, or two beside it with each other; where none
        does, two or three beside it. Single rows inside are deepened. Which of these gets a task
        follows what landed and was accepted before (`Rates`). No set of `used` comes again.

        Args:
            subspaces: with their quotas.
            candidates: rows that may be parents.
            vectors: their (n, d) unit vectors.
            used: the sets of parents of earlier tasks, by row id.
            round: number of the round.
            position: position of the first task; the rows they make keep it.
            answers: rows to be answered anew, before anything else.
            tallies: what came of earlier tasks, by subspace, strategy and rule.
        """
        planned: list[tuple[Arm, tuple[str, ...], str]] = [
            (("answer", "poor response"), (row.id,), "") for row in answers
        ]
        rates = Rates(tallies or {})
        taken = {*used, *(frozenset([row.id]) for row in answers)}
        for subspace in subspaces if len(candidates) >= 2 else ():
            dice = random.Random(f"{self._seed} {subspace.id} {round}")
            sources = _Sources(subspace, candidates, vectors, taken, self._small)
            for slot in range(subspace.quota):
                while sources.open:
                    arm = rates.draw(sources.open, subspace.id, dice)
                    parents = sources.next(arm)
                    if parents:
                        break
                else:
                    break
                if arm == DEEPEN:
                    arm = ("deepen", means_of(sources.row(parents[0]), round + slot))
                elif len(parents) > 1:
                    parents = tuple(dice.sample(parents, len(parents)))
                planned.append((arm, parents, subspace.id))
        return [
            Task(f"r{round}-{i + 1:04d}", position + i, round, strategy, parents, where, rule)
            for i, ((strategy, rule), parents, where) in enumerate(planned)
        ]

    @property
    def _small(self) -> bool:
        return self._gateway is not None and self._gateway.backend.small

    async def write(self, task: Task, parents: Sequence[Row], subspace: Subspace | None) -> Draft:
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
                return Draft("quarantined", f"no task: {drafted.error}")
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
            load("answer_small" if self._small else "answer").ask(task=written.task),
            agent="generator",
            subject=task.id,
            round=task.round,
        )
        if reply.error:
            return Draft("quarantined", f"no answer: {reply.error}", text)
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

    def _request(self, task: Task, parents: Sequence[Row], subspace: Subspace | None) -> Request:
        size = self._gateway.room(len(parents) + 1)
        if task.strategy == "deepen":
            code = is_code(parents[0])
            means = _CODE_MEANS if code else _MEANS
            return load("deepen_code" if code else "deepen").ask(
                means=means[task.rule], task=clip(parents[0].task, size)
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
            brief="" if self._small else subspace.brief,
            room="" if self._small else room,
        )


class _Sources:
    """The sets of parents that each way of making rows has left for one subspace."""

    def __init__(
        self,
        subspace: Subspace,
        candidates: Sequence[Row],
        vectors: Vectors,
        taken: set[frozenset[str]],
        small: bool,
    ) -> None:
        self._centre = np.asarray(subspace.centre, dtype=np.float32)
        self._rows, self._vectors, self._taken = candidates, vectors, taken
        self._place = {row.id: i for i, row in enumerate(candidates)}
        self._quota = subspace.quota
        distance = 1 - vectors @ self._centre
        self._inside = distance <= subspace.radius
        self._order = np.argsort(distance, kind="stable")
        inside = int(np.count_nonzero(self._inside))
        outside = [OUTSIDE] if small else [OUTSIDE, OUTSIDE_THREE]
        # The second group serves when the first has nothing left.
        groups = {0: [outside], 1: [[ACROSS, DEEPEN, *outside]]}
        self._groups = groups.get(inside, [[INSIDE, ACROSS, DEEPEN], outside])
        self._left: dict[Arm, Iterator[tuple[str, ...]]] = {}
        self._done: set[Arm] = set()

    @property
    def open(self) -> list[Arm]:
        """The arms that may have parents left."""
        for group in self._groups:
            arms = [arm for arm in group if arm not in self._done]
            if arms:
                return arms
        return []

    def row(self, id: str) -> Row:
        """The candidate with this id."""
        return self._rows[self._place[id]]

    def next(self, arm: Arm) -> tuple[str, ...]:
        """The next parents of an arm, which are taken from now on; none when it has no more."""
        if arm not in self._left:
            self._left[arm] = iter(self._parents(arm))
        for parents in self._left[arm]:
            if frozenset(parents) not in self._taken:
                self._taken.add(frozenset(parents))
                return parents
        self._done.add(arm)
        return ()

    def _parents(self, arm: Arm) -> list[tuple[str, ...]]:
        if arm == DEEPEN:
            return [(self._rows[i].id,) for i in self._order if self._inside[i]]
        found = parent_sets(
            self._vectors,
            self._centre,
            3 if arm == OUTSIDE_THREE else 2,
            self._quota,
            inside=self._inside,
            of_inside={INSIDE: 2, ACROSS: 1}.get(arm, 0),
            used={
                frozenset(self._place[id] for id in parents)
                for parents in self._taken
                if all(id in self._place for id in parents)
            },
        )
        return [tuple(self._rows[i].id for i in parents.members) for parents in found]


def means_of(row: Row, turn: int) -> str:
    """The means by which a row is deepened: those of its family, in rotation."""
    means = list(_CODE_MEANS if is_code(row) else _MEANS)
    return means[turn % len(means)]


def response_need(row: Row, score: Score) -> float:
    """How much a row needs a better response to a good instruction, above 0 if it does, up to 1.

    By the judge's rubric: clarity and difficulty come to at least half of their 40 points,
    explanations and accuracy to less than half of their 60. By cheap signals, which say nothing
    about an instruction: it is whole, and the response has a fault that has a name.
    """
    parts = score.parts
    if score.failed:
        return 0.0
    if {"clarity", "difficulty", "explanations", "accuracy"} <= set(parts):
        asked = (parts["clarity"] + parts["difficulty"]) / 40
        said = (parts["explanations"] + parts["accuracy"]) / 60
        return asked - said if asked >= 0.5 > said else 0.0
    whole = len(words(row.instruction)) >= 4
    return 1 - score.judge / 101 if whole and answer_fault(row.task, row.output, False) else 0.0


_CODE_TASK = re.compile(
    r"```|\b(code|function|program|script|python|java(script)?|c\+\+|c#|sql|query|html|css|bash|"
    r"regex|algorithm|compile|debug|api|golang|rust|php|ruby|kotlin|swift)\b",
    re.IGNORECASE,
)


def is_code(row: Row) -> bool:
    """Whether a row is a programming task, for which there is a family of prompts."""
    return bool(_CODE_TASK.search(row.instruction))
