"""The selector: takes exactly N of the accepted rows, by quality and coverage together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..geometry.neighbours import Floats, Vectors
from ..geometry.selection import chosen, percentile_ranks, standing
from ..records import Row, Score


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen rows in the order of choice, and by how much each row was in or out, by its id.

    A chosen row's margin is its lead over the next best when it was chosen, another row's (below
    0, unless its kind's share was full) what it would have lacked for one more place.
    """

    rows: list[Row]
    margins: dict[str, float]

    @classmethod
    def of(cls, pool: Sequence[Row], order: Sequence[int], margins: Floats) -> Selection:
        """Take the rows by their places in the pool; an unknown margin is nan."""
        known = {row.id: float(m) for row, m in zip(pool, margins, strict=True) if not np.isnan(m)}
        return cls([pool[i] for i in order], known)


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
    ) -> Selection:
        """Choose the target, or all that can be had."""
        quality = percentile_ranks(np.asarray([scores[row.id].final for row in pool]))
        choice = chosen(
            vectors,
            quality,
            self.reachable(pool),
            self._quality_weight,
            capped=np.asarray([row.origin == "seed" for row in pool], dtype=bool),
            cap=self._seed_cap,
        )
        return Selection.of(pool, choice.order, choice.margins)


class TopSelector:
    """The paper's selection: the N best final scores, ties in the order of the input."""

    def __init__(self, target: int) -> None:
        self._target = target

    def reachable(self, pool: Sequence[Row]) -> int:
        """How many rows of the target the pool can fill."""
        return min(self._target, len(pool))

    def choose(
        self, pool: Sequence[Row], vectors: Vectors, scores: Mapping[str, Score]
    ) -> Selection:
        """Choose the best rows, best first."""
        final = np.asarray([scores[row.id].final for row in pool])
        order = sorted(range(len(pool)), key=lambda i: (-final[i], pool[i].position))
        order = order[: self._target]
        return Selection.of(pool, order, standing(final, order))
