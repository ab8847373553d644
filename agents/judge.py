"""The judge: scores rows by the rubric of the LIFT paper (arXiv 2312.11508)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from ..geometry.neighbours import Floats
from ..llms.gateway import Gateway
from ..records import Row, Score
from . import signals
from .prompts import load
from .texts import clip

SAMPLES = 3  # judgements tried before a row is quarantined


class Rubric(BaseModel):
    """What the model says of a row: points by criterion, 100 in all, and why."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=200)
    clarity: int = Field(ge=0, le=15)
    difficulty: int = Field(ge=0, le=25)
    explanations: int = Field(ge=0, le=25)
    accuracy: int = Field(ge=0, le=35)

    @property
    def points(self) -> dict[str, int]:
        """The points by criterion."""
        return self.model_dump(exclude={"reason"})


class Judge:
    """Scores a row by a model; without one, by cheap signals of its text."""

    def __init__(self, gateway: Gateway | None, longest: float) -> None:
        """Take the length in characters at which the length score reaches 100."""
        self._gateway = gateway
        self._longest = longest

    async def score(self, row: Row, *, round: int = 0) -> Score:
        """Score one row; a judgement that fails three times comes back as `failed`."""
        if self._gateway is None:
            parts = signals.points(row)
            return combined(row, sum(parts.values()), self._longest, signals.reason(parts), parts)
        size = self._gateway.room(3)
        error = ""
        for sample in range(SAMPLES):
            request = load("judge").ask(
                instruction=clip(_asked(row), size),
                input=clip(row.input, size),
                response=clip(row.output, size),
                sample=sample,
            )
            answer = await self._gateway.ask_for(
                Rubric, request, agent="judge", subject=row.id, round=round
            )
            if answer.value:
                parts, reason = answer.value.points, answer.value.reason
                return combined(row, sum(parts.values()), self._longest, reason, parts)
            error = answer.error
        return Score(row.id, failed=error)


class GivenScores:
    """Stands in for the judge where the judge scores are given, by the position of the row."""

    def __init__(self, judged: Floats, longest: float) -> None:
        self._judged = judged
        self._longest = longest

    async def score(self, row: Row, *, round: int = 0) -> Score:
        """Combine the row's given score with its length score."""
        return combined(row, float(self._judged[row.position]), self._longest, "given")


def combined(
    row: Row, judge: float, longest: float, reason: str, parts: Mapping[str, int] | None = None
) -> Score:
    """Combine judge score and length score as the paper does: 0.9 × judge + 0.1 × length.

    The length score is 100 × length / `longest`, at most 100.
    """
    length = min(100.0, 100.0 * text_length(row) / longest)
    final = 0.9 * judge + 0.1 * length
    return Score(row.id, judge, length, final, parts or {}, reason)


def text_length(row: Row) -> int:
    """The paper's length of a row: characters of its texts without tabs and line ends."""
    text = row.instruction + row.input + row.output
    return len(text) - text.count("\t") - text.count("\n")


def _asked(row: Row) -> str:
    """The instruction as the judge sees it: a conversation's earlier turns stand before it."""
    turns = [f"User: {ask}\nAssistant: {answer}" for ask, answer in row.history]
    return "\n".join([*turns, row.instruction])
