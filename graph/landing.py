"""Records where the generated rows landed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..geometry.landing import landed_by_radius, landing_distances
from .embedding import RowEmbedder
from .stores import RunStores


async def record_landing(stores: RunStores, embedder: RowEmbedder) -> None:
    """Record for each new generated row how far from its subspace's centre it landed.

    Where target prompts drew the subspace, they had no response: there the row is measured
    without its own.
    """
    ledger = stores.ledger
    rows = [row for row in ledger.rows.find("new") if row.subspace]
    subspaces = {(s.round, s.id): s for s in ledger.rounds.subspaces()}
    drawn = {row.id for row in rows if subspaces[row.round, row.subspace].wanted}
    asked = [replace(row, output="") for row in rows if row.id in drawn]
    await embedder.embed(asked, stores.target_vectors)
    own = [row for row in rows if row.id not in drawn]
    vectors = [
        *stores.vectors.get([row.id for row in own]),
        *stores.target_vectors.get([row.id for row in asked]),
    ]
    measured = [*own, *asked]
    theirs = [subspaces[row.round, row.subspace] for row in measured]
    centres = np.asarray([subspace.centre for subspace in theirs], dtype=np.float32)
    distances = landing_distances(np.asarray(vectors), centres)
    landed = landed_by_radius(distances, np.asarray([subspace.radius for subspace in theirs]))
    ids = [row.id for row in measured]
    found = zip(landed.tolist(), distances.tolist(), strict=True)
    ledger.rows.set_landing(dict(zip(ids, found, strict=True)))
