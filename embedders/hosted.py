"""Embeddings of OpenAI, or of any server with a compatible ``/v1/embeddings``.

Requests go through the same gateway as those to chat models: reserved under the caps, paced,
tried again, kept in the ledger with their vectors, and found again instead of being paid for twice.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError, TooManyErrors
from ..geometry.neighbours import Vectors, unit
from ..llms.backend import Backend, digest
from ..llms.faults import NotAnAnswerError
from ..llms.gateway import Gateway, Request
from ..llms.loops import run_coroutine
from ..llms.prices import price_of
from ..llms.replies import Reply
from ..records import Call, Spending
from ..redaction import remember, remember_address, without_credentials

if TYPE_CHECKING:
    import httpx
    from pydantic import BaseModel

OPENAI = "https://api.openai.com/v1"
KEYS = ("EMBEDDER_API_KEY", "OPENAI_API_KEY")  # environment variables, the first that is set

TEXTS = 32  # a request: what every known server takes by default
_BYTES = 256_000  # a request; no more tokens than bytes, and OpenAI takes 300,000 tokens
_SHORTEST = 512  # characters; a server that refuses so short a text refuses all
_REFUSED = ("HTTP 400", "HTTP 413", "HTTP 422")


def open_hosted(
    name: str,
    model: str,
    prompt: str,
    base_url: str | None,
    prices: Mapping[str, Sequence[float]],
    gateway: Callable[[Backend], Gateway] | None,
) -> HostedEmbedder:
    """Open a hosted model; nothing is sent before the first text.

    Raises:
        ModelError: it is OpenAI's own and there is no key.
    """
    base_url = _address(base_url)
    key = next((os.environ[name] for name in KEYS if os.environ.get(name)), "")
    if not key and not base_url:
        raise ModelError(
            f"the embedder {name} needs a key: set {KEYS[1]} (or {KEYS[0]}), or give the address "
            "of your own server with --embedder-base-url"
        )
    remember(key)
    remember_address(base_url or "")
    backend = EmbeddingsBackend(
        name=name,
        chat=None,
        endpoint=base_url or "",
        identity=digest(without_credentials(base_url)) if base_url else "",
        prices=price(name, base_url, prices),
        model=model,
        key=key,
    )
    backend.close = backend.aclose
    return HostedEmbedder(name, prompt, gateway(backend) if gateway else Gateway(backend, _NoLog()))


def price(
    name: str, base_url: str | None, prices: Mapping[str, Sequence[float]]
) -> Sequence[float] | None:
    """USD per million input and output tokens: as given, or listed for OpenAI's own models."""
    return prices.get(name) or (None if _address(base_url) else price_of(name))


def _address(base_url: str | None) -> str | None:
    return base_url or os.environ.get("OPENAI_BASE_URL")


