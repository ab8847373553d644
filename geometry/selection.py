"""Choosing exactly N rows by quality and diversity together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .coverage import rarity
from .neighbours import EXACT, Cells, Floats, Indices, Vectors, nearest_others, without_own

# What coverage and volume count beside novelty; chosen on the code rows of benchmarks/selection.py.
COVERAGE, VOLUME = 0.09, 0.24

_TOP = 0.98  # quantile of a gain that it is measured by: the best is often a single odd row
_COVERED = 64  # rows that a candidate may cover
_NEAR = 32  # chosen rows whose distances are kept one by one, for each candidate
_BATCH = 16  # rows chosen between two updates of all candidates
_LEADERS = 256  # the best candidates, among which a batch is chosen
_DENSITY = 10  # neighbours that tell how rare a row is
_RIDGE = 5.0
_PASSES = 3  # times that the first half of the choices is made again, knowing the rest
_CHEAP = 100_000_000  # rows × choices up to which that is done


def percentile_ranks(values: Floats) -> Floats:
    """Return the rank of each value as a share from 0 to 1; equal values share their mean rank."""
    if len(values) == 0:
        return np.empty(0)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank = last - (counts + 1) / 2
    return np.asarray(mean_rank[inverse] / max(1, len(values) - 1))


@dataclass(frozen=True, slots=True)
class Choice:
    """The `order` of choice, and the (n,) `margins` of all rows, nan where none is known.

    A chosen row's margin is its lead over the next best row at the moment of its choice; that
    of a row left out is what it had more (less, below 0) than the last one chosen, had there
    been one more place. A row left out as too close to a chosen one has none, nor has a chosen row
    beside which only such rows were left.
    """

    order: list[int]
    margins: Floats


def standing(values: Floats, order: Sequence[int]) -> Floats:
    """The margins of rows of which the `order` was chosen by their (n,) values alone.

    A chosen row's is its lead over the best row left out, nan if none is.
    """
    left = np.ones(len(values), dtype=bool)
    left[list(order)] = False
    if not order or not left.any():
        return np.full(len(values), np.nan)
    last, best_left = values[list(order)].min(), values[left].max()
    return np.asarray(np.where(left, values - last, values - best_left))


def choose(
    vectors: Vectors,
    quality: Floats,
    count: int,
    quality_weight: float,
    *,
    capped: NDArray[np.bool_],
    cap: int,
    apart: float = 1.0,
) -> list[int]:
    """The rows that `chosen` chooses, in the order of choice."""
    return chosen(
        vectors, quality, count, quality_weight, capped=capped, cap=cap, apart=apart
    ).order


def chosen(
    vectors: Vectors,
    quality: Floats,
    count: int,
    quality_weight: float,
    *,
    capped: NDArray[np.bool_],
    cap: int,
    apart: float = 1.0,
) -> Choice:
    """Choose `count` rows greedily by diversity and quality, at most `cap` of the `capped` ones.

    Each step takes the row with the highest (1 - w) · diversity + w · quality, both in standard
    deviations over the rows that are left. Diversity adds up three gains, each as a share of its
    98th percentile, since none of them alone keeps the other two up (benchmarks/selection.py):

    - novelty: the row's part in NovelSum (arXiv 2502.17184), the density-aware distance
      to the chosen rows, of which the nearest count most;
    - coverage: how much closer the rows around it come to their nearest chosen row (facility
      location, a submodular gain);
    - volume: its ridge leverage, from which log det(XᵀX + λI) of the chosen rows X grows
      (D-optimal design), and with it their Vendi score.

    A row at cosine `apart` or above to a chosen one waits until no other candidate is left: the
    gains alone do not keep the rows of a dense place apart.

    Rows are chosen in batches, step by step among the leading candidates: O(n · count · d) time.
    Of more than 50,000 rows only as many are candidates (or 4 · count, if that is more), an equal
    share of every cell of the data, the better rows first.

    Args:
        vectors: (n, d) unit vectors.
        quality: (n,) from 0 to 1.
        count: rows wanted; fewer come back if the cap or n leaves fewer.
        quality_weight: w, from 0 (diversity alone) to 1 (quality alone).
        capped: (n,) which rows fall under the cap.
        cap: most rows of these.
        apart: the cosine from which two rows are too close; 1 turns this off.

    Returns:
        Distinct indices in the order of choice, where ties go to the lower index, and margins.
    """
    margins = np.full(len(quality), np.nan)
    room = int(np.count_nonzero(~capped)) + min(cap, int(np.count_nonzero(capped)))
    count = min(count, room)
    if count == 0:
        return Choice([], margins)
    if quality_weight == 1:
        ranked = np.argsort(-quality, kind="stable")
        allowed = ~capped[ranked] | (np.cumsum(capped[ranked]) <= cap)
        order = [int(i) for i in ranked[allowed][:count]]
        return Choice(order, standing(quality, order))
    field = _field(vectors, quality, count, quality_weight, capped)
    rows = field.rows
    unknown = np.full(len(rows), np.nan)
    apart = apart if apart < 1 else np.inf
    greedy = _Greedy(field, quality[rows], count, quality_weight, capped[rows], cap, apart, unknown)
    places, crowded = greedy.choose([])
    margins[rows] = greedy.margins
    for _ in range(_PASSES if len(rows) * count <= _CHEAP else 0):
        if crowded:  # close rows that had to be taken would stay in the half that is kept
            break
        again, crowded = greedy.choose(places[count // 2 :])
        if not crowded:
            places, margins[rows] = again, greedy.margins
    return Choice([int(i) for i in rows[places]], margins)


@dataclass(frozen=True, slots=True)
class _Field:
    """The candidates: their `rows`, vectors, neighbours among each other (themselves first),
    the `weight` of rows that each stands for, and how rare each is in the whole data.
    """

    rows: Indices
    vectors: Vectors
    similarities: Vectors
    neighbours: Indices
    weight: Floats
    rarity: Floats


def _field(
    vectors: Vectors,
    quality: Floats,
    count: int,
    quality_weight: float,
    capped: NDArray[np.bool_],
) -> _Field:
    n, most = len(vectors), max(EXACT, 4 * count)
    if n <= most:
        rows, weight = np.arange(n), np.ones(n)
        similarities, neighbours = nearest_others(vectors, _COVERED)
        near = similarities[:, :_DENSITY]
        own = vectors
    else:
        cells = Cells.of(vectors)
        merit = (1 - quality_weight) * np.random.default_rng(0).random(n) + quality_weight * quality
        rows, weight = _thinned(cells, merit, capped, count, most)
        near, _ = without_own(*cells.nearest(vectors, rows, _DENSITY + 1), rows)
        own = vectors[rows]
        similarities, neighbours = nearest_others(own, _COVERED)
    first = np.ones((len(rows), 1), dtype=np.float32)
    return _Field(
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

    Capped rows and others are thinned apart, so that enough of each remain to choose from.
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


@dataclass(frozen=True, slots=True)
class _Greedy:
    """The greedy choice from a field; `margins` are those of the last choice of each row."""

    field: _Field
    quality: Floats
    count: int
    quality_weight: float
    capped: NDArray[np.bool_]
    cap: int
    apart: float
    margins: Floats

    def choose(self, kept: Sequence[int]) -> tuple[list[int], bool]:
        """Add to the rows `kept` until there are `count`; say whether rows close to chosen ones had
        to be taken.
        """
        gains = _Gains.of(self.field, self.count, self.apart)
        chosen = list(kept)
        for start in range(0, len(chosen), _BATCH):
            gains.choose_all(np.asarray(chosen[start : start + _BATCH]))
        free = np.ones(len(self.quality), dtype=bool)
        free[chosen] = False
        batch: _Batch | None = None
        while len(chosen) < self.count:
            left = self.cap - int(np.count_nonzero(self.capped[chosen]))
            if left == 0:
                free &= ~self.capped
            batch = self._batch(gains, free, min(_BATCH, self.count - len(chosen)), left)
            free[batch.rows] = False
            gains.choose_all(np.asarray(batch.rows))
            chosen.extend(batch.rows)
        if batch:
            out = np.ones(len(free), dtype=bool)
            out[chosen] = False
            score = (1 - self.quality_weight) * gains.diversity(batch.tops) + batch.merit
            unknown = gains.close[out] & (not batch.crowded)
            self.margins[out] = np.where(unknown, np.nan, score[out] - batch.last)
        return chosen, batch is not None and batch.crowded

    def _batch(self, gains: _Gains, free: NDArray[np.bool_], wanted: int, left: int) -> _Batch:
        """Choose up to `wanted` of the free rows, at most `left` capped ones, one by one; first
        those that are close to no chosen row.
        """
        open_rows = free & ~gains.close
        if crowded := not open_rows.any():
            open_rows = free
        tops = gains.tops(free)
        diversity = gains.diversity(tops)
        # Quality is brought to the spread of diversity, so that the weight means what it says.
        scale = _spread(diversity[free]) / _spread(self.quality[free])
        merit = self.quality * (scale * self.quality_weight)
        score = (1 - self.quality_weight) * diversity + merit
        leaders = np.flatnonzero(open_rows)
        leaders = np.sort(leaders[np.argsort(-score[leaders], kind="stable")[:_LEADERS]])

        ahead = gains.at(leaders)
        open_ = np.ones(len(leaders), dtype=bool)
        batch: list[int] = []
        last = np.nan
        while len(batch) < wanted and open_.any():
            score = (1 - self.quality_weight) * ahead.diversity(tops) + merit[leaders]
            score = np.where(open_, score, -np.inf)
            place = int(np.argmax(score))
            batch.append(int(leaders[place]))
            last = float(score[place])
            score[place] = -np.inf
            runner_up = float(score.max())
            self.margins[batch[-1]] = last - runner_up if runner_up > -np.inf else np.nan
            left -= int(self.capped[batch[-1]])
            open_[place] = False
            if left == 0:
                open_ &= ~self.capped[leaders]
            ahead.choose_all(np.asarray([place]))
            if not crowded:
                open_ &= ~ahead.close
        return _Batch(batch, tops, merit, last, crowded)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows chosen together: what the gains were measured by, what quality counted for each row
    of the field, the score with which the last was chosen, and whether all that were left were
    close to a chosen row.
    """

    rows: list[int]
    tops: list[float]
    merit: Floats
    last: float
    crowded: bool


