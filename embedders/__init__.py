"""Text to unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..errors import ModelError
from ..geometry.neighbours import Vectors

_SAME = 0.999  # cosine of a text's vectors by the same model on two machines


class Embedder(Protocol):
    """Turns texts into vectors; `name` identifies the vectors that it makes."""

    name: str

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d), whatever else is in the batch."""


def open_embedder(name: str) -> Embedder:
    """Open the sentence-transformers model called `name`, or in the folder `name`."""
    from .sentence_transformers import SentenceTransformersEmbedder

    return SentenceTransformersEmbedder(name)


class LazyEmbedder:
    """An embedder that is opened when the first text comes."""

    def __init__(self, name: str, known: tuple[str, Vectors] | None = None) -> None:
        """Take the model's name, and a text with the (1, d) vector that it was given before."""
        self.name = name
        self._known = known
        self._model: Embedder | None = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d), whatever else is in the batch.

        Raises:
            ModelError: the model cannot be opened, or gives the known text another vector.
        """
        if self._model is None:
            model = open_embedder(self.name)
            if self._known:
                text, before = self._known
                now = model.embed([text])
                if now.shape != before.shape or float((now @ before.T)[0, 0]) < _SAME:
                    raise ModelError(
                        f"the embedder {self.name} is not the one that this run began with "
                        f"({before.shape[1]} dimensions then, {now.shape[1]} now, other vectors): "
                        "use that one, or another folder with --out"
                    )
            self._model = model
        return self._model.embed(texts)
