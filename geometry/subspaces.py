"""Subspaces found twice, at once or in a later round, and how near the rows come to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .density import SparseSubspace
from .neighbours import Floats, Indices, Vectors

SAME_SUBSPACE = 0.9  # cosine of two centres from which they are the same subspace


def merge_subspaces(
    subspaces: Sequence[SparseSubspace], bound: float = SAME_SUBSPACE
) -> list[SparseSubspace]:
    """Merge each subspace into the first one before it whose centre is at cosine `bound` or above.

    The first keeps its centre, radius and gap, and takes over rows that it did not have.
    """
    kept: list[SparseSubspace] = []
    for subspace in subspaces:
        same = [i for i, other in enumerate(kept) if float(other.centre @ subspace.centre) >= bound]
        if not same:
            kept.append(subspace)
            continue
        first = kept[same[0]]
        members = _joined(first.members, subspace.members)
        kept[same[0]] = replace(
            first,
            members=members,
            wanted=_joined(first.wanted, subspace.wanted),
            nearby=first.nearby[~np.isin(first.nearby, members)],
        )
    return kept


def match_centres(
    centres: Vectors, known: Vectors, bound: float = SAME_SUBSPACE
) -> list[int | None]:
    """For each of (n, d) unit centres, the known one (m, d) that it is, None if it is new.

    Pairs at cosine `bound` or above are matched, the nearest first; each known one at most once.
    """
    found: list[int | None] = [None] * len(centres)
    if len(centres) == 0 or len(known) == 0:
        return found
    cosines = centres @ known.T
    taken: set[int] = set()
    for flat in np.argsort(-cosines, axis=None, kind="stable"):
        i, j = divmod(int(flat), len(known))
        if cosines[i, j] < bound:
            break
        if found[i] is None and j not in taken:
            found[i] = j
            taken.add(j)
    return found


def proximity(
    vectors: Vectors, centres: Vectors, earlier: NDArray[np.bool_], k: int = 10
) -> tuple[Floats, Floats]:
    """How near the rows come to each centre: the mean cosine of its k nearest rows.

    1 is full, lower is emptier; 0 without rows.

    Args:
        vectors: (n, d) unit vectors of the rows.
        centres: (c, d) unit vectors.
        earlier: (n,) which rows were there before.
        k: rows that count for each centre; all where there are fewer.

    Returns:
        The proximity of the earlier rows, and that of all: (c,) each.
    """
    cosines = vectors @ centres.T
    return _mean_of_largest(cosines[earlier], k), _mean_of_largest(cosines, k)


def _mean_of_largest(cosines: Vectors, k: int) -> Floats:
    """The mean of the k largest in each column: (n, c) to (c,)."""
    largest = np.sort(cosines, axis=0)[-k:]
    means = [column.mean() if len(column) else 0.0 for column in largest.T]
    return np.asarray(means, dtype=np.float64)


def _joined(first: Indices, second: Indices) -> Indices:
    return np.append(first, second[~np.isin(second, first)])
