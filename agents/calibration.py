"""How far a judge's scores can be trusted: pure functions of the scores of one run."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

import numpy as np

from ..geometry.neighbours import Floats
from ..geometry.selection import percentile_ranks
from ..records import Duel, Score

JUDGE_WEIGHT, LENGTH_WEIGHT = 0.9, 0.1  # of the final score, as in the LIFT paper
STEP = 1.0  # a point of the rubric: no judge is finer than that
_FEW = 20  # rows below which nothing is said of a judge's habits
_BINS = 10


def spearman(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation of two series (n,), equal values sharing their mean rank.

    0 where one of them is constant or n < 2: no order is no correlation.
    """
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    one, other = (ranks - ranks.mean() for ranks in map(percentile_ranks, (first, second)))
    return float(np.clip(one @ other / np.sqrt((one @ one) * (other @ other)), -1, 1))


@dataclass(frozen=True, slots=True)
class Repeatability:
    """How a judge repeats itself over `rows` rows that were judged `samples` times each.

    `deviation` is the standard deviation within a row, in points; `icc` the share of the
    variance of single scores that is between rows, 1 for a judge without noise.
    """

    rows: int
    samples: int
    deviation: float
    icc: float


def repeatability_coefficient(deviation: float) -> float:
    """√2 · 1.96 · deviation: two scores of one row differ by less in 95 of 100 cases.

    Bland and Altman (1986).
    """
    return float(np.sqrt(2) * 1.96 * deviation)


def repeatability(judgements: Sequence[Sequence[float]]) -> Repeatability | None:
    """Measure a judge's noise from repeated judgements, one sequence a row.

    One-way random effects, ICC(1,1) of Shrout and Fleiss (1979): (MSB - MSW) / (MSB + (k - 1)
    MSW) with the mean squares between and within rows. Rows with fewer than the most judgements
    k are left out; None if fewer than two rows are left, or k < 2.
    """
    samples = max(map(len, judgements), default=0)
    table = np.asarray([row for row in judgements if len(row) == samples], dtype=np.float64)
    rows = len(table)
    if rows < 2 or samples < 2:
        return None
    means = table.mean(axis=1)
    between = samples * means.var(ddof=1)
    within = ((table - means[:, None]) ** 2).sum() / (rows * (samples - 1))
    total = between + (samples - 1) * within
    icc = float((between - within) / total) if total > 0 else 0.0
    return Repeatability(rows, samples, float(np.sqrt(within)), icc)


def noise(scores: Mapping[str, Score]) -> float:
    """Standard deviation of a judge score in points: as measured, and at least one point."""
    measured = repeatability([score.judgements for score in scores.values()])
    return max(STEP, measured.deviation if measured else 0.0)


def close_pairs(
    scores: Mapping[str, float], places: int, deviation: float
) -> Iterator[tuple[str, str]]:
    """Pairs of a row among the best `places` and one below that noise does not tell apart.

    They differ by the repeatability coefficient at most, in the order of their difference in
    whole deviations (> 0), the nearest to the cut first, and each row of a step comes once
    before any comes twice: in `benchmarks/tie_breaks.py` the best of the orders that were tried.
    Equal scores are parted by their id, a hash.
    """
    ranked = sorted(scores, key=lambda row: (-scores[row], row))
    above, below = ranked[:places][::-1], ranked[places:]
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


def after_duels(
    scores: Mapping[str, float], duels: Sequence[Duel], deviation: float
) -> dict[str, float]:
    """Correct scores by the duels that have a winner, as far as the noise of the scores allows.

    The most probable qualities q, when each score is q with Gaussian noise of this standard
    deviation s > 0, and i beats j with the probability 1 / (1 + exp((q_j - q_i) / s)) of Bradley
    and Terry (1952). A win moves a row by less than s; the sum of all scores stays; rows
    without a decided duel keep their score.
    """
    decided = [duel for duel in duels if duel.winner in scores and duel.loser in scores]
    if not decided:
        return dict(scores)
    rows = sorted({row for duel in decided for row in (duel.winner, duel.loser)})
    place = {row: i for i, row in enumerate(rows)}
    winners = np.asarray([place[duel.winner] for duel in decided])
    losers = np.asarray([place[duel.loser] for duel in decided])
    fought = np.bincount(np.concatenate([winners, losers]), minlength=len(rows))
    # Gradient steps that the curvature, at most 1 + (most duels of a row) / 2, makes contract.
    step = 1 / (1 + fought.max() / 2)
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


def position_consistency(duels: Sequence[Duel]) -> float | None:
    """Share of pairs with the same verdict in both orders (arXiv 2406.07791), None of none."""
    answered = [duel for duel in duels if not duel.failed]
    return sum(duel.consistent for duel in answered) / len(answered) if answered else None


