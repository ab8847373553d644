"""Near-ties of scores: which pairs of rows to compare, and what the comparisons change."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..records import PairwiseComparison
from .repeatability import repeatability_coefficient


def close_pairs(
    scores: Mapping[str, float], size: int, deviation: float
) -> Iterator[tuple[str, str]]:
    """Pairs of a row among the best `size` and one below that noise does not tell apart.

    They differ by the repeatability coefficient at most, in the order of their difference in
    whole deviations (> 0), the nearest to the cut first, and each row of a step comes once
    before any comes twice: in `benchmarks/tie_breaks.py` the best of the orders that were tried.
    Equal scores are parted by their id, a hash.
    """
    ranked = sorted(scores, key=lambda row: (-scores[row], row))
    above, below = ranked[:size][::-1], ranked[size:]
    reach = repeatability_coefficient(deviation)

    def entry(i: int, j: int) -> tuple[int, int, int, int]:
        return int((scores[above[i]] - scores[below[j]]) / deviation), abs(i - j), i, j

    heads = [entry(0, 0)] if above and below else []  # of each diagonal, whose differences grow
    while heads:
        _, _, i, j = heapq.heappop(heads)
        if scores[above[i]] - scores[below[j]] > reach:
            continue
        yield above[i], below[j]
        opened = [(0, j + 1)] * (i == 0) + [(i + 1, 0)] * (j == 0)
        for row, other in [(i + 1, j + 1), *opened]:
            if row < len(above) and other < len(below):
                heapq.heappush(heads, entry(row, other))


def corrected_scores(
    scores: Mapping[str, float], comparisons: Sequence[PairwiseComparison], deviation: float
) -> dict[str, float]:
    """Correct scores by the comparisons with a winner, as far as the noise of the scores allows.

    The most probable qualities q, when each score is q with Gaussian noise of this standard
    deviation s > 0, and i beats j with the probability 1 / (1 + exp((q_j - q_i) / s)) of Bradley
    and Terry (1952). A win moves a row by less than s; the sum of all scores stays; rows
    without a decided comparison keep their score.
    """
    decided = [pair for pair in comparisons if pair.winner in scores and pair.loser in scores]
    if not decided:
        return dict(scores)
    rows = sorted({row for pair in decided for row in (pair.winner, pair.loser)})
    index = {row: i for i, row in enumerate(rows)}
    winners = np.asarray([index[pair.winner] for pair in decided])
    losers = np.asarray([index[pair.loser] for pair in decided])
    compared = np.bincount(np.concatenate([winners, losers]), minlength=len(rows))
    # The curvature, at most 1 + (most comparisons of a row) / 2, makes such steps contract.
    step = 1 / (1 + compared.max() / 2)
    prior = np.asarray([scores[row] for row in rows]) / deviation
    quality = prior.copy()
    for _ in range(int(30 / step)):
        surprise = 1 / (1 + np.exp(np.clip(quality[winners] - quality[losers], -500, 500)))
        gained = np.bincount(winners, surprise, len(rows))
        lost = np.bincount(losers, surprise, len(rows))
        change = step * (prior + gained - lost - quality)
        quality += change
        if np.abs(change).max() < 1e-12:
            break
    moved = (quality - prior) * deviation
    return dict(scores) | {row: scores[row] + float(moved[i]) for i, row in enumerate(rows)}


def position_consistency(comparisons: Sequence[PairwiseComparison]) -> float | None:
    """Share of pairs with the same verdict in both orders (arXiv 2406.07791), None of none."""
    answered = [pair for pair in comparisons if not pair.failed]
    return sum(pair.consistent for pair in answered) / len(answered) if answered else None
