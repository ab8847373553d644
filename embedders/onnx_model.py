"""Runs an exported embedder by onnxruntime, without torch.

Each text goes alone, without padding, on a thread of its own: little is left to gain on a CPU
(benchmarks/embedding.py), and a vector cannot depend on what else is embedded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..geometry.neighbours import Vectors, unit
from .onnx_files import MODEL, TOKENIZER, Recipe
from .prompts import prompt_for


class OnnxEmbedder:
    """A sentence-transformers model from its export."""

    def __init__(self, name: str, folder: Path, prompt: str | None) -> None:
        recipe = Recipe.read(folder)
        self.name = name
        self._session = Session(folder)
        self._prompt = prompt_for(prompt, recipe.prompts, recipe.default_prompt)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d), the same bits whatever else is embedded."""
        return unit(self._session.embed([self._prompt + text for text in texts]))


class Session:
    """The tokenizer and the graph of an export."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # texts, not parts of one, go to the threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(folder / MODEL), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the model's vector for each text, (n, d)."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        # Longest first, so that no thread is left with a long one at the end.
        order = sorted(range(len(tokens)), key=lambda i: -len(tokens[i]))
        with ThreadPoolExecutor(_threads()) as pool:
            made = list(pool.map(self._vector, (tokens[i] for i in order)))
        if not made:
            return np.empty((0, 0), dtype=np.float32)
        vectors = np.empty((len(made), len(made[0])), dtype=np.float32)
        vectors[order] = made
        return vectors

    def _vector(self, ids: Sequence[int]) -> Vectors:
        feed = {"input_ids": np.asarray([ids], dtype=np.int64)}
        vector: Vectors = self._session.run(None, feed)[0][0]
        return vector


def _threads() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
