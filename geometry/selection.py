"""Selecting exactly N rows by quality and diversity together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .candidates import Candidates, candidates_of
from .gains import Gains
from .neighbours import EXACT_LIMIT, Floats, Vectors

_BATCH = 16  # rows selected between two updates of all candidates
_LEADERS = 256  # the best candidates, among which a batch is selected
_PASSES = 3  # times that the first half of the selection is made again, knowing the rest
_CHEAP = 100_000_000  # rows × selected rows up to which that is done


def percentile_ranks(values: Floats) -> Floats:
    """Return the rank of each value as a share from 0 to 1; equal values share their mean rank."""
    if len(values) == 0:
        return np.empty(0)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank = last - (counts + 1) / 2
    return np.asarray(mean_rank[inverse] / max(1, len(values) - 1))


@dataclass(frozen=True, slots=True)
class SelectedIndices:
    """The selected indices in the `order` of selection, and the (n,) `margins` of all rows.

    A selected row's margin is its lead over the next best row at the moment of its selection;
    that of a row left out is what it had more (less, below 0) than the last one selected, had
    there been room for one more. The margin is nan where none is known: for a row left out as too
    close to a selected one, and for a selected row beside which only such rows were left.
    """

    order: list[int]
    margins: Floats


def ranking_margins(values: Floats, order: Sequence[int]) -> Floats:
    """The margins of rows of which the `order` was selected by their (n,) values alone.

    A selected row's is its lead over the best row left out, nan if none is.
    """
    left = np.ones(len(values), dtype=bool)
    left[list(order)] = False
    if not order or not left.any():
        return np.full(len(values), np.nan)
    last, best_left = values[list(order)].min(), values[left].max()
    return np.asarray(np.where(left, values - last, values - best_left))


def select(
    vectors: Vectors,
    quality: Floats,
    count: int,
    quality_weight: float,
    *,
    capped: NDArray[np.bool_],
    cap: int,
    min_separation: float = 1.0,
    exact_limit: int = EXACT_LIMIT,
) -> SelectedIndices:
    """Select `count` rows greedily by diversity and quality, at most `cap` of the `capped` ones.

    Each step takes the row with the highest (1 - w) · diversity + w · quality, both in standard
    deviations over the rows that are left. Diversity adds up three gains, each as a share of its
    98th percentile, since none of them alone keeps the other two up (benchmarks/selection.py):

    - novelty: the row's part in NovelSum (arXiv 2502.17184), the density-aware distance
      to the selected rows, of which the nearest count most;
    - coverage: how much closer the rows around it come to their nearest selected row (facility
      location, a submodular gain);
    - volume: its ridge leverage, from which log det(XᵀX + λI) of the selected rows X grows
      (D-optimal design), and with it their Vendi score.

    A row at cosine `min_separation` or above to a selected one waits until no other candidate is
    left: the gains alone do not keep the rows of a dense cluster apart.

    Rows are selected in batches, step by step among the leading candidates: O(n · count · d) time.
    Of more than `exact_limit` rows only as many are candidates (or 4 · count, if that is more), an
    equal share of every cell of the data, the better rows first.

    Args:
        vectors: (n, d) unit vectors.
        quality: (n,) from 0 to 1.
        count: rows wanted; fewer come back if the cap or n leaves fewer.
        quality_weight: w, from 0 (diversity alone) to 1 (quality alone).
        capped: (n,) which rows fall under the cap.
        cap: most rows of these.
        min_separation: the cosine from which two rows are too close; 1 turns this off.
        exact_limit: rows up to which all are candidates.

    Returns:
        Distinct indices in the order of selection, where ties go to the lower index, and margins.
    """
    margins = np.full(len(quality), np.nan)
    most = int(np.count_nonzero(~capped)) + min(cap, int(np.count_nonzero(capped)))
    count = min(count, most)
    if count == 0:
        return SelectedIndices([], margins)
    if quality_weight == 1:
        ranked = np.argsort(-quality, kind="stable")
        allowed = ~capped[ranked] | (np.cumsum(capped[ranked]) <= cap)
        order = [int(i) for i in ranked[allowed][:count]]
        return SelectedIndices(order, ranking_margins(quality, order))
    candidates = candidates_of(
        vectors, quality, count, quality_weight, capped=capped, exact_limit=exact_limit
    )
    rows = candidates.rows
    greedy = _Greedy(
        candidates,
        quality[rows],
        count,
        quality_weight,
        capped[rows],
        cap,
        min_separation if min_separation < 1 else np.inf,
        np.full(len(rows), np.nan),
    )
    positions, crowded = greedy.select([])
    margins[rows] = greedy.margins
    for _ in range(_PASSES if len(rows) * count <= _CHEAP else 0):
        if crowded:  # close rows that had to be taken would stay in the half that is kept
            break
        again, crowded = greedy.select(positions[count // 2 :])
        if not crowded:
            positions, margins[rows] = again, greedy.margins
    return SelectedIndices([int(i) for i in rows[positions]], margins)


@dataclass(frozen=True, slots=True)
class _Greedy:
    """Greedy selection by position among the candidates; `margins` are those of the last pass."""

    candidates: Candidates
    quality: Floats
    count: int
    quality_weight: float
    capped: NDArray[np.bool_]
    cap: int
    min_separation: float
    margins: Floats

    def select(self, kept: Sequence[int]) -> tuple[list[int], bool]:
        """Add to the rows `kept` until there are `count`.

        Returns:
            The positions, and whether rows too close to selected ones had to be taken.
        """
        gains = Gains.of(self.candidates, self.count, self.min_separation)
        selected = list(kept)
        for start in range(0, len(selected), _BATCH):
            gains.add(np.asarray(selected[start : start + _BATCH]))
        free = np.ones(len(self.quality), dtype=bool)
        free[selected] = False
        batch: _Batch | None = None
        while len(selected) < self.count:
            left = self.cap - int(np.count_nonzero(self.capped[selected]))
            if left == 0:
                free &= ~self.capped
            batch = self._batch(gains, free, min(_BATCH, self.count - len(selected)), left)
            free[batch.positions] = False
            gains.add(np.asarray(batch.positions))
            selected.extend(batch.positions)
        if batch:
            out = np.ones(len(free), dtype=bool)
            out[selected] = False
            score = (1 - self.quality_weight) * gains.diversity(batch.scales) + batch.merit
            unknown = gains.too_close[out] & (not batch.crowded)
            self.margins[out] = np.where(unknown, np.nan, score[out] - batch.last)
        return selected, batch is not None and batch.crowded

    def _batch(self, gains: Gains, free: NDArray[np.bool_], wanted: int, left: int) -> _Batch:
        """Select up to `wanted` of the free rows, at most `left` capped ones, one by one; first
        those that are too close to no selected row.
        """
        eligible = free & ~gains.too_close
        if crowded := not eligible.any():
            eligible = free
        scales = gains.scales(free)
        diversity = gains.diversity(scales)
        # Quality is brought to the spread of diversity, so that the weight means what it says.
        scale = _deviation(diversity[free]) / _deviation(self.quality[free])
        merit = self.quality * (scale * self.quality_weight)
        score = (1 - self.quality_weight) * diversity + merit
        leaders = np.flatnonzero(eligible)
        leaders = np.sort(leaders[np.argsort(-score[leaders], kind="stable")[:_LEADERS]])

        ahead = gains.subset(leaders)
        left_over = np.ones(len(leaders), dtype=bool)
        batch: list[int] = []
        last = np.nan
        while len(batch) < wanted and left_over.any():
            score = (1 - self.quality_weight) * ahead.diversity(scales) + merit[leaders]
            score = np.where(left_over, score, -np.inf)
            best = int(np.argmax(score))
            batch.append(int(leaders[best]))
            last = float(score[best])
            score[best] = -np.inf
            runner_up = float(score.max())
            self.margins[batch[-1]] = last - runner_up if runner_up > -np.inf else np.nan
            left -= int(self.capped[batch[-1]])
            left_over[best] = False
            if left == 0:
                left_over &= ~self.capped[leaders]
            ahead.add(np.asarray([best]))
            if not crowded:
                left_over &= ~ahead.too_close
        return _Batch(batch, scales, merit, last, crowded)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows selected together, and what they were selected by.

    Attributes:
        positions: of the rows.
        scales: what the gains were measured by.
        merit: (n,) what quality counted for each candidate.
        last: the score with which the last row was selected.
        crowded: whether all that were left were too close to a selected row.
    """

    positions: list[int]
    scales: list[float]
    merit: Floats
    last: float
    crowded: bool


def _deviation(values: Floats) -> float:
    return float(values.std()) or 1.0
