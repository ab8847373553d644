"""Which rows may be parents of the next row in a subspace, method by method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..geometry.neighbours import Vectors
from ..geometry.parents import parent_sets
from ..records import Row, Subspace
from .method_rates import ACROSS, DEEPEN, INSIDE, OUTSIDE, OUTSIDE_THREE, Method


class ParentSources:
    """The sets of parents that each method of making rows has left for one subspace."""

    def __init__(
        self,
        subspace: Subspace,
        candidates: Sequence[Row],
        vectors: Vectors,
        taken: set[frozenset[str]],
        small: bool,
    ) -> None:
        self._centre = np.asarray(subspace.centre, dtype=np.float32)
        self._rows, self._vectors, self._taken = candidates, vectors, taken
        self._index = {row.id: i for i, row in enumerate(candidates)}
        self._quota = subspace.quota
        distance = 1 - vectors @ self._centre
        self._inside = distance <= subspace.radius
        self._order = np.argsort(distance, kind="stable")
        inside = int(np.count_nonzero(self._inside))
        outside = [OUTSIDE] if small else [OUTSIDE, OUTSIDE_THREE]
        # The second group serves when the first has nothing left.
        groups = {0: [outside], 1: [[ACROSS, DEEPEN, *outside]]}
        self._groups = groups.get(inside, [[INSIDE, ACROSS, DEEPEN], outside])
        self._left: dict[Method, Iterator[tuple[str, ...]]] = {}
        self._done: set[Method] = set()

    @property
    def open(self) -> list[Method]:
        """The methods that may have parents left."""
        for group in self._groups:
            methods = [method for method in group if method not in self._done]
            if methods:
                return methods
        return []

    def row(self, id: str) -> Row:
        """The candidate with this id."""
        return self._rows[self._index[id]]

    def next(self, method: Method) -> tuple[str, ...]:
        """The next parents for a method, which are taken from now on; none when it has no more."""
        if method not in self._left:
            self._left[method] = iter(self._parents(method))
        for parents in self._left[method]:
            if frozenset(parents) not in self._taken:
                self._taken.add(frozenset(parents))
                return parents
        self._done.add(method)
        return ()

    def _parents(self, method: Method) -> list[tuple[str, ...]]:
        if method == DEEPEN:
            return [(self._rows[i].id,) for i in self._order if self._inside[i]]
        found = parent_sets(
            self._vectors,
            self._centre,
            3 if method == OUTSIDE_THREE else 2,
            self._quota,
            inside=self._inside,
            of_inside={INSIDE: 2, ACROSS: 1}.get(method, 0),
            used={
                frozenset(self._index[id] for id in parents)
                for parents in self._taken
                if all(id in self._index for id in parents)
            },
        )
        return [tuple(self._rows[i].id for i in parents.members) for parents in found]
