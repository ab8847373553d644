"""The candidates of a selection: all rows, or an equal share of each part of a large set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .coverage import rarity
from .neighbours import Cells, Floats, Indices, Vectors, nearest_others, without_own

_COVERED = 64  # rows that a candidate may cover
_RARITY_NEIGHBOURS = 10  # neighbours that tell how rare a row is


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows that may be selected, m of them.

    Attributes:
        rows: (m,) their indices in the data, in ascending order.
        vectors: (m, d) their unit vectors.
        similarities: (m, k) cosines to their neighbours among each other, at least 0.
        neighbours: (m, k) these neighbours, by their position here; each row is its own first.
        weight: (m,) the share of the data that each stands for.
        rarity: (m,) mean cosine distance to the nearest rows of the whole data.
    """

    rows: Indices
    vectors: Vectors
    similarities: Vectors
    neighbours: Indices
    weight: Floats
    rarity: Floats


def candidates_of(
    vectors: Vectors,
    quality: Floats,
    count: int,
    quality_weight: float,
    *,
    capped: NDArray[np.bool_],
    exact_limit: int,
) -> Candidates:
    """All rows; or, beyond both `exact_limit` and 4 · count, a share of each cell of the data.

    Args:
        vectors: (n, d) unit vectors of the data.
        quality: (n,) from 0 to 1; the better rows of a cell stay.
        count: rows that are to be selected.
        quality_weight: what quality counts, from 0 to 1; the rest is left to chance.
        capped: (n,) rows of which only some may be selected. They and the others are thinned
            separately.
        exact_limit: most candidates, and rows up to which every pair is compared.
    """
    n, most = len(vectors), max(exact_limit, 4 * count)
    if n <= most:
        rows, weight = np.arange(n), np.ones(n)
        similarities, neighbours = nearest_others(vectors, _COVERED, exact_limit=exact_limit)
        near = similarities[:, :_RARITY_NEIGHBOURS]
        own = vectors
    else:
        cells = Cells.of(vectors)
        merit = (1 - quality_weight) * np.random.default_rng(0).random(n) + quality_weight * quality
        rows, weight = _thinned(cells, merit, capped, count, most)
        near, _ = without_own(*cells.nearest(vectors, rows, _RARITY_NEIGHBOURS + 1), rows)
        own = vectors[rows]
        similarities, neighbours = nearest_others(own, _COVERED, exact_limit=exact_limit)
    first = np.ones((len(rows), 1), dtype=np.float32)
    return Candidates(
        rows,
        own,
        np.concatenate([first, np.maximum(similarities, 0)], axis=1),
        np.concatenate([np.arange(len(rows))[:, None], neighbours], axis=1),
        weight / weight.sum(),
        rarity(near) if near.shape[1] else np.ones(len(rows)),
    )


def _thinned(
    cells: Cells, merit: Floats, capped: NDArray[np.bool_], count: int, most: int
) -> tuple[Indices, Floats]:
    """Take an equal share of each cell, and say for how many rows each one taken stands.

    Capped rows and others are thinned separately, so that enough of each remain to select from.
    """
    taken, weight = [], []
    for kind in (capped, ~capped):
        rows = int(np.count_nonzero(kind))
        share = max(most / len(merit), min(1.0, count / max(1, rows)))
        for cell in range(len(cells)):
            members = cells.members(cell)
            members = members[kind[members]]
            keep = int(np.ceil(min(1.0, share) * len(members)))
            if keep:
                taken.append(members[np.argsort(-merit[members], kind="stable")[:keep]])
                weight.append(np.full(keep, len(members) / keep))
    rows_taken = np.concatenate(taken)
    order = np.argsort(rows_taken)
    return rows_taken[order], np.concatenate(weight)[order]