def _spread(values: Floats) -> float:
    return float(values.std()) or 1.0


class _Gains:
    """What choosing each row would add, in novelty, coverage and volume; and which rows are
    `close` to a chosen one.
    """

    def __init__(
        self,
        vectors: Vectors,
        apart: float,
        close: NDArray[np.bool_],
        novelty: _Novelty,
        coverage: _Coverage,
        volume: _Volume,
    ) -> None:
        self.close = close
        self._apart = apart
        self._vectors = vectors
        self._novelty = novelty
        self._coverage = coverage
        self._volume = volume

    @classmethod
    def of(cls, field: _Field, count: int, apart: float) -> _Gains:
        """The gains before anything is chosen."""
        novelty, volume = _Novelty.of(field.rarity, count), _Volume.of(field.vectors)
        none = np.zeros(len(field.rows), dtype=bool)
        return cls(field.vectors, apart, none, novelty, _Coverage.of(field), volume)

    def at(self, rows: Indices) -> _Gains:
        """A copy that knows only these rows, by their place among them."""
        parts = (self._novelty.at(rows), self._coverage.at(rows), self._volume.at(rows))
        return _Gains(self._vectors[rows], self._apart, self.close[rows], *parts)

    def choose_all(self, places: Indices) -> None:
        """Choose rows: the others' gains fall."""
        cosines = self._vectors @ self._vectors[places].T
        self.close |= (cosines >= self._apart).any(axis=1)
        self._novelty.choose(1 - cosines, places)
        self._coverage.choose(places)
        self._volume.choose(self._vectors, places)

    def tops(self, free: NDArray[np.bool_]) -> list[float]:
        """What each gain is measured by: its 98th percentile among the free rows."""
        return [max(float(np.quantile(gain[free], _TOP)), 1e-12) for gain in self._all()]

    def diversity(self, tops: Sequence[float]) -> Floats:
        """The three gains in one, each as a share of its top: (n,)."""
        novelty, coverage, volume = (g / top for g, top in zip(self._all(), tops, strict=True))
        return np.asarray(novelty + COVERAGE * coverage + VOLUME * volume)

    def _all(self) -> tuple[Floats, Floats, Floats]:
        return self._novelty.gain(), self._coverage.gain(), self._volume.gain


