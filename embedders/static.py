"""Embeddings by a static model: a vector a token, averaged. Fast, and coarse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..geometry.neighbours import Vectors, unit


class StaticEmbedder:
    """A model2vec model, from a folder, the hub's cache or the hub."""

    def __init__(self, name: str, model: str, prompt: str) -> None:
        try:
            from model2vec import StaticModel
        except ImportError:
            raise ModelError(
                f'the embedder {name} needs a package: pip install "lift-agent[static]"'
            ) from None
        folder = Path(model).expanduser()
        try:
            self._model = StaticModel.from_pretrained(str(folder) if folder.is_dir() else model)
        except Exception as error:  # of the hub, the tokenizer or the file
            cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"cannot open the embedder {name} ({cause})") from None
        self.name = name
        self._prompt = prompt

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d)."""
        asked = [self._prompt + text for text in texts]
        vectors = self._model.encode(asked, use_multiprocessing=False)
        return unit(np.asarray(vectors, dtype=np.float32))
