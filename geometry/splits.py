"""Held-out splits of which no row is near one on the other side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .neighbours import EXACT_LIMIT, Indices, Vectors, nearest_others

_BLOCK_ENTRIES = 16_000_000  # similarities held at once
_WIDE = 40  # neighbours that are looked at where there are too many rows for all pairs
_ROUNDING = 1e-6


def near_groups(vectors: Vectors, floor: float) -> Indices:
    """Group rows that are connected by pairs of at least a cosine.

    Args:
        vectors: (n, d) unit vectors.
        floor: least cosine of a pair; above `EXACT_LIMIT` rows only the nearest neighbours of each
            row are pairs.

    Returns:
        The number of each row's group, (n,).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(vectors)
    groups = np.arange(n)
    for rows, others in _pairs(vectors, floor - _ROUNDING):
        edges = np.concatenate([rows, np.arange(n)]), np.concatenate([others, groups])
        _, labels = connected_components(
            coo_array((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(n, n)), directed=False
        )
        _, first = np.unique(labels, return_index=True)
        groups = first[labels]  # a group goes by its first row
    return np.asarray(groups, dtype=np.int64)


def _pairs(vectors: Vectors, floor: float) -> Iterator[tuple[Indices, Indices]]:
    n = len(vectors)
    if n > EXACT_LIMIT:
        cosines, ids = nearest_others(vectors, _WIDE)
        rows, places = np.nonzero(cosines >= floor)
        yield rows, ids[rows, places]
        return
    step = max(1, _BLOCK_ENTRIES // max(n, 1))
    for start in range(0, n, step):
        rows, others = np.nonzero(vectors[start : start + step] @ vectors.T >= floor)
        yield rows + start, others


def held_out(groups: Indices, size: int, seed: int) -> NDArray[np.bool_]:
    """Choose whole groups at random that have `size` rows together.

    Where no choice of groups has as many, it is the most that is less.

    Args:
        groups: (n,) the number of each row's group.
        size: rows wanted.
        seed: of the random choice.

    Returns:
        Which rows are held out, (n,).
    """
    numbers, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(numbers))
    chosen, left = [], size
    for i in order:
        if sizes[i] <= left:
            chosen.append(i)
            left -= int(sizes[i])
    if left:
        quota = _sizes_for(Counter(sizes.tolist()), size)
        chosen = []
        for i in order:
            if quota[int(sizes[i])] > 0:
                quota[int(sizes[i])] -= 1
                chosen.append(i)
    return np.isin(groups, numbers[chosen])


def _sizes_for(counts: Counter[int], total: int) -> Counter[int]:
    """How many groups of each size have the most rows together that are not above a total."""
    items = []  # (size, groups): each count in powers of two, so that every number can be made
    for size, count in sorted(counts.items()):
        left, power = count, 1
        while left > 0:
            items.append((size, min(power, left)))
            left, power = left - power, 2 * power
    within = (1 << (total + 1)) - 1
    sums = [1]  # bit s is set if the items so far can have s rows
    for size, groups in items:
        sums.append((sums[-1] | sums[-1] << size * groups) & within)
    rest, taken = sums[-1].bit_length() - 1, Counter[int]()
    for i in range(len(items) - 1, -1, -1):
        if not sums[i] >> rest & 1:
            size, groups = items[i]
            taken[size] += groups
            rest -= size * groups
    return taken