def agreement(scores: Sequence[Score]) -> dict[str, Any] | None:
    """How far the judges of a panel agree; None without a panel.

    Returns:
        means of each judge, `failed` judgements, `deviation` (standard deviation between the
        judges of a row in points, root mean square over the rows that have several), and
        `correlation` (Spearman's, mean over the pairs of judges; None for fewer than two rows).
    """
    totals = [{name: sum(p.values()) for name, p in s.panel.items() if p} for s in scores]
    names = list(dict.fromkeys(name for score in scores for name in score.panel))
    if not names:
        return None
    several = [list(total.values()) for total in totals if len(total) > 1]
    pairs = [
        np.asarray([(t[one], t[other]) for t in totals if one in t and other in t], dtype=float)
        for one, other in combinations(names, 2)
    ]
    ranked = [spearman(pair[:, 0], pair[:, 1]) for pair in pairs if len(pair) > 1]
    return {
        "means": {
            name: round(fmean(t[name] for t in totals if name in t), 2)
            for name in names
            if any(name in t for t in totals)
        },
        "failed": sum(not p for score in scores for p in score.panel.values()),
        "deviation": fmean(stdev(each) ** 2 for each in several) ** 0.5 if several else None,
        "correlation": fmean(ranked) if ranked else None,
    }


def described(
    scores: Mapping[str, Score],
    duels: Sequence[Duel] = (),
    *,
    pool: Mapping[str, float] | None = None,
    places: int = 0,
) -> dict[str, Any]:
    """Describe a run's judge by its scores, for the summary, the card and ``--json``.

    Args:
        scores: of all judged rows; failed judgements are left out.
        duels: the pairs that were compared.
        pool: final scores of the rows that may be chosen.
        places: rows of the dataset.

    Returns:
        {} without a score; else rows, quartiles (with the extremes), histogram (tenths of the
        scale from 0 to 100), distinct values, share of the commonest, correlation with length,
        panel, repeats and ties (None where there are none), and notes for the user in sentences.
    """
    judged = [score for score in scores.values() if not score.failed]
    if not judged:
        return {}
    values = np.asarray([score.judge for score in judged])
    counts = Counter(values.tolist())
    measured = repeatability([score.judgements for score in judged])
    told: dict[str, Any] = {
        "rows": len(judged),
        "quartiles": [round(float(q), 2) for q in np.percentile(values, [0, 25, 50, 75, 100])],
        "histogram": np.histogram(values, _BINS, (0, 100))[0].tolist(),
        "distinct": len(counts),
        "commonest": round(max(counts.values()) / len(judged), 4),
        "length_correlation": round(
            spearman(values, np.asarray([score.length for score in judged])), 4
        ),
        "panel": agreement(judged),
        "repeats": None,
        "ties": None,
    }
    if measured:
        told["repeats"] = {
            **asdict(measured),
            "reach": repeatability_coefficient(measured.deviation),
        }
        if pool and 0 < places < len(pool):
            finals = np.sort(list(pool.values()))[::-1]
            reach = JUDGE_WEIGHT * told["repeats"]["reach"]
            near = np.abs(finals - finals[places - 1]) <= reach
            told["repeats"]["undecided"] = int(near.sum()) - 1
    if duels:
        answered = [duel for duel in duels if not duel.failed]
        leanings = [_leaning(duel) for duel in answered]
        told["ties"] = {
            "pairs": len(duels),
            "failed": len(duels) - len(answered),
            "decided": sum(bool(duel.winner) for duel in duels),
            "consistency": position_consistency(duels),
            "first_favoured": sum(leaning > 0 for leaning in leanings),
            "second_favoured": sum(leaning < 0 for leaning in leanings),
        }
    told["notes"] = list(_notes(told, counts))
    return told


def _leaning(duel: Duel) -> int:
    """How much a comparison favoured the row shown first (> 0), or shown second (< 0)."""
    places = {"": 0, duel.first: 1, duel.second: -1}
    return places[duel.forward] - places[duel.backward]


def _notes(told: Mapping[str, Any], counts: Mapping[float, int]) -> Iterator[str]:
    """What a user should know before they trust the scores."""
    rows, commonest, repeats, ties = (
        told[name] for name in ("rows", "commonest", "repeats", "ties")
    )
    if rows >= _FEW and (commonest > 0.9 or len(counts) < 3):
        value = max(counts, key=lambda score: counts[score])
        share = "all" if len(counts) == 1 else f"{commonest:.0%} of"
        yield (
            f"the judge gave {share} {rows:,} rows the same score ({value:g}; different ones: "
            f"{len(counts)}): it hardly tells them apart"
        )
    correlation = told["length_correlation"]
    if rows >= _FEW and abs(correlation) > 0.5:
        kind = "longer" if correlation > 0 else "shorter"
        yield (
            f"the judge's scores go with length (Spearman {correlation:.2f}): read some rows to "
            f"see whether the {kind} ones are better, or only {kind}"
        )
    if repeats and repeats["icc"] < 0.5:
        yield (
            f"the judge hardly repeats itself (ICC {repeats['icc']:.2f}): most of the difference "
            "between two scores is noise"
        )
    if ties and ties["consistency"] is not None and ties["consistency"] < 0.5:
        place = "first" if ties["first_favoured"] > ties["second_favoured"] else "second"
        yield (
            f"the judge changed {1 - ties['consistency']:.0%} of its verdicts on pairs with their "
            f"order, mostly for the row shown {place}: these do not count"
        )
