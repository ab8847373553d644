"""Text to unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..geometry.neighbours import Vectors


class Embedder(Protocol):
    """Turns texts into vectors; `name` identifies the vectors that it makes."""

    name: str

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d), whatever else is in the batch."""


def open_embedder(name: str) -> Embedder:
    """Open the sentence-transformers model called `name`, or in the folder `name`."""
    from .sentence_transformers import SentenceTransformersEmbedder

    return SentenceTransformersEmbedder(name)
