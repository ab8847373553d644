"""Clusters of the data: spherical k-means with careful seeding."""

from __future__ import annotations

import numpy as np

from .neighbours import Indices, Vectors, k_means, nearest_centre

_SAMPLE = 20_000  # rows that take part, drawn at random beyond that


def cluster_rows(vectors: Vectors, count: int, seed: int, *, iterations: int = 10) -> list[Indices]:
    """Group (n, d) unit vectors into at most `count` clusters, largest first.

    Spherical k-means from k-means++ seeds (Arthur and Vassilvitskii 2007): unlike the many
    cells of `Cells`, a handful of clusters depends on where it begins.

    Returns:
        The rows of each cluster, nearest to its centre first; all rows, or those of a sample.
    """
    rng = np.random.default_rng(seed)
    if (n := len(vectors)) == 0:
        return []
    rows = np.arange(n) if n <= _SAMPLE else np.sort(rng.choice(n, _SAMPLE, replace=False))
    points = vectors[rows]
    centres = k_means(points, points[_k_means_plus_plus(points, count, rng)], iterations)
    nearest = nearest_centre(points, centres)
    found = []
    for cluster, centre in enumerate(centres):
        inside = np.flatnonzero(nearest == cluster)
        found.append(rows[inside[np.argsort(-(points[inside] @ centre), kind="stable")]])
    return sorted((c for c in found if len(c)), key=len, reverse=True)


def _k_means_plus_plus(points: Vectors, count: int, rng: np.random.Generator) -> list[int]:
    """Rows drawn with probability in proportion to the squared distance from those drawn."""
    drawn = [int(rng.integers(len(points)))]
    squared = np.full(len(points), np.inf)
    while len(drawn) < count:
        squared = np.minimum(squared, np.maximum(0, 2 - 2 * (points @ points[drawn[-1]])))
        squared[drawn] = 0
        if squared.sum() <= 1e-6:
            break  # every row is a copy of one that is drawn
        drawn.append(int(rng.choice(len(points), p=squared / squared.sum())))
    return drawn
