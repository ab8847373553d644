"""Near-duplicates by cosine, incrementally and without comparing removed rows again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .neighbours import Floats, Indices, Vectors, nearest


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
