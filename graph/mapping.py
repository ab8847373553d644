"""Draws the map of a run: where its rows and subspaces lie on a plane."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..geometry.neighbours import Floats, Vectors
from ..geometry.projection import interpolate, project
from ..records import Point, Subspace
from ..records.events import Emit, MapFailed
from ..stores.folder import is_held
from ..stores.layout import VECTORS
from ..stores.ledger import Ledger
from ..stores.vectors import VectorStore

Name = TypeVar("Name", bound=Hashable)


@contextmanager
def tolerate_map_failure(
    emit: Emit, *, fatal: tuple[type[Exception], ...] = (OSError, sqlite3.Error)
) -> Iterator[None]:
    """Announce a map that cannot be drawn, rather than end what needs none.

    What is `fatal` ends it all the same: in a run, that nothing more can be written.
    """
    try:
        yield
    except fatal:
        raise
    except Exception as error:  # the errors of Chroma and of the layout have no common base
        emit(MapFailed(repr(error)))


@dataclass(frozen=True, slots=True)
class RunMap:
    """The map of a run: where its rows and subspaces lie on a plane."""

    ledger: Ledger
    vectors: VectorStore
    seed: int

    def draw(self) -> None:
        """Lay out all rows that have a vector, and the subspaces by their centres; keep it."""
        known = set(self.vectors.ids())
        rows = [id for id in self.ledger.rows.ids() if id in known]
        if rows:
            subspaces = self.ledger.rounds.subspaces()
            laid, centred = project(self.vectors.get(rows), _centres(subspaces), self.seed)
            self._keep(rows, laid, subspaces, centred)

    def extend(self) -> None:
        """Place the rows that came since the map was drawn, so that a run can be followed.

        Without a map one is drawn.
        """
        mapped = {
            fate.id: (fate.x, fate.y)
            for fate in self.ledger.rows.outcomes().values()
            if fate.x is not None
        }
        if not mapped:
            self.draw()
            return
        known = set(self.vectors.ids()) - mapped.keys()
        rows = [id for id in self.ledger.rows.ids() if id in known]
        laid, landmarks = np.asarray(list(mapped.values())), self.vectors.get(list(mapped))
        subspaces = self.ledger.rounds.subspaces()
        placed = interpolate(self.vectors.get(rows), landmarks, laid) if rows else np.empty((0, 2))
        self._keep(rows, placed, subspaces, interpolate(_centres(subspaces), landmarks, laid))

    def _keep(
        self, rows: list[str], laid: Floats, subspaces: list[Subspace], centred: Floats
    ) -> None:
        names = [(subspace.round, subspace.id) for subspace in subspaces]
        self.ledger.rows.set_map(_points(rows, laid), _points(names, centred))


def draw_missing_map(ledger: Ledger, folder: Path, emit: Emit) -> None:
    """Draw the map of the run in `folder` if it has none: it was interrupted, or is an old one.

    While a process works there, nothing is drawn: the vectors are that process's own.
    """
    drawn = any(fate.x is not None for fate in ledger.rows.outcomes().values())
    if not drawn and (folder / VECTORS).is_dir() and not is_held(folder):
        seed = ledger.facts.read().setting("seed", 0)
        with (
            tolerate_map_failure(emit, fatal=()),
            closing(VectorStore(folder / VECTORS)) as vectors,
        ):
            RunMap(ledger, vectors, seed).draw()


def _centres(subspaces: list[Subspace]) -> Vectors:
    return np.asarray([subspace.centre for subspace in subspaces], dtype=np.float32)


def _points(names: Iterable[Name], placed: Floats) -> dict[Name, Point]:
    return {name: (float(x), float(y)) for name, (x, y) in zip(names, placed, strict=True)}
