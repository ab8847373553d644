"""What selecting a row would add to the rows selected so far: novelty, coverage and volume.

Each gain is updated as rows are selected, in O(n · d) a row. All of them go by positions among
the candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .candidates import Candidates
from .neighbours import Floats, Indices, Vectors

# What coverage and volume count beside novelty; set on the code rows of benchmarks/selection.py.
COVERAGE_WEIGHT, VOLUME_WEIGHT = 0.09, 0.24

_TOP = 0.98  # quantile that a gain is measured by: the best is often a single odd row
_NEAREST = 32  # selected rows whose distances are kept one by one, for each candidate
_RIDGE = 5.0


class Gains:
    """The three gains of each candidate, and which candidates are `too_close` to a selected row."""

    def __init__(
        self,
        vectors: Vectors,
        min_separation: float,
        too_close: NDArray[np.bool_],
        novelty: Novelty,
        coverage: Coverage,
        volume: Volume,
    ) -> None:
        self.too_close = too_close
        self._min_separation = min_separation
        self._vectors = vectors
        self._novelty = novelty
        self._coverage = coverage
        self._volume = volume

    @classmethod
    def of(cls, candidates: Candidates, count: int, min_separation: float) -> Gains:
        """The gains before any of `count` rows is selected.

        A row is too close to another from a cosine of `min_separation` on.
        """
        novelty = Novelty.of(candidates.rarity, count)
        coverage, volume = Coverage.of(candidates), Volume.of(candidates.vectors)
        none = np.zeros(len(candidates.rows), dtype=bool)
        return cls(candidates.vectors, min_separation, none, novelty, coverage, volume)

    def subset(self, positions: Indices) -> Gains:
        """A copy that knows these candidates alone, and goes by their positions in it."""
        return Gains(
            self._vectors[positions],
            self._min_separation,
            self.too_close[positions],
            self._novelty.subset(positions),
            self._coverage.subset(positions),
            self._volume.subset(positions),
        )

    def add(self, positions: Indices) -> None:
        """Select candidates: the others' gains fall."""
        cosines = self._vectors @ self._vectors[positions].T
        self.too_close |= (cosines >= self._min_separation).any(axis=1)
        self._novelty.add(1 - cosines, positions)
        self._coverage.add(positions)
        self._volume.add(self._vectors, positions)

    def scales(self, free: NDArray[np.bool_]) -> list[float]:
        """What each gain is measured by: its 98th percentile among the free candidates."""
        return [max(float(np.quantile(gain[free], _TOP)), 1e-12) for gain in self._all()]

    def diversity(self, scales: Sequence[float]) -> Floats:
        """The three gains in one, each as a share of its scale: (n,)."""
        novelty, coverage, volume = (g / s for g, s in zip(self._all(), scales, strict=True))
        return np.asarray(novelty + COVERAGE_WEIGHT * coverage + VOLUME_WEIGHT * volume)

    def _all(self) -> tuple[Floats, Floats, Floats]:
        return self._novelty.gain(), self._coverage.gain(), self._volume.gain


class Novelty:
    """Each row's density-aware distance to the selected rows, ranks weighted as in NovelSum.

    See arXiv 2502.17184, and `coverage.novel_sum` for the measure itself.
    """

    def __init__(self, density: Floats, nearest: Vectors, total: Floats, selected: int) -> None:
        self._density = density
        self._nearest = nearest  # (n, m) the smallest distances, in order
        self._total = total
        self._selected = selected

    @classmethod
    def of(cls, rarity: Floats, count: int) -> Novelty:
        """The novelty of n rows by their rarity (n,), before any of `count` is selected."""
        density = np.maximum(rarity, 1e-3) ** -0.5
        nearest = np.full((len(rarity), min(_NEAREST, count)), np.inf, dtype=np.float32)
        return cls(density / density.mean(), nearest, np.zeros(len(rarity)), 0)

    def subset(self, positions: Indices) -> Novelty:
        """A copy that knows these rows alone."""
        nearest, total = self._nearest[positions], self._total[positions]
        return Novelty(self._density[positions], nearest, total, self._selected)

    def add(self, distances: Vectors, positions: Indices) -> None:
        """Count rows as selected that are at these distances (n, b) from all."""
        density = (self._density[:, None] + self._density[positions]) / 2
        aware = distances * density.astype(np.float32)
        self._total = self._total + aware.sum(axis=1, dtype=np.float64)
        merged = np.concatenate([self._nearest, aware], axis=1)
        merged.sort(axis=1)
        self._nearest = merged[:, : self._nearest.shape[1]]
        self._selected += len(positions)

    def gain(self) -> Floats:
        """The mean distance by weights of 1 / rank; beyond the nearest, distances are averaged."""
        if self._selected == 0:
            return np.zeros(len(self._density))
        weights = 1 / np.arange(1, self._selected + 1)
        near = self._nearest[:, : self._selected]
        m = near.shape[1]
        gain = near @ weights[:m].astype(np.float32)
        if self._selected > m:
            rest = (self._total - near.sum(axis=1)) / (self._selected - m)
            gain = gain + rest * weights[m:].sum()
        return np.asarray(gain / weights.sum(), dtype=np.float64)


