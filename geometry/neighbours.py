"""Nearest neighbours by cosine, in blocks: never an n × n matrix in memory.

Exact up to `EXACT_LIMIT` rows; above, `Cells` looks for a row's neighbours in the cells around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .largest import largest

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

EXACT_LIMIT = 50_000  # rows up to which every pair is compared
BLOCK_ENTRIES = 16_000_000  # similarities held at once: 64 MB of float32
PROBES = 8_000  # rows among which Cells looks for the neighbours of a row, at least

_ITERATIONS = 6  # of k-means


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Scale each row of an (n, d) array to length 1; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(norms == 0, 1, norms), dtype=np.float32)


def nearest(
    queries: Vectors, data: Vectors, k: int, *, block_entries: int = BLOCK_ENTRIES
) -> tuple[Vectors, Indices]:
    """Return the k rows of `data` most similar to each query, most similar first.

    Args:
        queries: (q, d) unit vectors.
        data: (n, d) unit vectors.
        k: neighbours wanted; fewer come back if `data` is smaller.
        block_entries: similarities held in memory at once.

    Returns:
        Cosine similarities (q, k) and indices into `data` (q, k); equal similarities in index
        order; which of them are left out at the k-th rank is arbitrary, but always the same.
    """
    k = min(k, len(data))
    similarities = np.empty((len(queries), k), dtype=np.float32)
    indices = np.empty((len(queries), k), dtype=np.int64)
    if k == 0:
        return similarities, indices
    step = max(1, block_entries // len(data))
    for start in range(0, len(queries), step):
        block = queries[start : start + step] @ data.T
        found = largest(block, k)
        similarities[start : start + step], indices[start : start + step] = found
    return similarities, indices


def nearest_others(
    vectors: Vectors, k: int, *, exact_limit: int = EXACT_LIMIT, probes: int = PROBES
) -> tuple[Vectors, Indices]:
    """Return the k nearest other rows of each row: (n, k) similarities and indices.

    A row is never its own neighbour, even among exact copies of it.

    Args:
        vectors: (n, d) unit vectors.
        k: neighbours wanted; fewer come back if there are fewer rows.
        exact_limit: rows up to which every pair is compared; above, `Cells` finds the neighbours.
        probes: rows among which `Cells` looks for the neighbours of a row, at least.
    """
    n = len(vectors)
    k = max(0, min(k, n - 1))
    if n > exact_limit:
        cells = Cells.of(vectors)
        similarities, indices = cells.nearest(vectors, np.arange(n), k + 1, probes=probes)
    else:
        similarities, indices = nearest(vectors, vectors, k + 1)
    return without_own(similarities, indices, np.arange(n))


def without_own(similarities: Vectors, indices: Indices, rows: Indices) -> tuple[Vectors, Indices]:
    """Drop each query's own row from its neighbours: (q, k + 1) to (q, k).

    Args:
        similarities: (q, k + 1), most similar first.
        indices: (q, k + 1).
        rows: (q,) the rows that were asked for.
    """
    shape = (len(rows), max(0, indices.shape[1] - 1))
    if len(rows) == 0:
        return similarities.reshape(shape), indices.reshape(shape)
    own = indices == rows[:, None]
    own[~own.any(axis=1), -1] = True  # crowded out by exact copies: drop the last of them
    return similarities[~own].reshape(shape), indices[~own].reshape(shape)


def k_means(vectors: Vectors, seeds: Vectors, iterations: int) -> Vectors:
    """Centres (c, d) of (n, d) unit vectors by spherical k-means (Dhillon and Modha 2001).

    From the seeds (c, d) on, each row goes to the centre of largest cosine and each centre to
    the mean of its rows; one that lost its rows stays where it is.
    """
    centres: Vectors = seeds.copy()
    for _ in range(iterations):
        cell = nearest_centre(vectors, centres)
        order = np.argsort(cell, kind="stable")
        filled, first = np.unique(cell[order], return_index=True)
        centres[filled] = unit(np.add.reduceat(vectors[order], first, axis=0))
    return centres


def nearest_centre(vectors: Vectors, centres: Vectors) -> Indices:
    """The centre of largest cosine for each of (n, d) rows, the first of equals: (n,)."""
    step = max(1, BLOCK_ENTRIES // len(centres))
    parts = [
        np.argmax(vectors[start : start + step] @ centres.T, axis=1)
        for start in range(0, len(vectors), step)
    ]
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows grouped around the centres of a spherical k-means (an inverted file).

    `centres` (c, d) unit vectors, `rows` (n,) the rows in the order of their cells, `starts`
    (c + 1,) where each cell begins in it.
    """

    centres: Vectors
    rows: Indices
    starts: Indices

    @classmethod
    def of(cls, vectors: Vectors) -> Cells:
        """Group (n, d) unit vectors into about √n / 2 cells; always the same ones."""
        n = len(vectors)
        count = max(1, round(np.sqrt(n) / 2))
        rng = np.random.default_rng(0)
        sample = vectors[np.sort(rng.choice(n, min(n, 64 * count), replace=False))]
        seeds = sample[rng.choice(len(sample), count, replace=False)]
        centres = k_means(sample, seeds, _ITERATIONS)
        cell = nearest_centre(vectors, centres)
        starts = np.searchsorted(np.sort(cell), np.arange(count + 1))
        return cls(centres, np.argsort(cell, kind="stable"), starts)

    def __len__(self) -> int:
        return len(self.centres)

    def members(self, cell: int) -> Indices:
        """The rows of a cell."""
        return self.rows[self.starts[cell] : self.starts[cell + 1]]

    def nearest(
        self, vectors: Vectors, queries: Indices, k: int, *, probes: int = PROBES
    ) -> tuple[Vectors, Indices]:
        """Return the k rows most similar to each of some rows, as `nearest` does.

        A row's neighbours are sought in its own cell and those nearest to it.

        Args:
            vectors: (n, d) the rows that were grouped.
            queries: (q,) rows whose neighbours are wanted.
            k: neighbours wanted, the row itself among them.
            probes: rows among which the neighbours of a row are sought, at least.
        """
        similarities = np.zeros((len(queries), k), dtype=np.float32)
        indices = np.zeros((len(queries), k), dtype=np.int64)
        cell = np.empty(len(vectors), dtype=np.int64)
        cell[self.rows] = np.repeat(np.arange(len(self)), np.diff(self.starts))
        around = np.argsort(-(self.centres @ self.centres.T), axis=1, kind="stable")
        sizes = np.diff(self.starts)
        by_cell = np.argsort(cell[queries], kind="stable")
        bounds = np.searchsorted(cell[queries][by_cell], np.arange(len(self) + 1))
        for number in range(len(self)):
            asked = by_cell[bounds[number] : bounds[number + 1]]
            if len(asked) == 0:
                continue
            reach = int(np.searchsorted(np.cumsum(sizes[around[number]]), max(probes, k))) + 1
            near = np.sort(np.concatenate([self.members(c) for c in around[number][:reach]]))
            found, where = nearest(vectors[queries[asked]], vectors[near], k)
            similarities[asked], indices[asked] = found, near[where]
        return similarities, indices
