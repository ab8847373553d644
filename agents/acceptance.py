"""Which rows enter the pool, leave it, or are judged at all: pure rules over rows and scores.

Each rule returns decisions; who asked for them writes them down.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..geometry.neighbours import Vectors
from ..records import Row, Score, ScreeningResult, Status
from ..records.codes import Reason

REPEATED = 30  # rows that are judged several times where the judge's noise is measured
COPY_COSINE = 0.9  # cosine to a parent above which a fused row is its copy


class Decision(NamedTuple):
    """The status that a row gets, and why; no reason where the row is taken."""

    row: str
    status: Status
    reason: Reason | None = None


def acceptance(
    rows: Sequence[Row],
    scores: Mapping[str, Score],
    is_accepted: Callable[[str], bool],
    lowest: float | None = None,
) -> list[Decision]:
    """Decide which scored rows are accepted.

    Of a row and the new answer to it the one with the higher score stays.

    Args:
        rows: rows that are decided now; one without a score is left for later.
        scores: of these rows and of those in the pool, by row id.
        is_accepted: whether the row with an id is in the pool.
        lowest: final score under which a row is rejected, None for no limit.

    Returns:
        The decisions in the order of the rows, each replaced parent after its answer.
    """
    decisions: list[Decision] = []
    for row in rows:
        if row.id not in scores:
            continue
        parent = row.parents[0] if row.strategy == "answer" else ""
        before = scores.get(parent)
        if reason := rejected_for(scores[row.id], before, lowest):
            decisions.append(Decision(row.id, "rejected", reason))
            continue
        decisions.append(Decision(row.id, "accepted"))
        if before and is_accepted(parent):
            decisions.append(Decision(parent, "rejected", Reason.REPLACED))
    return decisions


def rejected_for(
    score: Score, before: Score | None = None, lowest: float | None = None
) -> Reason | None:
    """Say why a scored row is rejected, None if it is accepted.

    Args:
        score: of the row.
        before: of the response that the row is to replace, if it is.
        lowest: final score under which a row is rejected, None for no limit.
    """
    if score.concatenation:
        return Reason.CONCATENATION
    if lowest is not None and score.final < lowest:
        return Reason.LOW_SCORE
    if before and score.final <= before.final:
        return Reason.NO_BETTER
    return None


def copies_of_parents(
    rows: Sequence[Row], vectors: Vectors, parents: Sequence[Vectors]
) -> list[Decision]:
    """Reject the fused rows that came down on a parent, whatever their words.

    Args:
        rows: n rows with two parents or more.
        vectors: their (n, d) unit vectors.
        parents: for each row the (p, d) unit vectors of its p parents.
    """
    return [
        Decision(row.id, "rejected", Reason.COPY_OF_PARENT)
        for row, vector, of_parents in zip(rows, vectors, parents, strict=True)
        if (of_parents @ vector).max() > COPY_COSINE
    ]


def repeatedly_judged(rows: Sequence[Row], seed: int) -> list[str]:
    """Draw the rows that are judged several times, by id: 30 of those that the run judges first."""
    ids = [row.id for row in rows]
    return random.Random(seed).sample(ids, min(REPEATED, len(ids)))


def left_out(
    rows: Sequence[Row], checks: Mapping[str, ScreeningResult], share: float, missing: int
) -> list[Decision]:
    """Leave out the rows that the cheap signals rank below the share to be judged.

    Args:
        rows: of a round that nothing was judged of yet.
        checks: what the screen found of them, by row id.
        share: of the rows that are judged, 0 to 1.
        missing: rows short of the target, of which at least as many are judged.
    """
    judged = max(math.ceil(share * len(rows)), missing)
    return [
        Decision(row.id, "rejected", Reason.NOT_JUDGED) for row in ranked(rows, checks)[judged:]
    ]


def taken_back(
    left: Sequence[Row],
    pool: Sequence[Row],
    checks: Mapping[str, ScreeningResult],
    fillable_count: Callable[[Sequence[Row]], int],
    target: int,
) -> list[Row]:
    """Choose as many of the rows that were left out as the pool is short of the target.

    The best by the signals, of those that would fill a place: none once the target is reached.

    Args:
        left: rows that were left out.
        pool: accepted rows.
        checks: what the screen found of the rows left out, by row id.
        fillable_count: how many places of the dataset a pool can fill (`Selector`).
        target: places of the dataset.
    """
    filled = fillable_count(pool)
    of_origin = {row.origin: row for row in left}
    useful = {origin for origin, row in of_origin.items() if fillable_count([*pool, row]) > filled}
    return ranked([row for row in left if row.origin in useful], checks)[: target - filled]


def ranked(rows: Sequence[Row], checks: Mapping[str, ScreeningResult]) -> list[Row]:
    """The rows, best by the cheap signals first, equal ones in order of arrival."""
    return sorted(rows, key=lambda row: (-checks[row.id].points, row.position))
