"""Gives rows their vectors, and puts back those that the vector store lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..geometry.neighbours import Vectors, unit
from ..records import Row
from ..stores.given import load_embeddings
from ..stores.vectors import VectorStore
from .state import RunContext

CHUNK = 256


async def embed_rows(
    rows: Sequence[Row], context: RunContext, store: VectorStore | None = None
) -> None:
    """Embed the rows that have no vector in the store, which is that of the data by default.

    The rows go in chunks of similar length, which depend on all of `rows` and not on which are
    missing: after a crash a chunk is embedded whole again, so that the vectors come out as they
    would have.
    """
    store = store or context.vectors
    missing = set(store.missing([row.id for row in rows]))
    chunks = [chunk for chunk in _chunks(rows) if any(row.id in missing for row in chunk)]
    total = sum(len(chunk) for chunk in chunks)
    context.progress.begin("embed", f"embedding {total:,} rows", total)
    for chunk in chunks:
        context.switch.check()
        vectors = await _vectors_of(chunk, context)
        store.put([row.id for row in chunk], vectors)
        context.progress.step(len(chunk))


def _chunks(rows: Sequence[Row]) -> list[list[Row]]:
    # Longest first: batches of equal length pad little.
    ordered = sorted(rows, key=lambda row: (-len(row.text), row.position))
    return [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]


async def _vectors_of(rows: Sequence[Row], context: RunContext) -> Vectors:
    if context.config.embeddings:
        given = load_embeddings(context.config.embeddings)
        return unit(given[[row.position for row in rows]])
    assert context.embedder is not None
    return await asyncio.to_thread(context.embedder.embed, [row.text for row in rows])


async def mend_vectors(context: RunContext, last: int) -> None:
    """Compare the vector store with the ledger: remove strangers, embed what was lost.

    The rows of the rounds up to `last` have been embedded; later ones are about to be.
    """
    rounds = context.ledger.ids_by_round(last)
    known = {id for ids in rounds.values() for id in ids}
    stored = set(context.vectors.ids())
    lost = known - stored
    if strangers := stored - set(context.ledger.ids()):
        context.vectors.remove(sorted(strangers))
    if not lost:
        return
    context.progress.say(f"{len(lost):,} vectors are missing: making them again from the ledger")
    for round, ids in rounds.items():
        if lost.intersection(ids):
            await embed_rows(context.ledger.rows(round=round), context)
