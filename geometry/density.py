"""Where the data is thin: k-NN density and the sparse regions that lie on the data's manifold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .neighbours import Floats, Indices, Vectors, nearest_others, unit


@dataclass(frozen=True, slots=True)
class Region:
    """A sparse region: unit `centre` (d,), `radius` and `sparsity` as cosine distances.

    `members` are the rows inside the radius, nearest to the centre first; `nearby` the nearest
    rows outside it that lie in denser surroundings.
    """

    anchor: int
    centre: Vectors
    radius: float
    sparsity: float
    members: Indices
    nearby: Indices


def sparsity(similarities: Vectors) -> Floats:
    """Mean cosine distance to the k nearest others, from (n, k) similarities: (n,)."""
    return np.asarray(1 - similarities.mean(axis=1, dtype=np.float64))


def region_count(rows: int) -> int:
    """How many regions to look for: half the square root of the rows, from 1 to 32."""
    return int(np.clip(round(np.sqrt(rows) / 2), 1, 32))


def sparse_regions(vectors: Vectors, count: int, k: int = 10) -> list[Region]:
    """Find up to `count` sparse regions of (n, d) unit vectors, sparsest first.

    A region is a row far from its k nearest others that at least k/2 rows nevertheless name
    among their own k nearest. That support keeps it on the data's manifold: a lone outlier is
    nobody's neighbour. Rows inside a region already found are passed over (non-maximum
    suppression). Costs one exact k-NN search and O(n · d) a region.
    """
    n = len(vectors)
    if n < 3:
        return []
    k = min(k, n - 1)
    similarities, neighbours = nearest_others(vectors, k)
    thin = sparsity(similarities)
    support = np.bincount(neighbours.ravel(), minlength=n)
    order = np.argsort(-thin, kind="stable")
    # Few rows or a degenerate shape may leave nothing supported: then every row may anchor.
    anchors = order[support[order] >= k / 2] if (support >= k / 2).any() else order
    dense = np.flatnonzero(thin <= np.median(thin))

    taken = np.zeros(n, dtype=bool)
    regions: list[Region] = []
    for anchor in anchors:
        if len(regions) == count:
            break
        if taken[anchor]:
            continue
        group = np.append(anchor, neighbours[anchor])
        centre = unit(vectors[group].mean(axis=0))
        distance = 1 - vectors @ centre
        radius = float(np.quantile(distance[group], 0.8))
        inside = np.flatnonzero(distance <= radius)
        taken[inside] = True
        taken[anchor] = True
        outside = dense[distance[dense] > radius]
        regions.append(
            Region(
                anchor=int(anchor),
                centre=centre,
                radius=radius,
                sparsity=float(thin[anchor]),
                members=inside[np.argsort(distance[inside], kind="stable")],
                nearby=outside[np.argsort(distance[outside], kind="stable")][:5],
            )
        )
    return regions
