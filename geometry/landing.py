"""Where rows came down: how far from the subspace they were written for, and how near the data
comes to each subspace.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .neighbours import Vectors

NEIGHBOURS = 10  # rows that tell how near the data comes to a subspace


def landing(vector: Vectors, centre: ArrayLike, radius: float) -> tuple[bool, float]:
    """Whether a (d,) unit vector lies within a cosine distance of a centre (d,), and how far."""
    distance = float(1 - vector @ np.asarray(centre, dtype=np.float32))
    return distance <= radius, distance


def proximity(
    pool: Vectors, earlier: NDArray[np.bool_], centres: Sequence[ArrayLike]
) -> list[tuple[float, float]]:
    """How close a pool comes to each centre: before some of its rows came, and with all of them.

    The mean cosine of a centre to the ten nearest rows: 1 is full, lower is emptier.

    Args:
        pool: (n, d) unit vectors, n ≥ 1.
        earlier: (n,) which of them were there before.
        centres: m unit vectors (d,).

    Returns:
        m pairs of before, 0 without an earlier row, and after.
    """
    cosines = pool @ np.asarray(centres, dtype=np.float32).T
    before, after = (np.sort(rows, axis=0)[-NEIGHBOURS:] for rows in (cosines[earlier], cosines))
    return [
        (float(before[:, i].mean()) if len(before) else 0.0, float(after[:, i].mean()))
        for i in range(len(centres))
    ]
