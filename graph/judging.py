"""Has rows judged: which of them, by whom, and which of them enter the pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..agents.acceptance import acceptance, left_out, repeatedly_judged, taken_back
from ..agents.final_score import text_length
from ..agents.judge import Judge, PrecomputedScores
from ..agents.panel import Panel
from ..agents.selector import Selector, TopSelector
from ..config import RunConfig
from ..formats.reading.precomputed import load_scores
from ..geometry.variance import length_cap
from ..llms.gateway import Gateway
from ..records import Row
from ..records.codes import Reason, Scorer
from ..records.events import Emit, ItemsDone, Stage, StageBegan
from ..stores.ledger import Ledger
from .decisions import apply
from .pool import for_each
from .screening import ScreeningInputs


@dataclass(frozen=True, slots=True)
class Judges:
    """Who scores the rows: models by name, cheap signals without one, or the user's scores."""

    models: Mapping[str, Gateway]
    precomputed: Path | None
    inputs: ScreeningInputs

    @property
    def name(self) -> str:
        """Who they are."""
        if self.precomputed:
            return Scorer.PRECOMPUTED
        return " and ".join(g.backend.name for g in self.models.values()) or Scorer.SIGNALS

    @property
    def concurrency(self) -> int:
        """Most rows that are before them at once; each model's own limit holds besides."""
        return max((gateway.concurrency for gateway in self.models.values()), default=1)

    def scoring(self, length_cap: float) -> Judge | Panel | PrecomputedScores:
        """Who scores rows, where the length score reaches 100 at so many characters."""
        if self.precomputed:
            return PrecomputedScores(load_scores(self.precomputed), length_cap)
        if self.models:
            return self.comparing(length_cap)
        return Judge(None, length_cap, self.inputs.statistics)

    def comparing(self, length_cap: float = 1.0) -> Judge | Panel:
        """The models that compare pairs of rows: one, or several as a panel."""
        judges = {name: Judge(gateway, length_cap) for name, gateway in self.models.items()}
        return Panel(judges, length_cap) if len(judges) > 1 else next(iter(judges.values()))


def leave_out(round: int, missing: int, share: float, ledger: Ledger) -> int:
    """Leave out the rows of a round that the signals rank below the share to be judged.

    At least as many rows are judged as are `missing` to the target. What was decided before the
    round's first score stands. Returns how many were left out.
    """
    scored = ledger.judgements.scores()
    if share == 1 or any(row.id in scored for row in ledger.rows.find(round=round)):
        return 0
    rows = ledger.rows.find("unique", round=round) + ledger.rows.find(
        round=round, reason=Reason.NOT_JUDGED
    )
    decisions = left_out(rows, ledger.judgements.screening(), share, missing)
    apply(decisions, ledger)
    return len(decisions)


def take_back(ledger: Ledger, selector: Selector | TopSelector, target: int) -> list[Row]:
    """Set back as many of the rows that were left out as the pool is short of the target."""
    left = ledger.rows.find("rejected", reason=Reason.NOT_JUDGED)
    if not left:
        return []
    pool, checks = ledger.rows.find("accepted"), ledger.judgements.screening()
    best = taken_back(left, pool, checks, selector.fillable_count, target)
    ledger.rows.set_statuses((row.id, "unique", "") for row in best)
    return best


def set_length_scale(rows: Sequence[Row], ledger: Ledger) -> None:
    """Let the first rows that are judged set the length at which the length score reaches 100."""
    if ledger.facts.read().longest is None and rows:
        ledger.facts.update(longest=length_cap(np.asarray([text_length(row) for row in rows])))


async def judge_rows(
    rows: Sequence[Row], round: int, judges: Judges, ledger: Ledger, config: RunConfig, emit: Emit
) -> None:
    """Score the rows that have no score, and accept those that are good enough."""
    repeated, scored = _repeated(rows, ledger, config), ledger.judgements.scores()
    open_rows = [row for row in rows if row.id not in scored]
    emit(StageBegan(Stage.JUDGE, len(open_rows)))
    judge = judges.scoring(ledger.facts.read().longest or 1.0)

    async def score(row: Row) -> None:
        samples = config.judge_samples if row.id in repeated else 1
        ledger.judgements.add_scores([await judge.score(row, round=round, samples=samples)])
        emit(ItemsDone())

    try:
        await for_each(open_rows, score, judges.concurrency)
    finally:
        _accept(ledger, config.min_score)


def _repeated(rows: Sequence[Row], ledger: Ledger, config: RunConfig) -> set[str]:
    """The rows that are judged several times: some of those that the run judged first."""
    if config.judge_samples == 1:
        return set()
    repeated = ledger.facts.read().repeated
    if repeated is None and rows:
        repeated = repeatedly_judged(rows, config.seed)
        ledger.facts.update(repeated=repeated)
    return set(repeated or ())


def _accept(ledger: Ledger, lowest: float | None) -> None:
    """Move scored rows into the pool, or out of it."""
    decisions = acceptance(
        ledger.rows.find("unique"),
        ledger.judgements.scores(),
        lambda id: ledger.rows.status(id)[0] == "accepted",
        lowest,
    )
    apply(decisions, ledger)
