"""Clusters of the data: spherical k-means with careful seeding."""

from __future__ import annotations

import numpy as np

from .neighbours import Indices, Vectors, k_means, nearest_centre

_MOST = 20_000  # rows that take part, drawn at random beyond that


def clusters(vectors: Vectors, count: int, seed: int, *, turns: int = 10) -> list[Indices]:
    """Group (n, d) unit vectors into at most `count` clusters, largest first.

    Spherical k-means from k-means++ seeds (Arthur and Vassilvitskii 2007): unlike the many
    cells of `Cells`, a handful of clusters depends on where it begins.

    Returns:
        The rows of each cluster, nearest to its centre first; all rows, or those of a sample.
    """
    dice = np.random.default_rng(seed)
    if (n := len(vectors)) == 0:
        return []
    rows = np.arange(n) if n <= _MOST else np.sort(dice.choice(n, _MOST, replace=False))
    points = vectors[rows]
    centres = k_means(points, points[_spread(points, count, dice)], turns)
    nearest = nearest_centre(points, centres)
    found = []
    for cluster, centre in enumerate(centres):
        inside = np.flatnonzero(nearest == cluster)
        found.append(rows[inside[np.argsort(-(points[inside] @ centre), kind="stable")]])
    return sorted((c for c in found if len(c)), key=len, reverse=True)


def _spread(points: Vectors, count: int, dice: np.random.Generator) -> list[int]:
    """Rows drawn with probability in proportion to the squared distance from those drawn."""
    drawn = [int(dice.integers(len(points)))]
    apart = np.full(len(points), np.inf)
    while len(drawn) < count:
        apart = np.minimum(apart, np.maximum(0, 2 - 2 * (points @ points[drawn[-1]])))
        apart[drawn] = 0
        if apart.sum() <= 1e-6:
            break  # every row is a copy of one that is drawn
        drawn.append(int(dice.choice(len(points), p=apart / apart.sum())))
    return drawn
