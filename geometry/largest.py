"""The k largest values of each row of a matrix, without partitioning whole rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Columns = NDArray[np.int64]

_GROUP = 32  # columns of which only the largest value is compared at first
_PART = 1_000_000  # entries looked at together: what a processor's cache holds
_CROWD = 8  # times k: rows with more values to sort are partitioned


def largest(values: Matrix, k: int) -> tuple[Matrix, Columns]:
    """Return the k largest of each row of (q, n), largest first, and their columns: (q, k) each.

    Equal values come in the order of their columns; which of them are left out at the k-th rank is
    arbitrary, as `np.argpartition` has it, but always the same.

    Columns are put into groups. The k-th largest of the groups' maxima is a bound that at least k
    values of the row reach, seldom many more, and these alone are sorted: about a seventh of the
    time of `np.argpartition` on the whole row.
    """
    q, n = values.shape
    k = min(k, n)
    group = min(_GROUP, n // (2 * max(k, 1)))
    found = np.empty((q, k), dtype=values.dtype)
    columns = np.empty((q, k), dtype=np.int64)
    step = max(1, _PART // max(n, 1))
    for start in range(0, q, step):
        part = values[start : start + step]
        top = _by_groups(part, k, group) if group > 3 and k > 0 else _partitioned(part, k)
        found[start : start + step], columns[start : start + step] = top
    return found, columns


def _by_groups(values: Matrix, k: int, group: int) -> tuple[Matrix, Columns]:
    q, n = values.shape
    groups = n // group  # columns far from each other: what lies together is often alike
    maxima = values[:, : groups * group].reshape(q, group, groups).max(axis=1)
    bound = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    reaching = values >= bound[:, None]
    counts = np.count_nonzero(reaching, axis=1)
    sortable = (counts >= k) & (counts <= _CROWD * k)  # fewer where a value is not a number
    reaching[~sortable] = False
    counts[~sortable] = 0

    flat = np.flatnonzero(reaching)
    candidates = values.ravel()[flat]
    order = np.lexsort((-candidates, flat // n))
    candidates, flat = candidates[order], flat[order]
    rows = np.flatnonzero(sortable)
    first = (np.cumsum(counts) - counts)[rows]
    picked = first[:, None] + np.arange(k)
    following = np.minimum(first + k, max(len(candidates) - 1, 0))
    cut_ties = (counts[rows] > k) & (candidates[following] == candidates[picked[:, -1]])

    found = np.empty((q, k), dtype=values.dtype)
    columns = np.empty((q, k), dtype=np.int64)
    found[rows], columns[rows] = candidates[picked], flat[picked] % n
    others = np.concatenate([np.flatnonzero(~sortable), rows[cut_ties]])
    if len(others):
        found[others], columns[others] = _partitioned(values[others], k)
    return found, columns


def _partitioned(values: Matrix, k: int) -> tuple[Matrix, Columns]:
    if k < values.shape[1]:
        top = np.sort(np.argpartition(-values, k - 1, axis=1)[:, :k], axis=1)
    else:
        top = np.broadcast_to(np.arange(k), values.shape)
    found = np.take_along_axis(values, top, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(top, order, axis=1)
