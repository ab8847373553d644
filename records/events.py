"""What happens in a run, as its nodes and jobs announce it: typed facts, no sentences.

Whoever starts a run passes an `Emit`, which gets every event, in order and in the thread of the
run. `views.events` words them for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from .codes import Why


class Event:
    """Something that happened in a run."""

    __slots__ = ()


Emit = Callable[[Event], None]


def unheard(event: Event) -> None:
    """Take an event that nobody wants to hear of."""


class Stage(str, Enum):
    """What a run is doing at a moment, a little finer than the nodes of the graph."""

    INGEST = "ingest"
    EMBED = "embed"
    SCREEN = "screen"
    DEDUPLICATE = "deduplicate"
    FILTER = "filter"
    JUDGE = "judge"
    SELECT = "select"
    BREAK_TIES = "break ties"
    PROBE = "probe"
    ANALYZE = "analyze"
    GENERATE = "generate"
    EXPORT = "export"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class LoopTotals:
    """Figures of the rounds that are closed: tasks planned, rows written, landed and accepted."""

    planned: int = 0
    written: int = 0
    landed: int = 0
    accepted: int = 0

    @classmethod
    def of(cls, rounds: Iterable[Mapping[str, int]]) -> LoopTotals:
        """Add up rounds as the ledger gives them."""
        figures = [
            (one["planned"], one["written"], one["landed"], one["accepted"]) for one in rounds
        ]
        return cls(*map(sum, zip(*figures, strict=True)))


# Of the run as a whole.


@dataclass(frozen=True, slots=True)
class RunBegan(Event):
    """A run begins, or is continued: its target in rows, and the most rounds that it may take."""

    target: int
    max_rounds: int


@dataclass(frozen=True, slots=True)
class RunContinued(Event):
    """The run in a folder is continued, from a round, accepted rows, and the figures so far."""

    folder: Path
    round: int
    accepted: int
    so_far: LoopTotals


@dataclass(frozen=True, slots=True)
class CrashFound(Event):
    """The process that worked in the folder before ended without letting go of it."""

    process: str
    folder: Path


@dataclass(frozen=True, slots=True)
class SettingChanged(Event):
    """A run is continued with another value of a setting."""

    name: str
    before: object
    now: object


@dataclass(frozen=True, slots=True)
class StopAsked(Event):
    """The user asked the run to stop; it waits for the calls in flight."""


@dataclass(frozen=True, slots=True)
class RunStopping(Event):
    """The run stops early; `detail` is the cause in the words of the error."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class StageBegan(Event):
    """A stage begins, on so many items; `others` are what they are compared with."""

    stage: Stage
    items: int = 0
    others: int = 0


@dataclass(frozen=True, slots=True)
class ItemsDone(Event):
    """So many more items of the stage are done."""

    count: int = 1


# Of the models.


@dataclass(frozen=True, slots=True)
class ModelOpening(Event):
    """A model is being opened."""

    model: str


@dataclass(frozen=True, slots=True)
class ModelTried(Event):
    """A model is sent a small request, before anything is read or paid for."""

    model: str


@dataclass(frozen=True, slots=True)
class TrialFailed(Event):
    """A model did not answer the first small request."""

    model: str
    cause: str


@dataclass(frozen=True, slots=True)
class ModelTooSmall(Event):
    """A model is too small for what an agent would ask of it: signals decide instead."""

    model: str
    agent: Literal["judge", "redundancy"]


@dataclass(frozen=True, slots=True)
class NoBatchEndpoint(Event):
    """Batches are wanted of a model whose provider has none."""

    model: str


@dataclass(frozen=True, slots=True)
class BatchCancelled(Event):
    """A batch of a run that is restarted from scratch was cancelled at the provider."""

    batch: str
    model: str


@dataclass(frozen=True, slots=True)
class BatchGoesOn(Event):
    """A batch of a run that is restarted from scratch could not be cancelled."""

    batch: str
    model: str
    cause: str


@dataclass(frozen=True, slots=True)
class CallAnswered(Event):
    """A call was paid for: its tokens, and its cost in USD, None if the price is unknown."""

    input_tokens: int
    output_tokens: int
    usd: float | None


# Of the sources.


@dataclass(frozen=True, slots=True)
class SourcesRead(Event):
    """The sources were read; the unusable records are listed in a file, None if there are none."""

    rows: int
    unusable: int
    listed: Path | None


@dataclass(frozen=True, slots=True)
class PromptsRead(Event):
    """Target prompts and items of benchmarks were read."""

    target_prompts: int
    benchmark_items: int
    unusable: int


@dataclass(frozen=True, slots=True)
class VectorsMissing(Event):
    """Rows that had been embedded have no vector: they are embedded again."""

    count: int


# Of a round; round 0 is that of the seeds.


@dataclass(frozen=True, slots=True)
class RoundBegan(Event):
    """A round of generation begins."""

    round: int


@dataclass(frozen=True, slots=True)
class ProbesWritten(Event):
    """The model wrote probes on themes near the data, of which some are plausible."""

    round: int
    probes: int
    themes: int
    plausible: int


@dataclass(frozen=True, slots=True)
class ProbesTooFew(Event):
    """Too few probes are plausible: only the data itself tells where it is thin."""

    plausible: int


@dataclass(frozen=True, slots=True)
class SubspaceGivenUp(Event):
    """A subspace gets no more tasks, for a reason."""

    round: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RoundPlanned(Event):
    """A round has its tasks; each subspace is named with its quota of them."""

    round: int
    tasks: int
    subspaces: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class RowsWritten(Event):
    """The round's tasks were carried out; the rest was dropped, for these faults."""

    round: int
    rows: int
    tasks: int
    faults: Mapping[Why, int]


@dataclass(frozen=True, slots=True)
class RowsScreened(Event):
    """New rows were screened; `found` is what `stores.queries.screening.screened` counts."""

    round: int
    found: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DuplicatesRemoved(Event):
    """Some of the new rows repeat others."""

    round: int
    duplicates: int
    rows: int


@dataclass(frozen=True, slots=True)
class RowsFiltered(Event):
    """The recipe paper kept the rows whose variance is high."""

    kept: int
    rows: int


@dataclass(frozen=True, slots=True)
class RowsLeftUnjudged(Event):
    """Rows were left out before the judge, by cheap signals."""

    round: int
    rows: int


@dataclass(frozen=True, slots=True)
class RowsTakenBack(Event):
    """Rows that were left out are judged after all, to reach the target."""

    round: int
    rows: int


@dataclass(frozen=True, slots=True)
class RowsJudged(Event):
    """The round's rows were judged; `judging` is what `agents.calibration` says of the scores."""

    round: int
    judging: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PoolCounted(Event):
    """A round is closed: rows of the target that the pool can fill, and why the run stops, if so.

    `so_far` adds up all closed rounds.
    """

    round: int
    accepted: int
    target: int
    stop: str
    so_far: LoopTotals


@dataclass(frozen=True, slots=True)
class PairsCompared(Event):
    """The judge compared pairs near the cut-off in both orders.

    `consistency` is the share of the same verdict in both, `decided` the pairs with a winner.
    """

    pairs: int
    consistency: float
    decided: int


@dataclass(frozen=True, slots=True)
class MapFailed(Event):
    """The map of the rows could not be drawn, because of an error."""

    error: str
