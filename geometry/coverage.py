"""How well a set of rows covers the space, and how much it repeats itself.

No single measure can be trusted: near-duplicates raise NovelSum, outliers raise the Vendi score.
Show several of them together, near-duplicate pairs among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .neighbours import Cells, Floats, Indices, Vectors, nearest, nearest_others

DISTANCE_SAMPLE = 20_000  # rows of a pool that distances are measured from
NOVELTY_SAMPLE = 10_000  # rows of a set whose NovelSum is measured

_BLOCK = 1024  # rows whose distances to all others are held at once
_RARITY_NEIGHBOURS = 10  # neighbours that tell how rare a row is


def rarity(similarities: Vectors) -> Floats:
    """Mean cosine distance to the k nearest others, from (n, k) similarities: (n,)."""
    return np.asarray(1 - similarities.mean(axis=1, dtype=np.float64))


def novel_sum(vectors: Vectors, rarities: Floats) -> float:
    """NovelSum of (n, d) unit vectors (arXiv 2502.17184), as a mean over the rows; from 0.

    The novelty of row i is the weighted mean over the other rows j of σ(j)^β · d(i, j), with
    weights 1 / rank of j by distance from i, the density factor σ = 1 / `rarities`, d the cosine
    distance and β = 0.5: the paper's defaults. (The published code also counts i itself, at rank
    1, and weighs by the density of i.) O(n²) time, blocks of n in memory.

    Args:
        vectors: (n, d) unit vectors of the chosen rows.
        rarities: (n,) their mean distance to the 10 nearest rows of the reference, see `rarity`.
    """
    n = len(vectors)
    if n < 2:
        return 0.0
    density = np.maximum(rarities, 1e-9) ** -0.5
    weights = 1 / np.arange(1, n)
    total = 0.0
    for start in range(0, n, _BLOCK):
        distances = 1 - vectors[start : start + _BLOCK] @ vectors.T
        rows = np.arange(len(distances))
        distances[rows, start + rows] = np.inf
        order = np.argsort(distances, axis=1)[:, : n - 1]
        aware = np.take_along_axis(distances, order, axis=1) * density[order]
        total += float((aware @ weights).sum())
    return total / float(weights.sum()) / n


def vendi_score(vectors: Vectors) -> float:
    """Effective number of distinct rows of (n, d) unit vectors, from 1 to n.

    The Vendi score (arXiv 2210.02410, eq. 3) with the cosine kernel: the exponential of the
    entropy of the eigenvalues of K / n. These are those of the d × d matrix XᵀX / n as well, so
    the cost is linear in the rows.
    """
    if len(vectors) == 0:
        return 0.0
    x = vectors.astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(x.T @ x / len(x))
    positive = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-np.sum(positive * np.log(positive))))


def coverage_radius(pool: Vectors, chosen: Vectors) -> tuple[float, float]:
    """Mean and 99th percentile of the cosine distance from the pool to the nearest chosen rows.

    Lower is better; the mean is the objective of k-medians, the maximum that of k-center, of
    which the percentile is a version that no single outlier decides.

    Args:
        pool: (n, d) unit vectors of all rows that could be covered.
        chosen: (m, d) unit vectors of the rows that cover them.
    """
    if len(pool) == 0:
        return 0.0, 0.0
    if len(chosen) == 0:
        return 1.0, 1.0
    similarities, _ = nearest(pool, chosen, 1)
    distances = np.maximum(1 - similarities[:, 0], 0)
    return float(np.mean(distances, dtype=np.float64)), float(np.percentile(distances, 99))


def cell_hit_rate(cells: Cells, chosen: Indices | NDArray[np.intp]) -> float:
    """Share of the data's cells in which at least one of the chosen rows lies, from 0 to 1.

    Args:
        cells: the data, grouped.
        chosen: indices of rows of that data.
    """
    picked = np.zeros(len(cells.rows), dtype=bool)
    picked[chosen] = True
    filled = [c for c in range(len(cells)) if len(cells.members(c))]
    hit = sum(bool(picked[cells.members(c)].any()) for c in filled)
    return hit / len(filled) if filled else 0.0


def near_duplicate_pairs(vectors: Vectors, threshold: float) -> int:
    """Count the unordered pairs of (n, d) unit vectors at cosine ≥ `threshold`."""
    pairs = 0
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors[start:].T
        rows = np.arange(len(block))[:, None]
        pairs += int(np.count_nonzero((block >= threshold) & (np.arange(block.shape[1]) > rows)))
    return pairs


@dataclass(frozen=True, slots=True)
class CoverageMeasures:
    """How a set of rows covers a pool, rounded as it is shown.

    Attributes:
        rows: in the set.
        novelsum: see `novel_sum`.
        vendi: see `vendi_score`.
        distance: mean cosine distance from the pool to the nearest row of the set.
        distance_p99: the 99th percentile of these distances.
        cells: share of the pool's cells that the set hits, see `cell_hit_rate`.
        pairs: near-duplicate pairs in the set.
    """

    rows: int
    novelsum: float
    vendi: float
    distance: float
    distance_p99: float
    cells: float
    pairs: int


class CoveragePool:
    """All rows that could be covered, with what the measures need of them.

    Of large pools and sets some measures are taken on a random sample.
    """

    def __init__(
        self,
        vectors: Vectors,
        rng: np.random.Generator,
        *,
        distance_sample: int = DISTANCE_SAMPLE,
        novelty_sample: int = NOVELTY_SAMPLE,
    ) -> None:
        """Take the pool, and how it is sampled.

        Args:
            vectors: (n, d) unit vectors, n > 0.
            rng: draws the samples.
            distance_sample: most rows of the pool that distances are measured from.
            novelty_sample: most rows of a set whose NovelSum is measured.
        """
        self._vectors = vectors
        self._rng = rng
        self._novelty_sample = novelty_sample
        self._sample = vectors[_sampled(np.arange(len(vectors)), distance_sample, rng)]
        self._cells = Cells.of(vectors)
        similarities, _ = nearest_others(vectors, _RARITY_NEIGHBOURS)
        self._rarity = rarity(similarities) if similarities.shape[1] else np.ones(len(vectors))

    def measures(self, rows: Indices, pair_cosine: float) -> CoverageMeasures:
        """Measure a set of rows of the pool, by their indices.

        `pair_cosine` is the cosine from which two rows are a near-duplicate pair.
        """
        vectors = self._vectors[rows]
        distance, far = coverage_radius(self._sample, vectors)
        some = _sampled(rows, self._novelty_sample, self._rng)
        return CoverageMeasures(
            rows=len(rows),
            novelsum=round(novel_sum(self._vectors[some], self._rarity[some]), 4),
            vendi=round(vendi_score(vectors), 2),
            distance=round(distance, 4),
            distance_p99=round(far, 4),
            cells=round(cell_hit_rate(self._cells, rows), 4),
            pairs=near_duplicate_pairs(vectors, pair_cosine),
        )


def _sampled(rows: Indices, most: int, rng: np.random.Generator) -> Indices:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
