"""Which rows to fuse so that what comes out lies in a wanted subspace.

A fused text lies near the mean of its parents, so the mean predicts where it lands. Nearness to
the subspace's centre alone is a poor guide: around an empty one the means that come closest to
its centre lie in the dense clusters beside it, and so would the fusion. What counts is the
*margin*: how much nearer the mean is to the wanted centre than to the rows that are not wanted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .neighbours import Indices, Vectors

REACH = 300  # candidates nearest to the centre that are considered, as parents and as rivals
_SHORTLIST = 4_000  # sets, by the proximity of their mean, whose margin is computed
_BEAM = 100  # sets to which one more row is added
_RIVAL_RANK = 5  # the rival that counts: a vote among ten neighbours is lost to the fifth
_SIMILAR = 0.7  # parents above this cosine have little to combine: their fusion is often a copy


@dataclass(frozen=True, slots=True)
class ParentSet:
    """Rows to fuse, as indices of candidates in ascending order, with their predicted landing.

    `proximity` is the cosine of their mean to the centre. `margin` is by how much that exceeds
    the cosine of their mean to the fifth-nearest row that lies outside the subspace and is none
    of them: above 0, most of the fusion's neighbours should be the subspace's own.
    """

    members: tuple[int, ...]
    proximity: float
    margin: float


def parent_sets(
    vectors: Vectors,
    centre: Vectors,
    size: int,
    count: int,
    *,
    inside: NDArray[np.bool_],
    of_inside: int,
    used: Collection[frozenset[int]] = (),
) -> list[ParentSet]:
    """Choose up to `count` sets of `size` candidates whose fusion should land at the centre.

    Only the `REACH` candidates nearest to the centre are looked at. Pairs are enumerated; a
    larger set is a smaller one, of those with the largest margins, and one row more (a beam, as
    in orthogonal matching pursuit). They are taken by margin, in passes: a parent comes once in
    the first pass, up to twice more in each later one, so that no row is a parent of everything.

    Args:
        vectors: (n, d) unit vectors of the candidates.
        centre: (d,) unit vector.
        size: parents in a set, at least 2.
        count: sets wanted; fewer come back where there are not as many.
        inside: (n,) which candidates lie in the subspace; they are no rivals.
        of_inside: how many parents of a set lie in the subspace.
        used: sets that are not to come again.

    Returns:
        The sets, best first within a pass. They do not depend on the order of the candidates,
        unless two candidates are equally near to the centre.
    """
    near = np.argsort(-(vectors @ centre), kind="stable")[:REACH]
    if count <= 0 or len(near) < size:
        return []
    neighbourhood = _Neighbourhood(vectors[near], centre, inside[near])
    sets: Indices = np.arange(len(near))[:, None]
    for members in range(2, size + 1):
        sets = neighbourhood.extended(sets[: _BEAM if members > 2 else None])
        within = neighbourhood.inside[sets].sum(axis=1)
        left = size - members
        sets = sets[(within <= of_inside) & (within >= of_inside - left)]
        sets = sets[np.argsort(-neighbourhood.proximity(sets), kind="stable")[:_SHORTLIST]]
        margin = neighbourhood.margin(sets)
        best = np.argsort(-margin, kind="stable")
        sets, margin = sets[best], margin[best]
    ranked = (
        ParentSet(tuple(sorted(near[row].tolist())), float(close), float(lead))
        for row, close, lead in zip(sets, neighbourhood.proximity(sets), margin, strict=True)
    )
    return _in_passes([s for s in ranked if frozenset(s.members) not in used], count)


class _Neighbourhood:
    """The candidates near to a centre: (m, d) unit vectors, and which lie in the subspace."""

    def __init__(self, rows: Vectors, centre: Vectors, inside: NDArray[np.bool_]) -> None:
        self.inside = inside
        self._to_centre = rows @ centre
        self._gram = rows @ rows.T
        # Where all rows are alike, the less alike half of the pairs will do.
        usual = float(np.median(self._gram[~np.eye(len(rows), dtype=bool)]))
        self._unlike = self._gram <= max(_SIMILAR, usual)
        np.fill_diagonal(self._unlike, False)

    def extended(self, sets: Indices) -> Indices:
        """Each set of (s, k) with each row that is unlike its own: (t, k + 1), each set once."""
        which, added = np.nonzero(self._unlike[sets].all(axis=1))
        grown = np.sort(np.column_stack([sets[which], added]), axis=1)
        keys = np.zeros(len(grown), dtype=np.int64)
        for column in grown.T:
            keys = keys * len(self._gram) + column
        _, first = np.unique(keys, return_index=True)
        return np.asarray(grown[first], dtype=np.int64)

    def proximity(self, sets: Indices) -> Vectors:
        """Cosine of the mean of each set of (s, k) to the centre: (s,)."""
        return np.asarray(self._to_centre[sets].sum(axis=1) / self._length(sets))

    def margin(self, sets: Indices) -> Vectors:
        """By how much the mean of each set is nearer to the centre than to its rival: (s,)."""
        rivals = np.flatnonzero(~self.inside)
        column = np.full(len(self._gram), -1)
        column[rivals] = np.arange(len(rivals))
        rank = min(_RIVAL_RANK, len(rivals)) - 1
        margin = self.proximity(sets) + 1
        if rank < 0:
            return margin
        for start in range(0, len(sets), 2048):  # in blocks that fit a cache
            block = sets[start : start + 2048]
            cosine = np.sum([self._gram[row][:, rivals] for row in block.T], axis=0)
            cosine /= self._length(block)[:, None]
            for own in column[block.T]:
                cosine[np.flatnonzero(own >= 0), own[own >= 0]] = -1.0
            rival = -np.partition(-cosine, rank, axis=1)[:, rank]
            margin[start : start + 2048] -= 1 + rival
        return margin

    def _length(self, sets: Indices) -> Vectors:
        squared = self._gram[sets[:, :, None], sets[:, None, :]].sum(axis=(1, 2))
        return np.asarray(np.sqrt(np.maximum(squared, 1e-6)))


def _in_passes(ranked: list[ParentSet], count: int) -> list[ParentSet]:
    uses: dict[int, int] = {}
    chosen: list[ParentSet] = []
    most = 1
    while ranked and len(chosen) < count:
        left = []
        for parents in ranked:
            if len(chosen) < count and all(uses.get(i, 0) < most for i in parents.members):
                chosen.append(parents)
                for i in parents.members:
                    uses[i] = uses.get(i, 0) + 1
            else:
                left.append(parents)
        ranked, most = left, most + 2
    return chosen
