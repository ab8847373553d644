"""How well a set of rows covers the space, and how much it repeats itself."""

from __future__ import annotations

import numpy as np

from .neighbours import Vectors, nearest


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


def coverage_distance(pool: Vectors, chosen: Vectors) -> float:
    """Mean cosine distance from each row of the pool to its nearest chosen row; lower is better.

    Args:
        pool: (n, d) unit vectors of all rows that could be covered.
        chosen: (m, d) unit vectors of the rows that cover them.
    """
    if len(pool) == 0 or len(chosen) == 0:
        return 1.0 if len(pool) else 0.0
    similarities, _ = nearest(pool, chosen, 1)
    return float(np.mean(1 - similarities, dtype=np.float64))


def near_duplicate_pairs(vectors: Vectors, threshold: float) -> int:
    """Count the unordered pairs of (n, d) unit vectors at cosine ≥ `threshold`."""
    pairs = 0
    for start in range(0, len(vectors), 1024):
        block = vectors[start : start + 1024] @ vectors[start:].T
        rows = np.arange(len(block))[:, None]
        pairs += int(np.count_nonzero((block >= threshold) & (np.arange(block.shape[1]) > rows)))
    return pairs
