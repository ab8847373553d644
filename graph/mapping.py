"""Draws the map of a run: where its rows and subspaces lie on a plane."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..geometry.neighbours import Floats, Vectors
from ..geometry.projection import interpolate, project
from ..records import Point, Subspace
from ..stores.folder import is_held
from ..stores.layout import VECTORS
from ..stores.ledger import Ledger
from ..stores.vectors import VectorStore

Name = TypeVar("Name", bound=Hashable)


@contextmanager
def spared(
    say: Callable[[str], None], *, ends: tuple[type[Exception], ...] = (OSError, sqlite3.Error)
) -> Iterator[None]:
    """Tell of a map that cannot be drawn, rather than end what needs none.

    What `ends` it all the same: in a run, that nothing more can be written.
    """
    try:
        yield
    except ends:
        raise
    except Exception as error:  # the errors of Chroma and of the layout have no common base
        say(f"the map of the rows could not be drawn ({error!r})")


def draw_map(ledger: Ledger, vectors: VectorStore, seed: int) -> None:
    """Lay out all rows that have a vector, and the subspaces by their centres; keep it."""
    known = set(vectors.ids())
    rows = [id for id in ledger.rows.ids() if id in known]
    if rows:
        subspaces = ledger.rounds.subspaces()
        placed, centred = project(vectors.get(rows), _centres(subspaces), seed)
        ledger.rows.set_map(_points(rows, placed), _points(map(_place, subspaces), centred))


def extend_map(ledger: Ledger, vectors: VectorStore, seed: int) -> None:
    """Place the rows that came since the map was drawn, so that a run under way can be followed.

    Without a map one is drawn.
    """
    mapped = {
        fate.id: (fate.x, fate.y) for fate in ledger.rows.outcomes().values() if fate.x is not None
    }
    if not mapped:
        draw_map(ledger, vectors, seed)
        return
    known = set(vectors.ids()) - mapped.keys()
    rows = [id for id in ledger.rows.ids() if id in known]
    laid, landmarks = np.asarray(list(mapped.values())), vectors.get(list(mapped))
    subspaces = ledger.rounds.subspaces()
    placed = interpolate(vectors.get(rows), landmarks, laid) if rows else np.empty((0, 2))
    centred = interpolate(_centres(subspaces), landmarks, laid)
    ledger.rows.set_map(_points(rows, placed), _points(map(_place, subspaces), centred))


def draw_missing_map(ledger: Ledger, folder: Path, say: Callable[[str], None]) -> None:
    """Draw the map of the run in `folder` if it has none: it was interrupted, or is an old one.

    While a process works there, nothing is drawn: the vectors are that process's own.
    """
    drawn = any(fate.x is not None for fate in ledger.rows.outcomes().values())
    if not drawn and (folder / VECTORS).is_dir() and not is_held(folder):
        seed = ledger.facts.read().setting("seed", 0)
        with spared(say, ends=()), closing(VectorStore(folder / VECTORS)) as vectors:
            draw_map(ledger, vectors, seed)


def _centres(subspaces: list[Subspace]) -> Vectors:
    return np.asarray([subspace.centre for subspace in subspaces], dtype=np.float32)


def _place(subspace: Subspace) -> tuple[int, str]:
    return subspace.round, subspace.id


def _points(names: Iterable[Name], placed: Floats) -> dict[Name, Point]:
    return {name: (float(x), float(y)) for name, (x, y) in zip(names, placed, strict=True)}
