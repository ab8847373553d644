"""What an embedder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ..geometry.neighbours import Vectors


class Embedder(Protocol):
    """Turns texts into vectors; `name` identifies the vectors that it makes."""

    name: str

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d), whatever else is in the batch."""


@runtime_checkable
class AsyncEmbedder(Protocol):
    """An embedder that waits for a server, not for the processor."""

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d), whatever else is in the batch."""
