"""Near-ties about the last place of the dataset, which the judge breaks by comparing pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

from ..agents.final_score import JUDGE_WEIGHT
from ..agents.near_ties import close_pairs, corrected_scores, position_consistency
from ..agents.repeatability import judge_noise
from ..config import RunConfig
from ..records import PairwiseComparison, Row, Score
from ..records.events import Emit, ItemsDone, PairsCompared, Stage, StageBegan
from ..stores.ledger import Ledger
from .judging import Judges
from .pool import for_each


async def break_ties(
    pool: Sequence[Row], judges: Judges, round: int, ledger: Ledger, config: RunConfig, emit: Emit
) -> None:
    """Compare pairs of rows whose scores the judge's noise does not tell apart, and keep them.

    The pairs are drawn anew from the whole pool; what was compared before costs nothing.
    """
    judge, scores = judges.comparing(), ledger.judgements.scores()
    finals = {row.id: scores[row.id].final for row in pool}
    close = close_pairs(finals, config.target_size, JUDGE_WEIGHT * judge_noise(scores))
    pairs = list(islice(close, config.tie_breaks))
    rows = {row.id: row for row in pool}
    emit(StageBegan(Stage.BREAK_TIES, len(pairs)))
    comparisons: dict[tuple[str, str], PairwiseComparison] = {}

    async def compare(pair: tuple[str, str]) -> None:
        comparisons[pair] = await judge.compare(rows[pair[0]], rows[pair[1]], round=round)
        emit(ItemsDone())

    try:
        await for_each(pairs, compare, judges.concurrency)
    finally:
        ledger.judgements.set_comparisons(
            [comparisons[pair] for pair in pairs if pair in comparisons]
        )
    consistency = position_consistency(list(comparisons.values()))
    if consistency is not None:
        decided = sum(bool(comparison.winner) for comparison in comparisons.values())
        emit(PairsCompared(len(comparisons), consistency, decided))


def tie_broken(
    scores: Mapping[str, Score], comparisons: Sequence[PairwiseComparison]
) -> dict[str, Score]:
    """The scores by which the dataset is chosen: final scores corrected by the pairs compared."""
    finals = {row: score.final for row, score in scores.items() if not score.failed}
    corrected = corrected_scores(finals, comparisons, JUDGE_WEIGHT * judge_noise(scores))
    return {row: replace(scores[row], final=final) for row, final in corrected.items()}
