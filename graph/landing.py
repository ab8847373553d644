"""Records where the generated rows came down."""

from __future__ import annotations

from dataclasses import replace

from ..geometry.landing import landing
from .embedding import RowEmbedder
from .stores import RunStores


async def record_landing(stores: RunStores, embedder: RowEmbedder) -> None:
    """Record for each new generated row how far from its subspace's centre it came down.

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
    landings = {}
    for row, vector in zip([*own, *asked], vectors, strict=True):
        subspace = subspaces[row.round, row.subspace]
        landings[row.id] = landing(vector, subspace.centre, subspace.radius)
    ledger.rows.set_landing(landings)
