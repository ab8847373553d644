"""The measures of `coverage`, taken together of several choices from one pool of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .coverage import (
    cell_hit_rate,
    coverage_radius,
    near_duplicate_pairs,
    novel_sum,
    rarity,
    vendi_score,
)
from .neighbours import Cells, Indices, Vectors, nearest_others

_MOST = 20_000  # rows of the pool that distances are measured from, drawn at random beyond that
_LARGEST = 10_000  # rows whose NovelSum is measured, drawn at random beyond that
_DENSITY = 10  # neighbours that tell how rare a row is


class CoverageMeasures:
    """Measures choices of rows against all rows of a pool."""

    def __init__(self, vectors: Vectors, rng: np.random.Generator, pair: float) -> None:
        """Take (n, d) unit vectors of the pool, n ≥ 1, and the cosine from which two rows count
        as a pair of near rows.
        """
        self._vectors = vectors
        self._rng = rng
        self._pair = pair
        self._sample = vectors[_drawn(np.arange(len(vectors)), _MOST, rng)]
        self._cells = Cells.of(vectors)
        similarities, _ = nearest_others(vectors, _DENSITY)
        self._rarity = rarity(similarities) if similarities.shape[1] else np.ones(len(vectors))

    def of(self, rows: Indices) -> dict[str, Any]:
        """Measure the choice of these rows of the pool (m,).

        Returns:
            rows, NovelSum, Vendi score, mean and 99th percentile of the distance from the pool
            to the nearest of them, share of the pool's cells that they hit, pairs of near rows.
        """
        vectors = self._vectors[rows]
        distance, far = coverage_radius(self._sample, vectors)
        some = _drawn(rows, _LARGEST, self._rng)
        return {
            "rows": len(rows),
            "novelsum": round(novel_sum(self._vectors[some], self._rarity[some]), 4),
            "vendi": round(vendi_score(vectors), 2),
            "distance": round(distance, 4),
            "distance_p99": round(far, 4),
            "cells": round(cell_hit_rate(self._cells, rows), 4),
            "pairs": near_duplicate_pairs(vectors, self._pair),
        }


def _drawn(rows: Indices, most: int, rng: np.random.Generator) -> Indices:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
