"""How well a set of rows covers the space, and how much it repeats itself.

No single measure can be trusted: near-duplicates raise NovelSum, outliers raise the Vendi score.
Show several of them together, near-duplicate pairs among them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .neighbours import Cells, Floats, Indices, Vectors, nearest

_BLOCK = 1024  # rows whose distances to all others are held at once


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
