"""The selector: takes exactly N of the accepted rows, by quality and coverage together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..geometry.neighbours import Vectors
from ..geometry.selection import choose, percentile_ranks
from ..records import Row, Score


class Selector:
    """Chooses the dataset from the pool; seeds fill at most their share of the target."""

    def __init__(self, target: int, seed_share: float, quality_weight: float) -> None:
        self._target = target
        self._seed_cap = int(seed_share * target + 1e-9)
        self._quality_weight = quality_weight

    def reachable(self, pool: Sequence[Row]) -> int:
        """How many rows of the target the pool can fill."""
        seeds = sum(row.origin == "seed" for row in pool)
        return min(self._target, len(pool) - seeds + min(seeds, self._seed_cap))

    def choose(
        self, pool: Sequence[Row], vectors: Vectors, scores: Mapping[str, Score]
    ) -> list[Row]:
        """Return the chosen rows in the order of choice: the target, or all that can be had."""
        quality = percentile_ranks(np.asarray([scores[row.id].final for row in pool]))
        chosen = choose(
            vectors,
            quality,
            self.reachable(pool),
            self._quality_weight,
            capped=np.asarray([row.origin == "seed" for row in pool], dtype=bool),
            cap=self._seed_cap,
        )
        return [pool[i] for i in chosen]


class TopSelector:
    """The paper's selection: the N best final scores, ties in the order of the input."""

    def __init__(self, target: int) -> None:
        self._target = target

    def reachable(self, pool: Sequence[Row]) -> int:
        """How many rows of the target the pool can fill."""
        return min(self._target, len(pool))

    def choose(
        self, pool: Sequence[Row], vectors: Vectors, scores: Mapping[str, Score]
    ) -> list[Row]:
        """Return the best rows, best first."""
        ranked = sorted(pool, key=lambda row: (-scores[row.id].final, row.position))
        return ranked[: self._target]
