"""Where the data is thin: k-NN density and the sparse regions that lie on the data's manifold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .neighbours import Floats, Indices, Vectors, nearest, nearest_others, unit


@dataclass(frozen=True, slots=True)
class Region:
    """A region that lacks rows: unit `centre` (d,), `radius` as a cosine distance.

    `density` and `wanted_density` are mean cosines to the nearest rows of the data and of the
    reference; `gap` is what the data lacks. `members` are the rows inside the radius, nearest to
    the centre first, `wanted` the reference's, and `nearby` the nearest rows outside it that lie
    in denser surroundings. `anchor` is the row, or reference row, that the region was grown from.
    """

    anchor: int
    centre: Vectors
    radius: float
    gap: float
    density: float
    wanted_density: float
    members: Indices
    wanted: Indices
    nearby: Indices


def sparsity(similarities: Vectors) -> Floats:
    """Mean cosine distance to the k nearest others, from (n, k) similarities: (n,)."""
    return np.asarray(1 - similarities.mean(axis=1, dtype=np.float64))


def region_count(rows: int) -> int:
    """How many regions to look for: half the square root of the rows, from 1 to 32."""
    return int(np.clip(round(np.sqrt(rows) / 2), 1, 32))


def regions_toward(reference: Vectors, data: Vectors, count: int, k: int = 10) -> list[Region]:
    """Find up to `count` regions that are dense in the reference and thin in the data.

    The gap of a reference row is its mean cosine to its k nearest in the reference minus that to
    its k nearest in the data; rows inside a region already found are passed over.

    Args:
        reference: (m, d) unit vectors of what is wanted.
        data: (n, d) unit vectors of what there is.
        count: regions wanted.
        k: nearest rows over which densities are taken.
    """
    if len(reference) < 3 or len(data) == 0:
        return []
    similar, neighbours = nearest_others(reference, k)
    wanted_density = similar.mean(axis=1, dtype=np.float64)
    density = nearest(reference, data, k)[0].mean(axis=1, dtype=np.float64)
    gap = wanted_density - density
    taken = np.zeros(len(reference), dtype=bool)
    regions: list[Region] = []
    for anchor in np.argsort(-gap, kind="stable"):
        if len(regions) == count or gap[anchor] <= 0:
            break
        if taken[anchor]:
            continue
        group = np.append(anchor, neighbours[anchor])
        centre = unit(reference[group].mean(axis=0))
        apart = 1 - reference @ centre
        radius = float(np.quantile(apart[group], 0.8))
        taken |= apart <= radius
        taken[anchor] = True
        distance = 1 - data @ centre
        order = np.argsort(distance, kind="stable")
        inside = int(np.count_nonzero(distance <= radius))
        regions.append(
            Region(
                anchor=int(anchor),
                centre=centre,
                radius=radius,
                gap=float(gap[anchor]),
                density=float(density[anchor]),
                wanted_density=float(wanted_density[anchor]),
                members=order[:inside],
                wanted=np.flatnonzero(apart <= radius)[
                    np.argsort(apart[apart <= radius], kind="stable")
                ],
                nearby=order[inside : inside + 5],
            )
        )
    return regions


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
                gap=float(thin[anchor]),
                density=float(1 - thin[anchor]),
                wanted_density=1.0,
                members=inside[np.argsort(distance[inside], kind="stable")],
                wanted=np.empty(0, dtype=np.int64),
                nearby=outside[np.argsort(distance[outside], kind="stable")][:5],
            )
        )
    return regions
