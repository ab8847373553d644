"""Whether generated rows landed in the subspace that they were written for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .neighbours import Floats, Vectors, nearest


def landing_distances(vectors: Vectors, centres: Vectors) -> Floats:
    """Cosine distance of each row to the centre of its own subspace: (n,).

    One product a row, so that a distance has the same bits whatever other rows there are.

    Args:
        vectors: (n, d) unit vectors.
        centres: (n, d) unit vectors, the centre for each row.
    """
    distances = [1 - row @ centre for row, centre in zip(vectors, centres, strict=True)]
    return np.asarray(distances, dtype=np.float64)


def landed_by_radius(distances: Floats, radii: Floats) -> NDArray[np.bool_]:
    """Which rows landed: at most the radius of their subspace away from its centre, (n,)."""
    return np.asarray(distances <= radii, dtype=bool)


def landed_by_vote(
    generated: Vectors, rows: Vectors, belongs: NDArray[np.bool_], k: int = 10
) -> NDArray[np.bool_]:
    """Which generated rows landed in a subspace: at least half of their k nearest belong to it.

    Unlike the radius, the vote follows the subspace's shape. With fewer than k rows all vote;
    without any row nothing lands.

    Args:
        generated: (g, d) unit vectors.
        rows: (n, d) unit vectors of the data, the reference and what was generated before.
        belongs: (n,) which of them belong to the subspace.

    Returns:
        (g,) booleans.
    """
    if len(rows) == 0:
        return np.zeros(len(generated), dtype=bool)
    _, voters = nearest(generated, rows, k)
    return np.asarray(belongs[voters].mean(axis=1) >= 1 / 2)
