"""Exact nearest neighbours by cosine, in blocks: never an n × n matrix in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_BLOCK_ENTRIES = 16_000_000  # similarities held at once: 64 MB of float32


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Scale each row of an (n, d) array to length 1; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(norms == 0, 1, norms), dtype=np.float32)


def nearest(queries: Vectors, data: Vectors, k: int) -> tuple[Vectors, Indices]:
    """Return the k rows of `data` most similar to each query, most similar first.

    Args:
        queries: (q, d) unit vectors.
        data: (n, d) unit vectors.
        k: neighbours wanted; fewer come back if `data` is smaller.

    Returns:
        Cosine similarities (q, k) and indices into `data` (q, k); equal similarities in index
        order.
    """
    k = min(k, len(data))
    similarities = np.empty((len(queries), k), dtype=np.float32)
    indices = np.empty((len(queries), k), dtype=np.int64)
    if k == 0:
        return similarities, indices
    step = max(1, _BLOCK_ENTRIES // len(data))
    for start in range(0, len(queries), step):
        block = queries[start : start + step] @ data.T
        if k < len(data):
            # Ties at the k-th place are cut arbitrarily; the k kept are ordered exactly.
            top = np.sort(np.argpartition(-block, k - 1, axis=1)[:, :k], axis=1)
        else:
            top = np.broadcast_to(np.arange(k), block.shape)
        found = np.take_along_axis(block, top, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        indices[start : start + step] = np.take_along_axis(top, order, axis=1)
        similarities[start : start + step] = np.take_along_axis(found, order, axis=1)
    return similarities, indices


def nearest_others(vectors: Vectors, k: int) -> tuple[Vectors, Indices]:
    """Return the k nearest other rows of each row: (n, k) similarities and indices.

    A row is never its own neighbour, even among exact copies of it.
    """
    k = max(0, min(k, len(vectors) - 1))
    similarities, indices = nearest(vectors, vectors, k + 1)
    if len(vectors) == 0:
        return similarities, indices
    own = indices == np.arange(len(vectors))[:, None]
    own[~own.any(axis=1), -1] = True  # crowded out by exact copies: drop the last of them
    shape = (len(vectors), k)
    return similarities[~own].reshape(shape), indices[~own].reshape(shape)
