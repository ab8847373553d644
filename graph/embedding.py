"""Gives rows their vectors, and puts back those that the vector store lost."""

from __future__ import annotations

from collections.abc import Sequence

from ..formats.reading.precomputed import load_embeddings
from ..geometry.neighbours import Vectors, unit
from ..records import Row
from ..stores.vectors import VectorStore
from .pool import for_each
from .state import RunContext

CHUNK = 256


async def embed_rows(
    rows: Sequence[Row], context: RunContext, store: VectorStore | None = None
) -> None:
    """Embed the rows that have no vector in the store, which is that of the data by default.

    A text's vector does not depend on the others, so that after a crash only what is missing is
    embedded. Chunks are put whole and cut in the same order: those that are left after a crash,
    and with them the requests to a hosted model, are the same as before it.
    """
    store = store or context.vectors
    missing = set(store.missing([row.id for row in rows]))
    # Longest first: what is embedded together is of similar length.
    ordered = sorted(
        (row for row in rows if row.id in missing), key=lambda row: (-len(row.text), row.position)
    )
    chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
    context.progress.begin("embed", f"embedding {len(ordered):,} rows", len(ordered))

    async def embed(chunk: Sequence[Row]) -> None:
        context.switch.check()
        store.put([row.id for row in chunk], await _vectors_of(chunk, context))
        context.progress.step(len(chunk))

    at_once = context.embedder.concurrency if context.embedder else 1
    await for_each(chunks, embed, at_once)


def embedded(rows: Sequence[Row], context: RunContext) -> list[Row]:
    """Those of the rows that have a vector: all, unless the run stopped while it embedded them."""
    missing = set(context.vectors.missing([row.id for row in rows]))
    return [row for row in rows if row.id not in missing]


async def _vectors_of(rows: Sequence[Row], context: RunContext) -> Vectors:
    if context.config.embeddings:
        given = load_embeddings(context.config.embeddings)
        return unit(given[[row.position for row in rows]])
    assert context.embedder is not None
    return await context.embedder.aembed([row.text for row in rows])


async def mend_vectors(context: RunContext, last: int) -> None:
    """Compare the vector store with the ledger: remove strangers, embed what was lost.

    The rows of the rounds up to `last` have been embedded; later ones are about to be.
    """
    rounds = context.ledger.rows.ids_by_round(last)
    known = {id for ids in rounds.values() for id in ids}
    stored = set(context.vectors.ids())
    lost = known - stored
    if strangers := stored - set(context.ledger.rows.ids()):
        context.vectors.remove(sorted(strangers))
    if not lost:
        return
    context.progress.say(f"{len(lost):,} vectors are missing: making them again from the ledger")
    for round, ids in rounds.items():
        if lost.intersection(ids):
            await embed_rows(context.ledger.rows.find(round=round), context)
