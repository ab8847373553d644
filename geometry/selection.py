"""Choosing exactly N rows by quality and coverage together."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from .neighbours import Floats, Vectors, nearest


def percentile_ranks(values: Floats) -> Floats:
    """Return the rank of each value as a share from 0 to 1; equal values share their mean rank."""
    if len(values) == 0:
        return np.empty(0)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank = last - (counts + 1) / 2
    return np.asarray(mean_rank[inverse] / max(1, len(values) - 1))


def facility_location(
    vectors: Vectors,
    quality: Floats,
    count: int,
    quality_weight: float,
    *,
    capped: NDArray[np.bool_],
    cap: int,
    k: int = 64,
) -> list[int]:
    """Choose `count` rows greedily by coverage and quality, at most `cap` of the `capped` ones.

    Maximises (1 - w) · mean over all rows of the similarity to their nearest chosen row
    + w · mean quality of the chosen rows. Both terms are monotone and submodular, so the greedy
    choice reaches at least 1 - 1/e of the optimum (Nemhauser et al. 1978), or 1/2 of it where
    the cap binds. Similarities below those of the k nearest rows count as zero; the lazy
    evaluation of gains is exact.

    Args:
        vectors: (n, d) unit vectors.
        quality: (n,) from 0 to 1.
        count: rows wanted; fewer come back if the cap or n leaves fewer.
        quality_weight: w, from 0 (coverage alone) to 1 (quality alone).
        capped: (n,) which rows fall under the cap.
        cap: most rows of these.
        k: neighbours of each row that it may cover.

    Returns:
        Indices in the order of choice; ties go to the lower index.
    """
    n = len(vectors)
    if count == 0:
        return []
    similarities, neighbours = nearest(vectors, vectors, min(k, n))
    similarities = np.maximum(similarities, 0)
    # covers[i] lists the rows that count i among their neighbours, with their similarity.
    owner = np.repeat(np.arange(n), neighbours.shape[1])
    order = np.argsort(neighbours.ravel(), kind="stable")
    covers = owner[order]
    weights = similarities.ravel()[order].astype(np.float64)
    starts = np.searchsorted(neighbours.ravel()[order], np.arange(n + 1))

    best = np.zeros(n)

    def gain(i: int) -> float:
        span = slice(starts[i], starts[i + 1])
        coverage = np.maximum(weights[span] - best[covers[span]], 0).sum() / n
        merit: float = quality_weight * quality[i] / count
        return float((1 - quality_weight) * coverage + merit)

    heap = [(-gain(i), i) for i in range(n)]
    heapq.heapify(heap)
    chosen: list[int] = []
    used = 0
    while heap and len(chosen) < count:
        _, i = heapq.heappop(heap)
        if capped[i] and used >= cap:
            continue
        fresh = (-gain(i), i)
        if heap and fresh > heap[0]:
            heapq.heappush(heap, fresh)
            continue
        chosen.append(i)
        used += int(capped[i])
        span = slice(starts[i], starts[i + 1])
        best[covers[span]] = np.maximum(best[covers[span]], weights[span])
    return chosen
