"""Text to unit vectors: embedders by name, opened when they are needed.

One module a kind: ``sentence_transformers``, ``hosted`` (openai:), ``static``; other packages plug
theirs in. Every kind gives unit vectors that do not depend on what else is embedded with a text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError, UsageError
from ..geometry.neighbours import Vectors, unit
from ..llms.loops import run_coroutine
from ..plugins import declared, package_of, plugin
from .base import AsyncEmbedder, Embedder

if TYPE_CHECKING:
    from ..llms.calls import CallGateway
    from .hosted import EmbeddingBackend

KINDS = ("sentence-transformers", "openai", "static")

_SAME = 0.999  # cosine of a text's vectors by the same model on two machines
_AT_ONCE = 8  # chunks of texts in flight to a hosted model; the gateway bounds its requests


def kind_of(name: str) -> tuple[str, str]:
    """Part an embedder's name into its kind and the model; bare, it is a sentence transformer."""
    kind, colon, model = name.partition(":")
    if not colon or Path(name).expanduser().is_dir():
        return "sentence-transformers", name
    return kind, model


def is_local(name: str) -> bool:
    """Whether an embedder surely runs in this process, costs nothing and sends nothing."""
    return kind_of(name)[0] in ("sentence-transformers", "static")


def open_embedder(
    name: str,
    *,
    prompt: str | None = None,
    base_url: str | None = None,
    prices: Mapping[str, Sequence[float]] | None = None,
    gateway: Callable[[EmbeddingBackend], CallGateway[EmbeddingBackend]] | None = None,
) -> Embedder:
    """Open the embedder called ``kind:model``; a bare name or folder is a sentence transformer.

    Args:
        name: ``sentence-transformers:NAME``, ``openai:MODEL``, ``static:NAME`` or ``plugin:MODEL``.
        prompt: put before each text, or the name of one of the model's own prompts. Default: the
            model's own prompt, if it has one.
        base_url: address of an OpenAI-compatible server, for ``openai:``.
        prices: USD per million input and output tokens, by name, before the list prices.
        gateway: makes the gateway through which a hosted model is asked; without one, requests
            are tried again, but neither counted nor kept.

    Raises:
        UsageError: no kind of embedder is called so.
        ModelError: a package, a key or the model is missing.
    """
    kind, model = kind_of(name)
    if not model:
        raise UsageError(f"embedder = {name}: the model's name is missing after {kind}:")
    if kind == "sentence-transformers":
        from .sentence_transformers import open_model

        return open_model(name, model, prompt)
    if kind == "static":
        from .static import StaticEmbedder

        return StaticEmbedder(name, model, prompt or "")
    if kind == "openai":
        from .hosted import open_hosted

        return open_hosted(name, model, prompt or "", base_url, prices or {}, gateway)
    return _Plugged(name, kind, model, prompt or "")


class _Plugged:
    """An embedder of another package; what it returns is checked by `LazyEmbedder`."""

    def __init__(self, name: str, kind: str, model: str, prompt: str) -> None:
        make = plugin("embedders", kind)
        if make is None:
            known = ", ".join(f"{kind}:" for kind in (*KINDS, *declared("embedders")))
            raise UsageError(f"embedder = {name}: there is no kind {kind} ({known} are known)")
        self.name = name
        self._prompt = prompt
        try:
            self._model: Embedder = make(model)
        except Exception as error:  # whatever the package does
            package = package_of(declared("embedders")[kind])
            cause = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ModelError(f"{package} cannot open the embedder {name} ({cause})") from None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d)."""
        vectors = np.asarray(self._model.embed([self._prompt + text for text in texts]))
        return unit(vectors) if vectors.ndim == 2 else vectors


class LazyEmbedder:
    """An embedder that is opened when the first text comes, and whose vectors are checked."""

    def __init__(self, name: str, known: tuple[str, Vectors] | None = None, **options: Any) -> None:
        """Take the embedder's name, a text with the (1, d) vector that it was given before, and
        what `open_embedder` takes.
        """
        self.name = name
        self._known = known
        self._options = options
        self._model: Embedder | None = None
        self._opening = asyncio.Lock()

    @property
    def concurrency(self) -> int:
        """Chunks of texts that are embedded at once: several where a server does the work."""
        return _AT_ONCE if kind_of(self.name)[0] == "openai" else 1

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d), also where an event loop is running.

        Raises:
            ModelError: the model cannot be opened or used, or gives the known text another vector.
        """
        return run_coroutine(self.aembed(texts))

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d), whatever else is in the batch.

        Raises:
            ModelError: the model cannot be opened or used, or gives the known text another vector.
        """
        async with self._opening:
            if self._model is None:
                self._model = await self._opened()
        return await self._vectors(self._model, texts)

    async def _opened(self) -> Embedder:
        if self.concurrency > 1:  # opens at once, and notes its facts in this thread's ledger
            model = open_embedder(self.name, **self._options)
        else:
            model = await asyncio.to_thread(open_embedder, self.name, **self._options)
        if self._known:
            text, before = self._known
            now = await self._vectors(model, [text])
            if now.shape != before.shape or float((now @ before.T)[0, 0]) < _SAME:
                raise ModelError(
                    f"the embedder {self.name} is not the one that this run began with "
                    f"({before.shape[1]} dimensions then, {now.shape[1]} now, other vectors): "
                    "use that one, or another folder with --out"
                )
        return model

    async def _vectors(self, model: Embedder, texts: Sequence[str]) -> Vectors:
        if isinstance(model, AsyncEmbedder):
            vectors = await model.aembed(texts)
        else:
            vectors = await asyncio.to_thread(model.embed, texts)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ModelError(
                f"the embedder {self.name} gave {len(texts)} texts an array of shape "
                f"{vectors.shape}, not a vector each"
            )
        if not np.isfinite(vectors).all():
            raise ModelError(f"the embedder {self.name} gave a vector that is not finite")
        return vectors
