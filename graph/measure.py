"""How the dataset covers the space, beside the seeds and other choices of equal size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..geometry.coverage import (
    cell_hit_rate,
    coverage_radius,
    near_duplicate_pairs,
    novel_sum,
    rarity,
    vendi_score,
)
from ..geometry.neighbours import Cells, Indices, Vectors, nearest_others
from ..geometry.variance import row_variance
from ..records import Row
from ..stores.queries.summary import PAIR
from .embedding import embedded
from .state import RunContext

_MOST = 20_000  # rows of the pool that distances are measured from, drawn at random beyond that
_LARGEST = 10_000  # rows whose NovelSum is measured, drawn at random beyond that
_DENSITY = 10  # neighbours that tell how rare a row is


def coverage(context: RunContext, chosen: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Measure sets of rows against all usable rows (every seed, every accepted row).

    Rows that a run which stopped has not embedded are left out.

    Returns:
        For `seeds` (all of them), `dataset`, and as many seeds as the dataset has rows, by
        `random` and by the paper's row `variance` (where there are as many): the measures of
        `measured`.
    """
    ledger = context.ledger
    dice = np.random.default_rng(context.config.seed)
    seeds = ledger.rows.find(
        "unique", "duplicate", "rejected", "quarantined", "accepted", origin="seed"
    )
    seeds = embedded(seeds, context)
    everything = [*seeds, *embedded(ledger.rows.find("accepted", origin="generated"), context)]
    place = {row.id: i for i, row in enumerate(everything)}
    vectors = context.vectors.get(list(place))
    if len(vectors) == 0:
        return {}
    pool = _Pool(vectors, dice)
    of_seeds = np.arange(len(seeds))
    sets: dict[str, Indices] = {"seeds": of_seeds}
    sets["dataset"] = np.asarray([place[row.id] for row in chosen], dtype=np.int64)
    if 0 < len(chosen) <= len(seeds):
        sets["random"] = dice.choice(of_seeds, len(chosen), replace=False)
        ranked = np.argsort(-row_variance(vectors[: len(seeds)]), kind="stable")
        sets["variance"] = ranked[: len(chosen)]
    return {name: pool.measured(rows) for name, rows in sets.items() if len(rows)}


class _Pool:
    """All usable rows, with what the measures need of them."""

    def __init__(self, vectors: Vectors, dice: np.random.Generator) -> None:
        self._vectors = vectors
        self._dice = dice
        self._sample = vectors[_drawn(np.arange(len(vectors)), _MOST, dice)]
        self._cells = Cells.of(vectors)
        similarities, _ = nearest_others(vectors, _DENSITY)
        self._rarity = rarity(similarities) if similarities.shape[1] else np.ones(len(vectors))

    def measured(self, rows: Indices) -> dict[str, Any]:
        """Rows, NovelSum, Vendi score, mean and 99th percentile of the distance from the pool to
        the nearest of them, share of the pool's cells that they hit, pairs of near rows.
        """
        vectors = self._vectors[rows]
        distance, far = coverage_radius(self._sample, vectors)
        some = _drawn(rows, _LARGEST, self._dice)
        return {
            "rows": len(rows),
            "novelsum": round(novel_sum(self._vectors[some], self._rarity[some]), 4),
            "vendi": round(vendi_score(vectors), 2),
            "distance": round(distance, 4),
            "distance_p99": round(far, 4),
            "cells": round(cell_hit_rate(self._cells, rows), 4),
            "pairs": near_duplicate_pairs(vectors, PAIR),
        }


def _drawn(rows: Indices, most: int, dice: np.random.Generator) -> Indices:
    return rows if len(rows) <= most else np.sort(dice.choice(rows, most, replace=False))


def closeness(context: RunContext, round: int) -> dict[str, tuple[float, float]]:
    """How close the pool came to each subspace of a round: before the round, and after it.

    The mean cosine of its centre to the ten nearest accepted rows: 1 is full, lower is emptier.
    """
    pool, places = context.ledger.rows.find("accepted"), context.ledger.rounds.subspaces(round)
    if not pool or not places:
        return {}
    centres = np.asarray([place.centre for place in places], dtype=np.float32)
    cosines = context.vectors.get([row.id for row in pool]) @ centres.T
    earlier = np.asarray([row.round < round for row in pool])
    before, after = (np.sort(rows, axis=0)[-_DENSITY:] for rows in (cosines[earlier], cosines))
    return {
        place.id: (float(before[:, i].mean()) if len(before) else 0.0, float(after[:, i].mean()))
        for i, place in enumerate(places)
    }
