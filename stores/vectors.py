"""The vectors of a run in Chroma: a projection of the ledger that can always be rebuilt."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..geometry.neighbours import Vectors

logger = logging.getLogger(__name__)

_WRITE_BATCH = 5000  # Chroma refuses more than 5,461 at once
_READ_BATCH = 1000  # reading by ids keeps its speed at any size; paging by offset does not


def open_vectors(folder: Path) -> tuple[VectorStore, VectorStore]:
    """Open the stores of the rows and of the target prompts in `folder`.

    A folder that cannot be read is removed, to be filled again.
    """
    rows = None
    try:
        rows = VectorStore(folder)
        return rows, VectorStore(folder, "reference")
    except OSError:
        raise
    except Exception as error:  # Chroma's own errors have no common base
        cause = (str(error).splitlines() or [type(error).__name__])[0][:160]
        logger.warning("the vector store in %s cannot be read (%s): rebuilding it", folder, cause)
        if rows:
            rows.close()
        remove_vectors(folder)
        return VectorStore(folder), VectorStore(folder, "reference")


def remove_vectors(folder: Path) -> None:
    """Remove the store in `folder`, and what Chroma remembers of it in this process."""
    if folder.exists():
        from chromadb.api.shared_system_client import SharedSystemClient

        SharedSystemClient.clear_system_cache()
        shutil.rmtree(folder)


class VectorStore:
    """One Chroma collection with a unit vector for each row id."""

    def __init__(self, folder: Path, collection: str = "rows") -> None:
        """Open the collection of the store in `folder`, creating what is not there."""
        import chromadb
        from chromadb.config import Settings

        folder.mkdir(parents=True, exist_ok=True)
        self._client: Any = chromadb.PersistentClient(
            str(folder), settings=Settings(anonymized_telemetry=False)
        )
        try:
            # Without embedding_function=None, Chroma would download a model of its own. Vectors
            # come back as they were put only in the l2 space, which ranks unit vectors as cosine
            # does.
            self._collection: Any = self._client.get_or_create_collection(
                collection, embedding_function=None, configuration={"hnsw": {"space": "l2"}}
            )
            self.get(self.ids(limit=1))  # a store that is damaged says so now
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give back the threads and files that Chroma holds for a folder until all have closed."""
        self._client.close()

    def put(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Add or replace the vectors of rows.

        Raises:
            OSError: Chroma cannot write them.
        """
        from chromadb.errors import ChromaError

        for start in range(0, len(ids), _WRITE_BATCH):
            span = slice(start, start + _WRITE_BATCH)
            try:
                self._collection.upsert(ids=list(ids[span]), embeddings=vectors[span])
            except ChromaError as error:
                raise OSError(f"the vector store: {error}") from None

    def get(self, ids: Sequence[str]) -> Vectors:
        """Return the vectors of rows, in the order of `ids`: (n, d).

        Raises:
            KeyError: a row has no vector.
        """
        found: dict[str, Any] = {}
        for start in range(0, len(ids), _READ_BATCH):
            part = self._collection.get(
                ids=list(ids[start : start + _READ_BATCH]), include=["embeddings"]
            )
            found.update(zip(part["ids"], part["embeddings"], strict=True))
        if not ids:
            return np.empty((0, 0), dtype=np.float32)
        return np.asarray([found[id] for id in ids], dtype=np.float32)

    def nearest(self, id: str, count: int) -> list[tuple[str, float]]:
        """Return the rows nearest to a row, by Chroma's index, with their cosine similarities.

        Raises:
            KeyError: the row has no vector.
        """
        found = self._collection.query(
            query_embeddings=self.get([id]), n_results=count + 1, include=["distances"]
        )
        near = zip(found["ids"][0], found["distances"][0], strict=True)
        return [(other, 1 - float(away) / 2) for other, away in near if other != id][:count]

    def ids(self, limit: int | None = None) -> list[str]:
        """Return the ids of the rows that have a vector, or of some of them."""
        found: list[str] = self._collection.get(include=[], limit=limit)["ids"]
        return found

    def remove(self, ids: Sequence[str]) -> None:
        """Delete the vectors of rows."""
        for start in range(0, len(ids), _WRITE_BATCH):
            self._collection.delete(ids=list(ids[start : start + _WRITE_BATCH]))

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Return those of `ids` that have no vector."""
        found: set[str] = set()
        for start in range(0, len(ids), _READ_BATCH):
            batch = list(ids[start : start + _READ_BATCH])
            found.update(self._collection.get(ids=batch, include=[])["ids"])
        return [id for id in ids if id not in found]
