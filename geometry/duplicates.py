"""Which earlier rows a row may repeat: the nearest by cosine, incrementally and in blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .neighbours import Floats, Indices, Vectors, nearest

Search = Callable[[Vectors, Vectors, int], tuple[Vectors, Indices]]


def candidates(
    new: Vectors, kept: Vectors, floor: float, most: int, search: Search = nearest
) -> list[tuple[Indices, Floats]]:
    """Find the rows that each of a block of new rows may repeat, most similar first.

    Of `kept` the `most` nearest are found; of the earlier new rows all, because some of them may
    turn out to be repeats and give up their place. The `most` first of those that remain are
    therefore the same however a sequence of rows is split into blocks.

    Args:
        new: (m, d) unit vectors; m × m similarities are held in memory.
        kept: (n, d) unit vectors.
        floor: least cosine.
        most: kept rows wanted for each new row.
        search: finds the nearest rows, as `neighbours.nearest` does.

    Returns:
        For each new row the indices (i < n is `kept[i]`, else `new[i - n]`) and their cosines;
        equal cosines in index order.
    """
    similarity, index = search(new, kept, most)
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


def first_come(
    new: Vectors, kept: Vectors, threshold: float, block: int = 512
) -> tuple[NDArray[np.bool_], Indices, Floats]:
    """Decide in order which of (m, d) new unit vectors repeat a row that was kept before.

    A row repeats another at cosine ≥ `threshold` to an earlier row that is kept, be it one of
    `kept` (n, d) or an earlier new one. No two rows that are kept are that similar.

    Returns:
        repeats: (m,) which new rows repeat another.
        nearest: (m,) index of the most similar kept row: i < n is `kept[i]`, else `new[i - n]`;
            -1 if none is similar at all (cosine above 0).
        cosine: (m,) the similarity to it, 0 if there is none.
    """
    repeats = np.zeros(len(new), dtype=bool)
    closest = np.full(len(new), -1, dtype=np.int64)
    cosine = np.zeros(len(new), dtype=np.float64)
    survivors = np.zeros(len(new), dtype=bool)
    for start in range(0, len(new), block):
        rows = new[start : start + block]
        span = slice(start, start + len(rows))
        for pool, ids in (
            (kept, np.arange(len(kept))),
            (new[:start][survivors[:start]], len(kept) + np.flatnonzero(survivors[:start])),
        ):
            if len(pool) == 0:
                continue
            similarity, index = nearest(rows, pool, 1)
            better = similarity[:, 0] > cosine[span]
            cosine[span][better] = similarity[:, 0][better]
            closest[span][better] = ids[index[:, 0]][better]
        within = rows @ rows.T
        for i in range(len(rows)):
            earlier = np.flatnonzero(survivors[start : start + i])
            if len(earlier):
                best = earlier[np.argmax(within[i, earlier])]
                if within[i, best] > cosine[start + i]:
                    cosine[start + i] = within[i, best]
                    closest[start + i] = len(kept) + start + best
            repeats[start + i] = cosine[start + i] >= threshold
            survivors[start + i] = not repeats[start + i]
    return repeats, closest, cosine
