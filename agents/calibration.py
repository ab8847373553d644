"""How far a judge's scores can be trusted: pure functions of the scores of one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

import numpy as np

from ..geometry.neighbours import Floats
from ..geometry.selection import percentile_ranks
from ..records import PairwiseComparison, Score
from .final_score import JUDGE_WEIGHT
from .near_ties import position_consistency
from .repeatability import repeatability, repeatability_coefficient

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


def judging_summary(
    scores: Mapping[str, Score],
    comparisons: Sequence[PairwiseComparison] = (),
    *,
    pool: Mapping[str, float] | None = None,
    places: int = 0,
) -> dict[str, Any]:
    """Describe a run's judge by its scores, for the summary, the card and ``--json``.

    Args:
        scores: of all judged rows; failed judgements are left out.
        comparisons: the pairs that were compared.
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
    if comparisons:
        answered = [pair for pair in comparisons if not pair.failed]
        leanings = [_leaning(pair) for pair in answered]
        told["ties"] = {
            "pairs": len(comparisons),
            "failed": len(comparisons) - len(answered),
            "decided": sum(bool(pair.winner) for pair in comparisons),
            "consistency": position_consistency(comparisons),
            "first_favoured": sum(leaning > 0 for leaning in leanings),
            "second_favoured": sum(leaning < 0 for leaning in leanings),
        }
    told["notes"] = list(_notes(told, counts))
    return told


def _leaning(pair: PairwiseComparison) -> int:
    """How much a comparison favoured the row shown first (> 0), or shown second (< 0)."""
    leaning = {"": 0, pair.first: 1, pair.second: -1}
    return leaning[pair.forward] - leaning[pair.backward]


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