class _Novelty:
    """Each row's density-aware distance to the chosen rows, ranks weighted as in NovelSum."""

    def __init__(self, density: Floats, near: Vectors, total: Floats, chosen: int) -> None:
        self._density = density
        self._near = near  # (n, m) the smallest distances, in order
        self._total = total
        self._chosen = chosen

    @classmethod
    def of(cls, rarity: Floats, count: int) -> _Novelty:
        density = np.maximum(rarity, 1e-3) ** -0.5
        near = np.full((len(rarity), min(_NEAR, count)), np.inf, dtype=np.float32)
        return cls(density / density.mean(), near, np.zeros(len(rarity)), 0)

    def at(self, rows: Indices) -> _Novelty:
        return _Novelty(self._density[rows], self._near[rows], self._total[rows], self._chosen)

    def choose(self, distances: Vectors, places: Indices) -> None:
        """Count rows as chosen that are at these distances (n, b) from all."""
        density = (self._density[:, None] + self._density[places]) / 2
        aware = distances * density.astype(np.float32)
        self._total = self._total + aware.sum(axis=1, dtype=np.float64)
        merged = np.concatenate([self._near, aware], axis=1)
        merged.sort(axis=1)
        self._near = merged[:, : self._near.shape[1]]
        self._chosen += len(places)

    def gain(self) -> Floats:
        """The mean distance by weights of 1 / rank; beyond the nearest, distances are averaged."""
        if self._chosen == 0:
            return np.zeros(len(self._density))
        weights = 1 / np.arange(1, self._chosen + 1)
        near = self._near[:, : self._chosen]
        m = near.shape[1]
        gain = near @ weights[:m].astype(np.float32)
        if self._chosen > m:
            rest = (self._total - near.sum(axis=1)) / (self._chosen - m)
            gain = gain + rest * weights[m:].sum()
        return np.asarray(gain / weights.sum(), dtype=np.float64)


