"""Draws the map of a run: where its rows and subspaces lie on a plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..geometry.projection import project
from ..stores.folder import is_held
from ..stores.ledger import Ledger
from ..stores.vectors import VECTORS, VectorStore


def draw_map(ledger: Ledger, vectors: VectorStore, seed: int) -> None:
    """Lay out all rows that have a vector, and the subspaces by their centres; keep it."""
    known = set(vectors.ids())
    rows = [id for id in ledger.ids() if id in known]
    subspaces = ledger.subspaces()
    if not rows:
        return
    centres = np.asarray([s.centre for s in subspaces], dtype=np.float32)
    placed, centred = project(vectors.get(rows), centres, seed)
    ledger.set_map(
        {id: (float(x), float(y)) for id, (x, y) in zip(rows, placed, strict=True)},
        {
            (s.round, s.id): (float(x), float(y))
            for s, (x, y) in zip(subspaces, centred, strict=True)
        },
    )


def draw_missing_map(ledger: Ledger, folder: Path) -> None:
    """Draw the map of the run in `folder` if it has none: it was interrupted, or is an old one.

    While a process works there, nothing is drawn: the vectors are that process's own.
    """
    drawn = any(fate.x is not None for fate in ledger.fates().values())
    if not drawn and (folder / VECTORS).is_dir() and not is_held(folder):
        settings = ledger.noted("settings", {})
        draw_map(ledger, VectorStore(folder / VECTORS), settings.get("seed", 0))