class HostedEmbedder:
    """A model that is asked through a gateway."""

    def __init__(self, name: str, prompt: str, gateway: Gateway) -> None:
        self.name = name
        self._prompt = prompt
        self._gateway = gateway

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d), also where an event loop is running."""
        return run_coroutine(self.aembed(texts))

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, (n, d).

        Raises:
            RunStopped: a cap would be crossed, or the server fails for good.
            ModelError: it refuses the key, does not know the model, or is not there.
        """
        batches = list(_batches([self._prompt + text for text in texts]))
        made = await asyncio.gather(*map(self._embedded, batches), return_exceptions=True)
        for outcome in made:  # after all of them: what was answered is kept
            if isinstance(outcome, BaseException):
                raise outcome
        parts = [part for part in made if not isinstance(part, BaseException)]
        sizes = sorted({part.shape[1] for part in parts})
        if len(sizes) > 1:
            raise ModelError(
                f"{self.name} gave vectors of {sizes[0]} and of {sizes[-1]} dimensions"
            )
        return unit(np.concatenate(parts)) if parts else np.empty((0, 0), dtype=np.float32)

    async def _embedded(self, batch: Sequence[str]) -> Vectors:
        """Ask for a batch. One that is refused is halved, then its text is: one is too long."""
        texts = tuple(("text", text or " ") for text in batch)
        request = Request("embed@1", texts, temperature=0.0, max_tokens=0)
        answer = await self._gateway.ask(request, agent="embedder", subject=f"{len(batch)} texts")
        if not answer.error:
            return _vectors(answer.text)
        if len(batch) > 1 and answer.error.startswith(_REFUSED):
            half = len(batch) // 2
            parts = [await self._embedded(part) for part in (batch[:half], batch[half:])]
            return np.concatenate(parts)
        if len(batch[0]) > _SHORTEST and answer.error.startswith(_REFUSED):
            return await self._embedded([batch[0][: len(batch[0]) // 2]])
        raise TooManyErrors(f"the embedder {self.name} failed: {answer.error}")


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode("utf-8", "replace"))
        if batch and (len(batch) == TEXTS or size + length > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch


@dataclass(slots=True)
class EmbeddingsBackend(Backend):
    """A server's ``/v1/embeddings`` as the gateway's backend; a reply's text is its vectors."""

    model: str = ""
    key: str = ""
    client: httpx.AsyncClient | None = None
    loop: asyncio.AbstractEventLoop | None = None

    def body(self, request: Request, schema: type[BaseModel] | None, seed: int) -> dict[str, Any]:
        """Everything that decides the vectors."""
        texts = [list(message) for message in request.messages]
        return {"model": self.model, "messages": texts, "max_tokens": 0}

    async def send(self, body: Mapping[str, Any], room: int = 0) -> Reply:
        """Send one request; its texts are the messages."""
        import httpx

        texts = [text for _, text in body["messages"]]
        asked = {"model": self.model, "input": texts}
        try:
            response = await self._connection().post("embeddings", json=asked)
        except httpx.TransportError as error:
            raise NotAnAnswerError(f"{type(error).__name__}: {error}") from error
        if response.status_code != 200:
            raise httpx.HTTPStatusError(
                _said(response), request=response.request, response=response
            )
        try:
            found = response.json()
            vectors = _in_order(found["data"], len(texts))
            used = (found.get("usage") or {}).get("prompt_tokens")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise NotAnAnswerError(
                f"the server's answer is not {len(texts)} embeddings ({error})"
            ) from None
        coded = base64.b64encode(vectors.astype("<f4").tobytes()).decode()
        text = f"{len(vectors)} vectors of {vectors.shape[1]} float32: {coded}"
        return Reply(text, "", int(used or 0), 0, counted=used is not None)

    def _connection(self) -> httpx.AsyncClient:
        """The client of this event loop, which a connection does not outlive."""
        import httpx

        loop = asyncio.get_running_loop()
        if self.client is None or self.loop is not loop:
            self.loop = loop
            self.client = httpx.AsyncClient(
                base_url=self.endpoint or OPENAI,
                headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
                timeout=None,  # the gateway's own holds
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            )
        return self.client

    async def aclose(self) -> None:
        """Close the connections."""
        if self.client is not None and self.loop is asyncio.get_running_loop():
            await self.client.aclose()
        self.client = None


def _in_order(data: Sequence[Mapping[str, Any]], count: int) -> Vectors:
    """The vectors by their index: servers may send them in any order."""
    found = {int(item["index"]): item["embedding"] for item in data}
    if len(data) != count or set(found) != set(range(count)):
        raise ValueError(f"{len(data)} items with indices of {len(found)} texts")
    vectors = np.asarray([found[i] for i in range(count)], dtype=np.float32)
    if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise ValueError("a vector is empty or not finite")
    return vectors


def _vectors(text: str) -> Vectors:
    """Read what `EmbeddingsBackend.send` wrote."""
    shape, _, coded = text.partition(": ")
    rows = int(shape.split()[0])
    return np.frombuffer(base64.b64decode(coded), dtype="<f4").reshape(rows, -1)


def _said(response: httpx.Response) -> str:
    """What a server says about its refusal."""
    try:
        error = response.json()["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, LookupError, TypeError):
        return response.text[:200] or response.reason_phrase


class _NoLog:
    """Where nothing is kept: an embedder that is used outside of a run."""

    def call(self, key: str) -> Call | None:
        """No call was made before."""

    def begin_attempt(self, key: str, started: float, worst: Spending) -> int:
        """Number nothing."""
        return 0

    def end_attempt(self, attempt: int, seconds: float, outcome: str, spent: Spending) -> None:
        """Keep nothing."""

    def add_call(
        self, call: Call, attempt: int | None = None, spent: Spending | None = None
    ) -> None:
        """Keep nothing."""
