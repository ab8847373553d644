"""Unit vectors of rows: the caller's own, or made by an embedder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import RunConfig
from ..config.libraries import quieten_libraries
from ..embedders import LazyEmbedder
from ..errors import UsageError
from ..geometry.neighbours import Vectors, unit
from ..records import Row


def vectors_of(
    rows: Sequence[Row], numbers: Sequence[int], vectors: Any, settings: RunConfig
) -> Vectors:
    """A unit vector for each row, (n, d).

    Args:
        rows: n rows.
        numbers: the record of each row.
        vectors: (m, d) the caller's vectors, one for each of all m records; None to make them.
        settings: which embedder makes them.

    Raises:
        UsageError: the caller's vectors do not fit the rows.
        ModelError: the embedder cannot be used.
    """
    if vectors is None:
        quieten_libraries()
        embedder = LazyEmbedder(settings.embedder, **settings.embedding)
        return embedder.embed([row.text for row in rows])
    own = np.asarray(vectors, dtype=np.float64)
    if own.ndim != 2 or (numbers and len(own) <= max(numbers)):
        raise UsageError(
            f"vectors must be an array of (records, dimensions), one for each record, not of shape "
            f"{own.shape}"
        )
    own = own[list(numbers)]
    if not np.isfinite(own).all():
        row = int(np.flatnonzero(~np.isfinite(own).all(axis=1))[0])
        raise UsageError(f"vectors: that of record {numbers[row] + 1} is not finite")
    return unit(own)
