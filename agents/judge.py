"""The judge: scores rows by the rubric of the LIFT paper (arXiv 2312.11508), breaks near-ties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..geometry.neighbours import Floats
from ..llms.gateway import Gateway
from ..records import PairwiseComparison, Row, Score
from ..records.ranges import Range
from . import scoring
from .acceptance import REPEATED
from .corpus_statistics import CorpusStatistics
from .final_score import final_score
from .forecasts import REPAIRS, Forecast
from .prompts import load
from .texts import clip

PRECOMPUTED = "given"  # the reason of a score that the user gave
ATTEMPTS = 3  # at one judgement, before it has failed
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
        self, gateway: Gateway | None, length_cap: float, statistics: CorpusStatistics | None = None
    ) -> None:
        """Take the length in characters at which the length score reaches 100.

        Without a gateway the cheap signals score, beside the `statistics` of the run's rows.
        """
        self._gateway = gateway
        self._length_cap = length_cap
        self._statistics = statistics

    async def score(self, row: Row, *, round: int = 0, samples: int = 1) -> Score:
        """Score one row; a judgement that fails three times comes back as `failed`.

        With several `samples` the row is judged so often, the first time at the prompt's own
        temperature and then at 0.7, and its score is the mean; repetitions that fail are left out.
        """
        if self._gateway is None:
            parts = scoring.points(row, self._statistics)
            return final_score(
                row, sum(parts.values()), self._length_cap, scoring.reason(parts), parts
            )
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
        return final_score(
            row,
            sum(totals) / len(totals),
            self._length_cap,
            rubrics[0].reason,
            parts,
            judgements=totals if len(totals) > 1 else (),
            concatenation=row.strategy == "fusion" and rubrics[0].concatenation,
        )

    async def compare(self, first: Row, second: Row, *, round: int = 0) -> PairwiseComparison:
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
                return PairwiseComparison(first.id, second.id, failed=answer.error)
            ids = {"first": one.id, "second": other.id, "equal": ""}
            preferred.append(ids[answer.value.better])
            reasons.append(answer.value.reason)
        return PairwiseComparison(first.id, second.id, preferred[0], preferred[1], reasons[0])


class PrecomputedScores:
    """Stands in for the judge where the user gives the judge scores, by the row's position."""

    def __init__(self, judged: Floats, length_cap: float) -> None:
        self._judged = judged
        self._length_cap = length_cap

    async def score(self, row: Row, *, round: int = 0, samples: int = 1) -> Score:
        """Combine the row's precomputed score with its length score."""
        return final_score(row, float(self._judged[row.position]), self._length_cap, PRECOMPUTED)


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


def forecast(
    judged: Range, pool: Range, row_bytes: float, *, samples: int, tie_breaks: int
) -> list[Forecast]:
    """What it takes one judge to score rows and to break near-ties.

    Args:
        judged: rows that are judged.
        pool: usable rows, of which some are judged several times.
        row_bytes: mean size of a row.
        samples: how often these are judged.
        tie_breaks: most pairs that are compared, in both orders.
    """
    repeated = Range(min(REPEATED, pool.low), min(REPEATED, pool.high))
    scored = judged.plus(repeated.times(Range(samples - 1, samples - 1)))
    calls = [Forecast("judge", "judge", scored.times(Range(1, REPAIRS)), row_bytes)]
    if tie_breaks:
        pairs = Range(0, 2 * tie_breaks)
        calls.append(Forecast("judge", "compare", pairs.times(Range(1, REPAIRS)), 2 * row_bytes))
    return calls
