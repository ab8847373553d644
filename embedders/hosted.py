"""Embeddings of OpenAI, or of any server with a compatible ``/v1/embeddings``.

Requests go through the same gateway as those to chat models: reserved under the caps, paced,
tried again, kept in the ledger with their vectors, and found again instead of being paid for twice.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError, TooManyErrors
from ..geometry.neighbours import Vectors, unit
from ..llms.backend import REMOTE_CONCURRENCY, digest
from ..llms.budget import worst_case_tokens
from ..llms.calls import CallGateway
from ..llms.faults import Fault, NotAnAnswerError
from ..llms.loops import run_coroutine
from ..llms.prices import price_of, usd
from ..llms.replies import Reply
from ..records import Call, Spending
from ..redaction import remember, remember_address, without_credentials

if TYPE_CHECKING:
    import httpx

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
    gateway: Callable[[EmbeddingBackend], CallGateway[EmbeddingBackend]] | None,
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
    backend = EmbeddingBackend(
        name=name,
        model=model,
        key=key,
        endpoint=base_url or "",
        identity=digest(without_credentials(base_url)) if base_url else "",
        prices=price(name, base_url, prices),
    )
    backend.close = backend.aclose
    asked = gateway(backend) if gateway else CallGateway(backend, _NoLog())
    return HostedEmbedder(name, prompt, asked)


def price(
    name: str, base_url: str | None, prices: Mapping[str, Sequence[float]]
) -> Sequence[float] | None:
    """USD per million input and output tokens: as given, or listed for OpenAI's own models."""
    return prices.get(name) or (None if _address(base_url) else price_of(name))


def _address(base_url: str | None) -> str | None:
    return base_url or os.environ.get("OPENAI_BASE_URL")


class HostedEmbedder:
    """A model that is asked through a gateway."""

    def __init__(self, name: str, prompt: str, gateway: CallGateway[EmbeddingBackend]) -> None:
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
        body = self._gateway.backend.body(batch)
        subject = f"{len(batch)} texts"
        call = await self._gateway.call(body, "embed@1", agent="embedder", subject=subject)
        if not call.error:
            self._gateway.count(call, unusable=False)
            return _vectors(call.response)
        if len(batch) > 1 and call.error.startswith(_REFUSED):
            half = len(batch) // 2
            parts = [await self._embedded(part) for part in (batch[:half], batch[half:])]
            return np.concatenate(parts)
        if len(batch[0]) > _SHORTEST and call.error.startswith(_REFUSED):
            return await self._embedded([batch[0][: len(batch[0]) // 2]])
        raise TooManyErrors(f"the embedder {self.name} failed: {call.error}")


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
class EmbeddingBackend:
    """A server's ``/v1/embeddings``, as the gateway asks it; a reply's text is its vectors.

    `endpoint` is the server's address, "" for OpenAI's own, and `prices` are USD per million
    tokens of input and of output, None if unknown.
    """

    name: str
    model: str
    key: str = ""
    endpoint: str = ""
    identity: str = ""
    concurrency: int = REMOTE_CONCURRENCY
    prices: Sequence[float] | None = None
    close: Callable[[], Awaitable[None]] | None = None
    _client: httpx.AsyncClient | None = field(default=None, init=False, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)

    @property
    def address(self) -> str:
        """The endpoint as it may be shown."""
        return without_credentials(self.endpoint)

    @property
    def priced(self) -> bool:
        """Whether the price of its tokens is known."""
        return self.prices is not None

    @property
    def thinking_tokens(self) -> int:
        """None: a model of vectors does not think."""
        return 0

    def facts(self) -> dict[str, Any]:
        """What decides a call's identity; no address, no secret."""
        return {"name": self.name, "identity": self.identity, "prices": self.prices}

    def body(self, texts: Sequence[str]) -> dict[str, Any]:
        """Everything that decides the vectors of some texts."""
        messages = [["text", text or " "] for text in texts]
        return {"model": self.model, "messages": messages, "max_tokens": 0}

    def worst(
        self, body: Mapping[str, Any], thinking_tokens: int = 0, share: float = 1.0
    ) -> Spending:
        """Most that a request can spend, at a share of the price."""
        prompt, answer = worst_case_tokens(body, thinking_tokens)
        return Spending(1, prompt + answer, (self.cost(prompt, answer) or 0.0) * share)

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """USD that so many tokens cost, None if the price is unknown."""
        return usd(self.prices, input_tokens, output_tokens)

    def cost_of(self, reply: Reply) -> float | None:
        """USD that an answer cost, None if its tokens or their price are unknown."""
        cost = self.cost(reply.input_tokens, reply.output_tokens)
        return cost if reply.counted or cost == 0 else None

    def crowded_out(self, reply: Reply, thinking_tokens: int) -> Fault | None:
        """None: a model of vectors does not think."""

    def unusable(self, fault: Fault) -> ModelError:
        """The error of a fault that no request gets past."""
        return ModelError(f"{self.name} {fault.cause}")

    async def send(self, body: Mapping[str, Any], thinking_tokens: int = 0) -> Reply:
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
        if self._client is None or self._loop is not loop:
            self._loop = loop
            self._client = httpx.AsyncClient(
                base_url=self.endpoint or OPENAI,
                headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
                timeout=None,  # the gateway's own holds
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            )
        return self._client

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.aclose()
        self._client = None


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
    """Read what `EmbeddingBackend.send` wrote."""
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
