"""Gives rows their vectors, and puts back those that the vector store lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..embedders import LazyEmbedder
from ..formats.reading.precomputed import load_embeddings
from ..geometry.neighbours import Vectors, unit
from ..llms.stopping import StopSignal
from ..records import Row
from ..records.events import Emit, ItemsDone, Stage, StageBegan, VectorsMissing
from ..stores.vectors import VectorStore
from .pool import for_each
from .stores import RunStores

CHUNK = 256


@dataclass(frozen=True, slots=True)
class RowEmbedder:
    """Embeds the rows of a run: by a model, or by the `precomputed` file that the user gave."""

    model: LazyEmbedder | None
    precomputed: Path | None
    stop_signal: StopSignal
    emit: Emit

    async def embed(self, rows: Sequence[Row], store: VectorStore) -> None:
        """Embed the rows that have no vector in the store.

        A text's vector does not depend on the others, so that after a crash only what is missing
        is embedded. Chunks are put whole and cut in the same order: those that are left after a
        crash, and with them the requests to a hosted model, are the same as before it.
        """
        missing = set(store.missing([row.id for row in rows]))
        # Longest first: what is embedded together is of similar length.
        ordered = sorted(
            (row for row in rows if row.id in missing),
            key=lambda row: (-len(row.text), row.position),
        )
        chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
        self.emit(StageBegan(Stage.EMBED, len(ordered)))

        async def embed(chunk: Sequence[Row]) -> None:
            self.stop_signal.check()
            store.put([row.id for row in chunk], await self._vectors_of(chunk))
            self.emit(ItemsDone(len(chunk)))

        await for_each(chunks, embed, self.model.concurrency if self.model else 1)

    async def _vectors_of(self, rows: Sequence[Row]) -> Vectors:
        if self.precomputed:
            return unit(load_embeddings(self.precomputed)[[row.position for row in rows]])
        assert self.model is not None
        return await self.model.aembed([row.text for row in rows])


def embedded(rows: Sequence[Row], store: VectorStore) -> list[Row]:
    """Those of the rows that have a vector: all, unless the run stopped while it embedded them."""
    missing = set(store.missing([row.id for row in rows]))
    return [row for row in rows if row.id not in missing]


async def mend_vectors(stores: RunStores, embedder: RowEmbedder, last: int, emit: Emit) -> None:
    """Compare the vector store with the ledger: remove strangers, embed what was lost.

    The rows of the rounds up to `last` have been embedded; later ones are about to be.
    """
    rounds = stores.ledger.rows.ids_by_round(last)
    known = {id for ids in rounds.values() for id in ids}
    stored = set(stores.vectors.ids())
    lost = known - stored
    if strangers := stored - set(stores.ledger.rows.ids()):
        stores.vectors.remove(sorted(strangers))
    if not lost:
        return
    emit(VectorsMissing(len(lost)))
    for round, ids in rounds.items():
        if lost.intersection(ids):
            await embedder.embed(stores.ledger.rows.find(round=round), stores.vectors)
