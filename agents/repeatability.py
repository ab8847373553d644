"""How far a judge repeats itself: the noise of its scores, measured over one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..records import Score

STEP = 1.0  # a point of the rubric: no judge is finer than that


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


def judge_noise(scores: Mapping[str, Score]) -> float:
    """Standard deviation of a judge score in points: as measured, and at least one point."""
    measured = repeatability([score.judgements for score in scores.values()])
    return max(STEP, measured.deviation if measured else 0.0)