class Coverage:
    """By how much selecting a row raises the similarity of rows to their nearest selected row.

    The marginal gain of facility location, a submodular function.
    """

    def __init__(self, graph: _Graph, rows: Indices, best: Vectors, gain: Floats) -> None:
        self._graph = graph
        self._rows = rows
        self._best = best
        self._gain = gain

    @classmethod
    def of(cls, candidates: Candidates) -> Coverage:
        """The gain of each candidate before any is selected."""
        n = len(candidates.rows)
        worth = candidates.similarities * candidates.weight[:, None]
        gain = np.bincount(candidates.neighbours.ravel(), weights=worth.ravel(), minlength=n)
        best = np.zeros(n, dtype=np.float32)
        return cls(_Graph.of(candidates), np.arange(n), best, gain.astype(np.float64))

    def subset(self, positions: Indices) -> Coverage:
        """A copy of which only these rows may be selected."""
        return Coverage(self._graph, self._rows[positions], self._best.copy(), self._gain.copy())

    def gain(self) -> Floats:
        """What selecting each row adds: (n,)."""
        return np.asarray(self._gain[self._rows])

    def add(self, positions: Indices) -> None:
        """Select rows: what they cover is worth less to the others from now on."""
        graph = self._graph
        for row in self._rows[positions]:
            rows, closer = graph.covered_by(int(row))
            raised = closer > self._best[rows]
            rows, closer = rows[raised], closer[raised]
            similarities = graph.similarities[rows]
            lost = np.maximum(similarities - self._best[rows, None], 0)
            lost -= np.maximum(similarities - closer[:, None], 0)
            np.subtract.at(self._gain, graph.neighbours[rows], lost * graph.weight[rows, None])
            self._best[rows] = closer


@dataclass(frozen=True, slots=True)
class _Graph:
    """The neighbours (n, k) of each row, and the rows that name it as one.

    `entries` holds, row by row from `starts` on, where in the flat `neighbours` a row stands.
    """

    similarities: Vectors
    neighbours: Indices
    weight: Floats
    entries: Indices
    starts: Indices

    @classmethod
    def of(cls, candidates: Candidates) -> _Graph:
        flat = candidates.neighbours.ravel()
        entries = np.argsort(flat, kind="stable")
        starts = np.searchsorted(flat[entries], np.arange(len(candidates.rows) + 1))
        similarities, neighbours = candidates.similarities, candidates.neighbours
        return cls(similarities, neighbours, candidates.weight, entries, starts)

    def covered_by(self, row: int) -> tuple[Indices, Vectors]:
        """The rows that name this one as a neighbour, and their similarities to it."""
        entries = self.entries[self.starts[row] : self.starts[row + 1]]
        return entries // self.neighbours.shape[1], self.similarities.ravel()[entries]


class Volume:
    """Each row's ridge leverage over the selected rows X: xᵀ (XᵀX + λI)⁻¹ x.

    From it log det(XᵀX + λI) grows (D-optimal design).
    """

    def __init__(self, inverse: Floats, gain: Floats) -> None:
        self._inverse = inverse
        self.gain = gain

    @classmethod
    def of(cls, vectors: Vectors) -> Volume:
        """The leverage of (n, d) unit vectors before any is selected."""
        return cls(np.eye(vectors.shape[1]) / _RIDGE, np.full(len(vectors), 1.0 / _RIDGE))

    def subset(self, positions: Indices) -> Volume:
        """A copy that knows these rows alone."""
        return Volume(self._inverse.copy(), self.gain[positions])

    def add(self, vectors: Vectors, positions: Indices) -> None:
        """Select some of the (n, d) vectors (Sherman and Morrison's update, one by one)."""
        falls = np.empty((vectors.shape[1], len(positions)), dtype=np.float32)
        for i, vector in enumerate(vectors[positions].astype(np.float64)):
            along = self._inverse @ vector
            along /= np.sqrt(1 + vector @ along)
            self._inverse -= np.outer(along, along)
            falls[:, i] = along
        self.gain = self.gain - ((vectors @ falls) ** 2).sum(axis=1)
