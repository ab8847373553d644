"""Points of a row by cheap signals, for when there is no judge, and what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..records import Row
from .corpus_statistics import CorpusStatistics
from .signals import fault, values

# What each group of signals finds where it is at fault; 20 points each.
FAULTS = {
    "is an answer": "is broken beyond use",
    "is whole": "is cut off or broken",
    "fits the instruction": "hardly fits the instruction",
    "uses its numbers": "leaves out numbers of the instruction",
    "reads like text": "holds signs or words that do not belong there",
}
# Group and weight of each signal. The weights were chosen on half of the rows of
# `benchmarks/signals.py`, by the damage that they find where 5% of good rows are lost.
SIGNALS = {
    "wholeness": ("is whole", 2),
    "bounds": ("is whole", 1),
    "relatedness": ("fits the instruction", 2),
    "numbers": ("uses its numbers", 2),
    "script": ("reads like text", 1),
    "patterns": ("reads like text", 1),
}
_FULL = 100 / len(FAULTS)
_USUAL = 0.2  # the tail at which a signal begins to cost points
_NAT = 2.0  # points that a signal of weight 1 costs for each e-fold that it is rarer
_RARE = 0.04  # the tail that stands for the worst value where there are no statistics


def points(row: Row, statistics: CorpusStatistics | None = None) -> dict[str, float]:
    """Points by group of signals, 100 in all; a row with a fault has none.

    A signal costs points by the logarithm of its tail probability, the share of the run's rows
    whose value is as low, from a fifth down. The sum of such logarithms is the truncated product
    of Zaykin et al. (2002); weights are those of Good (1955). Without statistics, only what a
    row shows alone costs points.
    """
    if fault(row):
        return dict.fromkeys(FAULTS, 0.0)
    left = dict.fromkeys(FAULTS, _FULL)
    tails = statistics.tails(row) if statistics else _alone(row)
    for name, tail in tails.items():
        group, weight = SIGNALS[name]
        left[group] -= weight * _NAT * max(0.0, math.log(_USUAL / tail))
    return {group: round(max(0.0, rest), 2) for group, rest in left.items()}


def reason(parts: Mapping[str, float]) -> str:
    """Say in a sentence which signals found a fault."""
    if not any(parts.values()):
        return f"The response {FAULTS['is an answer']}."
    faults = [fault for name, fault in FAULTS.items() if parts[name] < 0.8 * _FULL]
    return f"The response {' and '.join(faults)}." if faults else "No cheap signal finds a fault."


def _alone(row: Row) -> dict[str, float]:
    """Tails of the signals that need no other row: from 1 for the best value to 4%."""
    return {name: _RARE ** (1 - value) for name, value in values(row).items()}
