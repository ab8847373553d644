"""The judge: scores rows by the rubric of the LIFT paper (arXiv 2312.11508), breaks near-ties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..geometry.neighbours import Floats
from ..llms.gateway import Gateway
from ..records import Duel, Row, Score
from . import scoring
from .corpus_statistics import CorpusStatistics
from .calibration import JUDGE_WEIGHT, LENGTH_WEIGHT
from .prompts import load
from .texts import clip

ATTEMPTS = 3  # at one judgement, before it has failed
REPEATED = 30  # rows that are judged several times where the judge's noise is measured
REPEAT_TEMPERATURE = 0.7  # at 0 a model mostly repeats its words, which says nothing of its doubt


class Rubric(BaseModel):
    """What the model says of a row: points by criterion, 100 in all, and why."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=200)
    clarity: int = Field(ge=0, le=15)
    difficulty: int = Field(ge=0, le=25)
    explanations: int = Field(ge=0, le=25)
    accuracy: int = Field(ge=0, le=35)
    concatenation: bool

    @property
    def points(self) -> dict[str, int]:
        """The points by criterion."""
        return self.model_dump(exclude={"reason", "concatenation"})


class Preference(BaseModel):
    """What the model says of two rows."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=200)
    better: Literal["first", "second", "equal"]


class Judge:
    """Scores a row by a model; without one, by cheap signals of its text."""

    def __init__(
        self, gateway: Gateway | None, longest: float, background: CorpusStatistics | None = None
    ) -> None:
        """Take the length in characters at which the length score reaches 100.

        The cheap signals hold rows against the `background`, where there is one.
        """
        self._gateway = gateway
        self._longest = longest
        self._background = background

    async def score(self, row: Row, *, round: int = 0, samples: int = 1) -> Score:
        """Score one row; a judgement that fails three times comes back as `failed`.

        With several `samples` the row is judged so often, the first time at the prompt's own
        temperature and then at 0.7, and its score is the mean; repetitions that fail are left out.
        """
        if self._gateway is None:
            parts = scoring.points(row, self._background)
            return combined(row, sum(parts.values()), self._longest, scoring.reason(parts), parts)
        rubrics: list[Rubric] = []
        for number in range(samples):
            answer = await self._judgement(self._gateway, row, number, round)
            if isinstance(answer, Rubric):
                rubrics.append(answer)
            elif number == 0:
                return Score(row.id, failed=answer)
        return self._mean(row, rubrics)

    async def _judgement(self, gateway: Gateway, row: Row, number: int, round: int) -> Rubric | str:
        """Ask for one judgement; return it, or the cause for which there is none."""
        error = ""
        for attempt in range(ATTEMPTS):
            request = load("judge").ask(
                **_shown(row, gateway.room(3)),
                sample=number * ATTEMPTS + attempt,
                temperature=REPEAT_TEMPERATURE if number else None,
            )
            answer = await gateway.ask_for(
                Rubric, request, agent="judge", subject=row.id, round=round
            )
            if answer.value:
                return answer.value
            error = answer.error
        return error

    def _mean(self, row: Row, rubrics: Sequence[Rubric]) -> Score:
        totals = tuple(float(sum(rubric.points.values())) for rubric in rubrics)
        parts: Mapping[str, float] = rubrics[0].points
        if len(rubrics) > 1:
            parts = {
                name: round(sum(rubric.points[name] for rubric in rubrics) / len(rubrics), 2)
                for name in parts
            }
        return combined(
            row,
            sum(totals) / len(totals),
            self._longest,
            rubrics[0].reason,
            parts,
            judgements=totals if len(totals) > 1 else (),
            concatenation=row.strategy == "fusion" and rubrics[0].concatenation,
        )

    async def compare(self, first: Row, second: Row, *, round: int = 0) -> Duel:
        """Ask which of two rows is better, in both orders.

        Judges favour a place, the more so the closer the two are (arXiv 2305.17926, 2406.07791);
        a verdict that both orders share owes nothing to that.
        """
        assert self._gateway is not None
        preferred: list[str] = []
        reasons: list[str] = []
        size = self._gateway.room(6)
        for one, other in ((first, second), (second, first)):
            shown = _shown(one, size, "first_") | _shown(other, size, "second_")
            answer = await self._gateway.ask_for(
                Preference,
                load("compare").ask(**shown, sample=0, temperature=None),
                agent="judge",
                subject=first.id,
                round=round,
            )
            if answer.value is None:
                return Duel(first.id, second.id, failed=answer.error)
            ids = {"first": one.id, "second": other.id, "equal": ""}
            preferred.append(ids[answer.value.better])
            reasons.append(answer.value.reason)
        return Duel(first.id, second.id, preferred[0], preferred[1], reasons[0])


class PrecomputedScores:
    """Stands in for the judge where the judge scores are given, by the position of the row."""

    def __init__(self, judged: Floats, longest: float) -> None:
        self._judged = judged
        self._longest = longest

    async def score(self, row: Row, *, round: int = 0, samples: int = 1) -> Score:
        """Combine the row's given score with its length score."""
        return combined(row, float(self._judged[row.position]), self._longest, "given")


def combined(
    row: Row,
    judge: float,
    longest: float,
    reason: str,
    parts: Mapping[str, float] | None = None,
    *,
    judgements: tuple[float, ...] = (),
    concatenation: bool = False,
    panel: Mapping[str, Mapping[str, float]] | None = None,
) -> Score:
    """Combine judge score and length score as the paper does: 0.9 × judge + 0.1 × length.

    The length score is 100 × length / `longest`, at most 100.
    """
    length = min(100.0, 100.0 * text_length(row) / longest)
    final = JUDGE_WEIGHT * judge + LENGTH_WEIGHT * length
    return Score(
        *(row.id, judge, length, final, parts or {}, reason, ""),
        *(judgements, concatenation, panel or {}),
    )


def text_length(row: Row) -> int:
    """The paper's length of a row: characters of its texts without tabs and line ends."""
    text = row.instruction + row.input + row.output
    return len(text) - text.count("\t") - text.count("\n")


def _shown(row: Row, size: int | None, prefix: str = "") -> dict[str, str]:
    """A row's texts as the judge sees them, each cut to `size` bytes."""
    return {
        f"{prefix}instruction": clip(_asked(row), size),
        f"{prefix}input": clip(row.input, size),
        f"{prefix}response": clip(row.output, size),
    }


def _asked(row: Row) -> str:
    """The instruction as the judge sees it: a conversation's earlier turns stand before it."""
    turns = [f"User: {ask}\nAssistant: {answer}" for ask, answer in row.history]
    return "\n".join([*turns, row.instruction])
