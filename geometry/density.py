"""Where the data is thin: beside a reference distribution, or by its own k-NN density."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .coverage import rarity
from .neighbours import Floats, Indices, Vectors, nearest, nearest_others, unit

VOTES_PER_ROW = 3  # reference rows at which a row is counted
NOISE_SHARE = 0.65  # of the universal threshold: votes of neighbours vary less than rows do
OVERLAP = 0.25  # share of a window in a subspace from which the window joins it


@dataclass(frozen=True, slots=True)
class SparseSubspace:
    """A part of the embedding space where the data is thin.

    Attributes:
        anchor: index of the row that it grew from: of the reference, or of the data if there is
            no reference.
        centre: (d,) unit vector, the mean of the rows that it grew over.
        radius: cosine distance from the centre that takes in 80% of these rows.
        gap: how much thinner than wanted, by which subspaces are ordered. Beside a reference, the
            signed root of the log-likelihood ratio: 0 is as wanted, 3 is three standard
            deviations of sampling noise too thin. Without one, the mean cosine distance from
            the anchor to its k nearest rows.
        density: share of the data, 0 to 1, that lies here. Beside a reference it is counted by
            votes, as `wanted_density` is, so that the two compare.
        wanted_density: share of the reference, 0 to 1, that lies here; 0 without a reference.
        members: data rows inside the radius, nearest to the centre first.
        wanted: reference rows inside the radius, nearest to the centre first.
        nearby: the nearest data rows outside the radius that lie where the data is not thin,
            up to 5.
    """

    anchor: int
    centre: Vectors
    radius: float
    gap: float
    density: float
    wanted_density: float
    members: Indices
    wanted: Indices
    nearby: Indices


def subspace_count(rows: int) -> int:
    """How many subspaces to look for: half the square root of the rows, from 1 to 32."""
    return int(np.clip(round(np.sqrt(rows) / 2), 1, 32))


def shortfall(found: Floats, wanted: Floats, rate: float) -> Floats:
    """How far data falls short of a reference, in standard deviations; below 0 it exceeds it.

    The signed root of a binomial deviance: twice the log-likelihood ratio of Kulldorff's spatial
    scan statistic (1997, Bernoulli model) where the rate outside is taken as known. `found` rows
    of the data and `wanted` rows of the reference in a window are compared with `rate` rows of the
    data for each of the reference everywhere. Under equal distributions it is about standard
    normal.
    """
    share = 1 / (1 + rate)
    both = np.maximum(found + wanted, 1e-12)
    here = wanted / both
    with np.errstate(divide="ignore", invalid="ignore"):
        of_wanted = np.where(wanted > 0, wanted * np.log(here / share), 0)
        of_found = np.where(found > 0, found * np.log((1 - here) / (1 - share)), 0)
    root = np.sqrt(2 * np.maximum(of_wanted + of_found, 0))
    return np.asarray(np.where(here > share, root, -root), dtype=np.float64)


def underrepresented_subspaces(
    reference: Vectors, data: Vectors, count: int, k: int = 10
) -> list[SparseSubspace]:
    """Find up to `count` subspaces that are dense in the reference and thin in the data.

    A k-NN estimate of the density ratio by votes (the counts of Noshad et al. 2017, arXiv
    1702.05222, taken from the data's side): each data row is counted at the `VOTES_PER_ROW`
    reference rows nearest to it, and each reference row at the others nearest to it. Data and
    reference are thus counted over the same cells, whatever the dimension, and another style of
    text in one of them changes little. The counts are pooled over windows, a reference row with its
    k / 2, k or 2k nearest, and compared by `shortfall`. Windows are taken strongest first; rows
    that a subspace holds count no more for later windows (Zhang, Assunção and Kulldorff 2010), and
    a window that overlaps a subspace joins it. Only what stands out of the noise comes back: m
    windows without any gap reach √(2 ln m) by chance (Donoho and Johnstone's universal
    threshold). So the number of subspaces follows the data.

    A row anchors a subspace only if k / 2 others have it among their k nearest: a lone outlier is
    nobody's neighbour. Copies in the reference count once. Costs one product of the reference
    with the data and one with itself, in blocks, and O(n · d) a subspace.

    Args:
        reference: (m, d) unit vectors that show what is wanted.
        data: (n, d) unit vectors.
        count: the most subspaces.
        k: neighbours that make a window.

    Returns:
        Subspaces by gap, greatest first; none without data or with fewer than three different
        reference rows.
    """
    rows, first = np.unique(reference, axis=0, return_index=True)
    m = len(rows)
    if m < 3 or len(data) == 0 or count < 1:
        return []
    k = min(k, m - 1)
    sizes = sorted({max(1, k // 2), k, min(2 * k, m - 1)})
    _, around = nearest_others(rows, sizes[-1])
    _, ballots = nearest(data, rows, min(VOTES_PER_ROW, m - 1))
    found = _votes(ballots, m)
    # The votes for a single reference row are few: they are drawn half way to their mean.
    wanted = (1 + _votes(around[:, : ballots.shape[1]], m)) / 2

    windows = np.column_stack([np.arange(m), around])
    found_in, wanted_in = found[windows].cumsum(axis=1), wanted[windows].cumsum(axis=1)
    ratio = found_in[:, k] / wanted_in[:, k]
    # The median does not see copies and other topics in the data; the mean replaces it
    # where the data lacks most of the reference.
    rate = float(max(np.median(ratio), ratio.mean() / 2))
    gaps = shortfall(found_in[:, sizes], wanted_in[:, sizes], rate)
    supported = _votes(around[:, :k], m) >= 1 / 2
    noise = float(NOISE_SHARE * np.sqrt(2 * np.log(m)))
    strongest = [
        (-float(gaps[row, column]), int(row), size + 1)
        for column, size in enumerate(sizes)
        for row in np.flatnonzero(supported & (gaps[:, column] >= noise))
    ]

    def gap(group: Indices) -> float:
        return float(shortfall(found[group].sum(), wanted[group].sum(), rate))

    groups = sorted(_grown(strongest, windows, gap, noise), key=lambda group: -gap(group[1]))
    thick = gaps[:, sizes.index(k)] <= 0
    dense = np.flatnonzero(thick[ballots[:, 0]])
    subspaces = []
    for anchor, group in groups[:count]:
        centre = unit(rows[group].mean(axis=0))
        radius = float(np.quantile(1 - rows[group] @ centre, 0.8))
        members, nearby = _inside_and_nearby(data, centre, radius, dense)
        wanted_rows, _ = _inside_and_nearby(reference, centre, radius, dense[:0])
        subspaces.append(
            SparseSubspace(
                anchor=int(first[anchor]),
                centre=centre,
                radius=radius,
                gap=gap(group),
                density=float(found[group].sum() / len(data)),
                wanted_density=float(wanted[group].sum() / m),
                members=members,
                wanted=wanted_rows,
                nearby=nearby,
            )
        )
    return subspaces


def sparse_subspaces(vectors: Vectors, count: int, k: int = 10) -> list[SparseSubspace]:
    """Find up to `count` sparse subspaces of (n, d) unit vectors, sparsest first.

    A subspace is a row far from its k nearest others that at least k/2 rows nevertheless name
    among their own k nearest. That support keeps it on the data's manifold: a lone outlier is
    nobody's neighbour. Rows inside a subspace already found are passed over (non-maximum
    suppression). Costs one exact k-NN search and O(n · d) a subspace. Without a reference a
    thinned topic looks like the natural long tail: `underrepresented_subspaces` finds it, this
    does not.
    """
    n = len(vectors)
    if n < 3:
        return []
    k = min(k, n - 1)
    similarities, neighbours = nearest_others(vectors, k)
    thin = rarity(similarities)
    support = np.bincount(neighbours.ravel(), minlength=n)
    order = np.argsort(-thin, kind="stable")
    # Few rows or a degenerate shape may leave nothing supported: then every row may anchor.
    anchors = order[support[order] >= k / 2] if (support >= k / 2).any() else order
    dense = np.flatnonzero(thin <= np.median(thin))

    taken = np.zeros(n, dtype=bool)
    subspaces: list[SparseSubspace] = []
    for anchor in anchors:
        if len(subspaces) == count:
            break
        if taken[anchor]:
            continue
        group = np.append(anchor, neighbours[anchor])
        centre = unit(vectors[group].mean(axis=0))
        radius = float(np.quantile(1 - vectors[group] @ centre, 0.8))
        members, nearby = _inside_and_nearby(vectors, centre, radius, dense)
        taken[members] = True
        taken[anchor] = True
        subspaces.append(
            SparseSubspace(
                anchor=int(anchor),
                centre=centre,
                radius=radius,
                gap=float(thin[anchor]),
                density=len(members) / n,
                wanted_density=0.0,
                members=members,
                wanted=members[:0],
                nearby=nearby,
            )
        )
    return subspaces


def _votes(ballots: Indices, candidates: int) -> Floats:
    """Votes for each candidate, from (n, v) ballots that share one vote each among v: (m,)."""
    return np.asarray(np.bincount(ballots.ravel(), minlength=candidates) / ballots.shape[1])


def _grown(
    strongest: Sequence[tuple[float, int, int]],
    windows: Indices,
    gap: Callable[[Indices], float],
    noise: float,
) -> list[tuple[int, Indices]]:
    """Grow subspaces from windows, each (-gap, row, rows in it): anchors and disjoint groups.

    A window counts by the rows that no subspace holds yet: its gap is recomputed when some
    were taken, lazily, as it comes to the top.
    """
    heap = [(minus, row, size, size) for minus, row, size in strongest]
    heapq.heapify(heap)
    owner = np.full(len(windows), -1)
    anchors: list[int] = []
    while heap:
        _, row, size, left = heapq.heappop(heap)
        if owner[row] >= 0:
            continue
        window = windows[row, :size]
        free = window[owner[window] < 0]
        if len(free) < left:
            if (now := gap(free)) >= noise:
                heapq.heappush(heap, (-now, row, size, len(free)))
            continue
        held = owner[window][owner[window] >= 0]
        if len(held) > OVERLAP * size:
            owner[free] = np.bincount(held).argmax()
        else:
            owner[free] = len(anchors)
            anchors.append(row)
    return [(row, np.flatnonzero(owner == number)) for number, row in enumerate(anchors)]


def _inside_and_nearby(
    vectors: Vectors, centre: Vectors, radius: float, dense: Indices
) -> tuple[Indices, Indices]:
    """Rows within the radius of a centre, and up to 5 of `dense` without: nearest first."""
    away = 1 - vectors @ centre
    inside = np.flatnonzero(away <= radius)
    outside = dense[away[dense] > radius]
    if len(outside) > 5:
        outside = outside[away[outside] <= np.partition(away[outside], 4)[4]]
    by_distance = [rows[np.argsort(away[rows], kind="stable")] for rows in (inside, outside)]
    return by_distance[0], by_distance[1][:5]
