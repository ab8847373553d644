"""Selection as the peers do it: their own packages, or their papers' equations.

Each function takes (n, d) unit vectors and returns the indices of `count` rows.
"""

from __future__ import annotations

import heapq

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from lift_agent.geometry.coverage import rarity
from lift_agent.geometry.neighbours import Vectors, nearest, nearest_others
from lift_agent.geometry.variance import row_variance


def variance(vectors: Vectors, count: int) -> np.ndarray:
    """LIFT (arXiv 2312.11508): the highest row variance over the principal components."""
    return np.argsort(-row_variance(vectors), kind="stable")[:count]


def k_center(vectors: Vectors, count: int) -> np.ndarray:
    """Farthest point first (Gonzalez 1985; Sener and Savarese, arXiv 1708.00489)."""
    chosen = [int(np.argmax(vectors @ vectors.mean(axis=0)))]
    best = vectors @ vectors[chosen[0]]
    while len(chosen) < count:
        chosen.append(int(np.argmin(best)))
        best = np.maximum(best, vectors @ vectors[chosen[-1]])
    return np.asarray(chosen)


def k_means(vectors: Vectors, count: int) -> np.ndarray:
    """The row nearest to each of `count` centroids; a row that serves two is taken once."""
    fitted = MiniBatchKMeans(count, random_state=1, n_init=1, batch_size=4096).fit(vectors)
    centres = fitted.cluster_centers_
    _, order = nearest(centres.astype(np.float32), vectors, 32)
    taken: dict[int, None] = {}
    for candidates in order:
        taken.setdefault(next((int(i) for i in candidates if int(i) not in taken), -1))
    taken.pop(-1, None)
    rest = (i for i in range(len(vectors)) if i not in taken)
    return np.asarray([*taken, *(next(rest) for _ in range(count - len(taken)))])


def facility_location(vectors: Vectors, count: int, k: int = 64) -> np.ndarray:
    """Lazy greedy facility location on the k-neighbour graph (Minoux 1978)."""
    n = len(vectors)
    similarities, neighbours = nearest(vectors, vectors, k)
    owner = np.repeat(np.arange(n), neighbours.shape[1])
    order = np.argsort(neighbours.ravel(), kind="stable")
    covers, weights = owner[order], similarities.ravel()[order].astype(np.float64)
    starts = np.searchsorted(neighbours.ravel()[order], np.arange(n + 1))
    best = np.zeros(n)

    def gain(i: int) -> float:
        span = slice(starts[i], starts[i + 1])
        return float(np.maximum(weights[span] - best[covers[span]], 0).sum())

    heap = [(-gain(i), i) for i in range(n)]
    heapq.heapify(heap)
    chosen: list[int] = []
    while len(chosen) < count:
        _, i = heapq.heappop(heap)
        fresh = (-gain(i), i)
        if heap and fresh > heap[0]:
            heapq.heappush(heap, fresh)
            continue
        chosen.append(i)
        span = slice(starts[i], starts[i + 1])
        best[covers[span]] = np.maximum(best[covers[span]], weights[span])
    return np.asarray(chosen)


def novel_select(vectors: Vectors, count: int, near: int = 64) -> np.ndarray:
    """NovelSelect (arXiv 2502.17184, algorithm 1); distances beyond the nearest are averaged.

    A row's distance to a chosen one is weighted by the density of both, as in the published
    code, and by 1 / rank.
    """
    similarities, _ = nearest_others(vectors, 10)
    density = np.maximum(rarity(similarities), 1e-9) ** -0.5
    chosen = [int(np.random.default_rng(0).integers(len(vectors)))]
    closest = np.full((len(vectors), near), np.inf, dtype=np.float32)
    total = np.zeros(len(vectors))
    while len(chosen) < count:
        new = chosen[-1]
        aware = (1 - vectors @ vectors[new]) * (density + density[new])
        total += aware
        rows = np.flatnonzero(aware < closest[:, -1])
        closest[rows, -1] = aware[rows]
        closest[rows] = np.sort(closest[rows], axis=1)
        known = min(near, len(chosen))
        weights = 1 / np.arange(1, len(chosen) + 1)
        gain = closest[:, :known] @ weights[:known]
        if len(chosen) > near:
            mean_rest = (total - closest.sum(axis=1)) / (len(chosen) - near)
            gain += mean_rest * weights[near:].sum()
        gain[chosen] = -np.inf
        chosen.append(int(np.argmax(gain)))
    return np.asarray(chosen)


def deita(vectors: Vectors, count: int, threshold: float = 0.9) -> np.ndarray:
    """DEITA's repr filter (arXiv 2312.15685, section 2.4), all scores being equal.

    Rows are taken in random order (as its scores would order them) unless the cosine to a row
    taken before is at the threshold or above.
    """
    order = np.random.default_rng(0).permutation(len(vectors))
    taken = np.empty((count, vectors.shape[1]), dtype=np.float32)
    chosen: list[int] = []
    for i in order:
        if len(chosen) == count:
            break
        if not chosen or float((taken[: len(chosen)] @ vectors[i]).max()) < threshold:
            taken[len(chosen)] = vectors[i]
            chosen.append(int(i))
    return np.asarray(chosen)


def deita_as_published(vectors: Vectors, count: int, threshold: float = 0.9) -> np.ndarray:
    """The same choice with the work that the published filter does.

    For each row it gathers the rows that it has taken and brings them to length 1 twice.
    """
    chosen = [0]
    for i in range(1, len(vectors)):
        if len(chosen) == count:
            break
        taken = vectors[chosen]
        for _ in range(2):
            taken = taken / np.linalg.norm(taken, axis=1)[:, None]
        if not (taken @ vectors[i] > threshold).any():
            chosen.append(i)
    return np.asarray(chosen)


class _NoModel:
    """SemHash asks for an encoder even when the embeddings are given."""

    def encode(self, *args: object, **options: object) -> np.ndarray:
        raise NotImplementedError


def semhash(vectors: Vectors, count: int, threshold: float = 0.9) -> np.ndarray:
    """SemHash: self_deduplicate, then self_find_representative, with its defaults."""
    from semhash import SemHash

    records = [str(i) for i in range(len(vectors))]
    hashed = SemHash.from_embeddings(vectors, records, model=_NoModel())
    kept = {int(r) for r in hashed.self_deduplicate(threshold=threshold).selected}
    chosen = hashed.self_find_representative(selection_size=count, candidate_limit=len(vectors))
    found = [int(r) for r in chosen.selected]
    return np.asarray([i for i in found if i in kept])