class _Coverage:
    """By how much choosing a row raises the similarity of rows to their nearest chosen row."""

    def __init__(self, graph: _Graph, rows: Indices, best: Vectors, gain: Floats) -> None:
        self._graph = graph
        self._rows = rows
        self._best = best
        self._gain = gain

    @classmethod
    def of(cls, field: _Field) -> _Coverage:
        n = len(field.rows)
        worth = field.similarities * field.weight[:, None]
        gain = np.bincount(field.neighbours.ravel(), weights=worth.ravel(), minlength=n)
        best = np.zeros(n, dtype=np.float32)
        return cls(_Graph.of(field), np.arange(n), best, gain.astype(np.float64))

    def at(self, rows: Indices) -> _Coverage:
        return _Coverage(self._graph, self._rows[rows], self._best.copy(), self._gain.copy())

    def gain(self) -> Floats:
        return np.asarray(self._gain[self._rows])

    def choose(self, places: Indices) -> None:
        """Choose rows: what they cover is worth less to the others from now on."""
        graph = self._graph
        for row in self._rows[places]:
            rows, closer = graph.covered(int(row))
            raised = closer > self._best[rows]
            rows, closer = rows[raised], closer[raised]
            similarities = graph.similarities[rows]
            lost = np.maximum(similarities - self._best[rows, None], 0)
            lost -= np.maximum(similarities - closer[:, None], 0)
            np.subtract.at(self._gain, graph.neighbours[rows], lost * graph.weight[rows, None])
            self._best[rows] = closer


@dataclass(frozen=True, slots=True)
class _Graph:
    """The neighbours (n, k) of each row, and by which rows each is named: `places` holds, row by
    row from `starts` on, where in `neighbours` it stands.
    """

    similarities: Vectors
    neighbours: Indices
    weight: Floats
    places: Indices
    starts: Indices

    @classmethod
    def of(cls, field: _Field) -> _Graph:
        flat = field.neighbours.ravel()
        places = np.argsort(flat, kind="stable")
        starts = np.searchsorted(flat[places], np.arange(len(field.rows) + 1))
        return cls(field.similarities, field.neighbours, field.weight, places, starts)

    def covered(self, row: int) -> tuple[Indices, Vectors]:
        """The rows that name this one as a neighbour, and their similarities to it."""
        places = self.places[self.starts[row] : self.starts[row + 1]]
        return places // self.neighbours.shape[1], self.similarities.ravel()[places]


class _Volume:
    """Each row's ridge leverage over the chosen rows: xᵀ (XᵀX + λI)⁻¹ x."""

    def __init__(self, inverse: Floats, gain: Floats) -> None:
        self._inverse = inverse
        self.gain = gain

    @classmethod
    def of(cls, vectors: Vectors) -> _Volume:
        return cls(np.eye(vectors.shape[1]) / _RIDGE, np.full(len(vectors), 1.0 / _RIDGE))

    def at(self, rows: Indices) -> _Volume:
        return _Volume(self._inverse.copy(), self.gain[rows])

    def choose(self, vectors: Vectors, places: Indices) -> None:
        """Choose some of the (n, d) vectors (Sherman and Morrison's update, one by one)."""
        falls = np.empty((vectors.shape[1], len(places)), dtype=np.float32)
        for i, vector in enumerate(vectors[places].astype(np.float64)):
            along = self._inverse @ vector
            along /= np.sqrt(1 + vector @ along)
            self._inverse -= np.outer(along, along)
            falls[:, i] = along
        self.gain = self.gain - ((vectors @ falls) ** 2).sum(axis=1)
