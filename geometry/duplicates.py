"""Which earlier rows a row may repeat: the nearest by cosine, incrementally and in blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .neighbours import Floats, Indices, Vectors, nearest


def duplicate_candidates(
    new: Vectors, kept: Vectors, floor: float, most: int
) -> list[tuple[Indices, Floats]]:
    """Find the rows that each of a block of new rows may repeat, most similar first.

    Of `kept` the `most` nearest are found; of the earlier new rows all, because some of them may
    turn out to be repeats and be dropped. The `most` first of those that remain are
    therefore the same however a sequence of rows is split into blocks.

    Args:
        new: (m, d) unit vectors; m × m similarities are held in memory.
        kept: (n, d) unit vectors.
        floor: least cosine.
        most: kept rows wanted for each new row.

    Returns:
        For each new row the indices (i < n is `kept[i]`, else `new[i - n]`) and their cosines;
        equal cosines in index order.
    """
    similarity, index = nearest(new, kept, most)
    within = np.tril(new @ new.T, -1)
    found = []
    for row, (cosines, ids) in enumerate(zip(similarity, index, strict=True)):
        earlier = np.flatnonzero(within[row, :row] >= floor)
        near = cosines >= floor
        both = np.concatenate([ids[near], len(kept) + earlier])
        values = np.concatenate([cosines[near], within[row, earlier]]).astype(np.float64)
        order = np.lexsort((both, -values))
        found.append((both[order], values[order]))
    return found


def graph_candidates(
    graph: tuple[Vectors, Indices], rows: Sequence[int], open_rows: NDArray[np.bool_], floor: float
) -> list[tuple[Indices, Floats]]:
    """Find in a neighbour graph the earlier rows that each of some rows may repeat.

    For sets that are too large to compare each row with all that stay: only the neighbours of a
    row are candidates.

    Args:
        graph: similarities and indices (n, k) of the nearest others, as `nearest_others` gives.
        rows: the rows in question.
        open_rows: (n,) the rows that may be repeated.
        floor: least cosine.

    Returns:
        For each row its candidates' indices and cosines, most similar first.
    """
    found = []
    for row in rows:
        cosines, ids = graph[0][row], graph[1][row]
        near = (ids < row) & open_rows[ids] & (cosines >= floor)
        found.append((ids[near], cosines[near].astype(np.float64)))
    return found


def is_copy(vector: Vectors, originals: Vectors, bound: float) -> bool:
    """Whether a (d,) unit vector is above a cosine of `bound` to any of (n, d) originals."""
    return len(originals) > 0 and bool((originals @ vector).max() > bound)
