"""The selector: takes exactly N of the accepted rows, by quality and coverage together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry.neighbours import Floats, Vectors
from ..geometry.selection import percentile_ranks, ranking_margins, select
from ..records import Row, Score


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen rows in the order of choice, and by how much each row was in or out, by its id.

    A chosen row's margin is its lead over the next best when it was chosen, another row's (below
    0, unless its kind's share was full) what it would have lacked for one more place. A row that
    was too close to a chosen one has none.
    """

    rows: list[Row]
    margins: dict[str, float]

    @classmethod
    def of(cls, pool: Sequence[Row], order: Sequence[int], margins: Floats) -> Selection:
        """Take the rows by their places in the pool; an unknown margin is nan."""
        known = {row.id: float(m) for row, m in zip(pool, margins, strict=True) if not np.isnan(m)}
        return cls([pool[i] for i in order], known)


class Selector:
    """Chooses the dataset from the pool; seeds fill at most their share of the target.

    Where languages have shares each gets its own, as far as it has rows; others fill up the rest.
    """

    def __init__(
        self,
        target: int,
        seed_share: float,
        quality_weight: float,
        languages: Mapping[str, float] | None = None,
        min_separation: float = 1.0,
    ) -> None:
        """Take the target, the seeds' share of it, and how to select (see `select`)."""
        self._target = target
        self._min_separation = min_separation
        self._seed_cap = int(seed_share * target + 1e-9)
        self._quality_weight = quality_weight
        self._shares = languages or {}

    def fillable_count(self, pool: Sequence[Row]) -> int:
        """How many rows of the target the pool can fill."""
        seeds = sum(row.origin == "seed" for row in pool)
        return min(self._target, len(pool) - seeds + min(seeds, self._seed_cap))

    def choose(
        self,
        pool: Sequence[Row],
        vectors: Vectors,
        scores: Mapping[str, Score],
        languages: Mapping[str, str] | None = None,
    ) -> Selection:
        """Choose the target, or all that can be had.

        `languages` names the language of each row, by its id, where languages have shares; each
        language is chosen from by itself, and their choices are interleaved.
        """
        quality = percentile_ranks(np.asarray([scores[row.id].final for row in pool]))
        seeds = np.asarray([row.origin == "seed" for row in pool], dtype=bool)
        groups: dict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(pool):
            groups[languages.get(row.id, "") if languages and self._shares else ""].append(place)
        rooms = {name: _room(seeds[places]) for name, places in groups.items()}
        allotted = allot(rooms, self._shares, self.fillable_count(pool), self._seed_cap)
        turns: list[tuple[float, int]] = []
        margins = np.full(len(pool), np.nan)
        for name, (count, cap) in allotted.items():
            places = np.asarray(groups[name])
            found = select(
                vectors[places],
                quality[places],
                count,
                self._quality_weight,
                capped=seeds[places],
                cap=cap,
                min_separation=self._min_separation,
            )
            margins[places] = found.margins
            turns += [(turn / count, int(places[i])) for turn, i in enumerate(found.order)]
        order = [place for _, place in sorted(turns, key=lambda taken: taken[0])]
        return Selection.of(pool, order, margins)


def _room(seeds: NDArray[np.bool_]) -> tuple[int, int]:
    return int(np.count_nonzero(seeds)), int(np.count_nonzero(~seeds))


def allot(
    rooms: Mapping[str, tuple[int, int]], shares: Mapping[str, float], count: int, cap: int
) -> dict[str, tuple[int, int]]:
    """Share out the places of the dataset among languages.

    Args:
        rooms: seeds and other rows that each language has.
        shares: of the languages; one that is not named has what the others leave.
        count: places, no more than the rows can fill.
        cap: most seeds of all languages.

    Returns:
        The places of each language, and how many of them seeds may fill: `count` and at most
        `cap` in all. A language with too few rows leaves its places to the others.
    """
    places = dict.fromkeys(rooms, 0)
    needed = dict.fromkeys(rooms, 0)  # seeds without which the places cannot be filled
    for _ in range(count):
        spare = cap - sum(needed.values())
        able = [
            name
            for name, (seeds, others) in rooms.items()
            if places[name] < others + min(seeds, needed[name] + spare)
        ]
        name = min(able, key=lambda n: ((places[n] + 1) / shares.get(n, 1e-9), n))
        places[name] += 1
        needed[name] = max(0, places[name] - rooms[name][1])
    caps = dict(needed)
    for _ in range(cap - sum(needed.values())):
        able = [n for n, (seeds, _) in rooms.items() if caps[n] < min(seeds, places[n])]
        if not able:
            break
        caps[min(able, key=lambda n: ((caps[n] + 1) / places[n], n))] += 1
    return {name: (places[name], caps[name]) for name in rooms if places[name]}


class TopSelector:
    """The paper's selection: the N best final scores, ties in the order of the input."""

    def __init__(self, target: int) -> None:
        self._target = target

    def fillable_count(self, pool: Sequence[Row]) -> int:
        """How many rows of the target the pool can fill."""
        return min(self._target, len(pool))

    def choose(
        self,
        pool: Sequence[Row],
        vectors: Vectors,
        scores: Mapping[str, Score],
        languages: Mapping[str, str] | None = None,
    ) -> Selection:
        """Choose the best rows, best first."""
        final = np.asarray([scores[row.id].final for row in pool])
        order = sorted(range(len(pool)), key=lambda i: (-final[i], pool[i].position))
        order = order[: self._target]
        return Selection.of(pool, order, ranking_margins(final, order))
