"""An opened chat model: what a request to it holds, how it is sent, what comes back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..records import Spending
from ..redaction import without_credentials
from .budget import worst_case_tokens
from .capabilities import THINKING_TOKENS, Capabilities
from .faults import Fault, NotAnAnswerError, OtherwiseError, refused_part
from .messages import Request
from .prices import usd
from .replies import Reply, reply_of
from .structured import asked_for, marked, merged, output_modes, strict_schema

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from pydantic import BaseModel

REMOTE_CONCURRENCY = 32  # at most
SMALL_MAX_TOKENS = 200  # a small model that writes a longer text has lost its thread

_REASONS = re.compile(
    r"(^|[:/])(o\d|gpt-([5-9]|oss)|deepseek-r|qwq|qwen3|magistral)|reason|think", re.IGNORECASE
)
_MAY_GO = ("temperature", "seed", "stop", "max_tokens", "max_completion_tokens")


@dataclass(slots=True)
class Backend:
    """An opened chat model and what is known about it.

    `chat` is None in a replay.
    `endpoint` is the server's address, "" for the provider's own; `identity` is a digest of what
    tells it from other models of its name: that address, or the weights.
    `sampling` holds parameters of this server; `openai_compatible` tells whether it takes a seed
    and a JSON schema for the answer; `prices` are USD per million tokens of input, of output and
    perhaps of input that the provider had in its cache, None if unknown; `context` is the number
    of tokens of a request and its answer, None if large; `small` models get less room for texts and
    stop signs, `compact` ones the prompts' short form; `called` says how the client calls a
    request's parameters, and `hints` what to do where the server refuses with a status;
    `capabilities` are what its server was found to take.
    """

    name: str
    chat: BaseChatModel | None
    endpoint: str = ""
    identity: str = ""
    concurrency: int = REMOTE_CONCURRENCY
    sampling: Mapping[str, Any] = field(default_factory=dict)
    openai_compatible: bool = True
    prices: Sequence[float] | None = None
    context: int | None = None
    small: bool = False
    compact: bool = False
    called: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[int, str] = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=Capabilities)
    close: Callable[[], Awaitable[None]] | None = None

    @property
    def address(self) -> str:
        """The endpoint as it may be shown."""
        return without_credentials(self.endpoint)

    @property
    def anthropic(self) -> bool:
        """Whether it is one of Anthropic's own, whose cache is told what to keep."""
        return getattr(self.chat, "_llm_type", "") == "anthropic-chat"

    def unusable(self, fault: Fault) -> ModelError:
        """The error of a fault that no request gets past, with what to do about it."""
        hint = self.hints.get(fault.status, "")
        return ModelError(f"{self.name} {fault.cause}{f': {hint}' if hint else ''}")

    @property
    def priced(self) -> bool:
        """Whether the price of its tokens is known."""
        return self.prices is not None

    def facts(self) -> dict[str, Any]:
        """What decides a call's identity and the prompts; no address, no secret."""
        kept = ("name", "identity", "concurrency", "sampling", "openai_compatible", "prices")
        return {name: getattr(self, name) for name in (*kept, "context", "small", "compact")}

    @property
    def output_modes(self) -> tuple[str, ...]:
        """The output modes that it may take, the best first."""
        return output_modes(self.chat, self.openai_compatible)

    @property
    def thinking_tokens(self) -> int:
        """Tokens that an answer is given to think in, beyond its own length."""
        known = THINKING_TOKENS if _REASONS.search(self.name) else 0
        tokens = max(self.capabilities.thinking_tokens, known)
        return tokens if self.context is None else min(tokens, self.context // 2)

    def body(self, request: Request, schema: type[BaseModel] | None, seed: int) -> dict[str, Any]:
        """Everything that decides the answer; its hash is the call's identity."""
        body: dict[str, Any] = {
            "messages": [list(message) for message in request.messages],
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "sample": request.sample,
            **self.sampling,
        }
        if self.small and schema is None:  # an object ends by itself
            body["max_tokens"] = min(request.max_tokens, SMALL_MAX_TOKENS)
            if request.stop_if_small:
                body["stop"] = list(request.stop_if_small)
        if self.openai_compatible:
            body["seed"] = seed + request.sample
        if schema is not None:
            body["schema"] = {"name": schema.__name__, "schema": strict_schema(schema)}
        return body

    def output_mode(self, body: Mapping[str, Any]) -> str:
        """How an object is asked for now, "" for a request that asks for none."""
        return self.capabilities.used(self.output_modes) if "schema" in body else ""

    def request(
        self, body: Mapping[str, Any], thinking_tokens: int = 0
    ) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
        """The messages and options by which a body is sent, with so many tokens to think in."""
        refused = self.capabilities.refused
        options = {
            name: value
            for name, value in body.items()
            if name not in ("messages", "sample", "schema", *(refused - {"max_tokens"}))
        }
        options["max_tokens"] += thinking_tokens
        messages = [(role, content) for role, content in body["messages"]]
        if self.endpoint and "max_tokens" not in refused:  # many servers know the older name only
            options = merged({"extra_body": {"max_tokens": options["max_tokens"]}}, options)
            if "max_completion_tokens" in refused:
                options = merged(options, {"extra_body": {"max_completion_tokens": None}})
        if mode := self.output_mode(body):
            messages, more = asked_for(mode, messages, body["schema"], self.chat, small=self.small)
            options = merged(options, more)
        if self.anthropic:
            messages = marked(messages)
        return messages, options

    async def send(self, body: Mapping[str, Any], thinking_tokens: int = 0) -> Reply:
        """Send one request and return the answer as it came.

        Raises:
            OtherwiseError: the same request has to be sent again, which asks in another way.
            NotAnAnswerError: what came is no answer.
            Exception: what the provider's client raises.
        """
        assert self.chat is not None
        mode, left_out = self.output_mode(body), frozenset(self.capabilities.refused)
        messages, options = self.request(body, thinking_tokens)
        options = {self.called.get(name, name): value for name, value in options.items()}
        try:
            return reply_of(await self.chat.ainvoke(messages, **options), mode)
        except Exception as error:
            if part := self.gives_up(error, mode, left_out):
                raise OtherwiseError(
                    f"does not accept {part}: {error}", getattr(error, "status_code", 400)
                ) from None
            if not isinstance(error, (AttributeError, LookupError, TypeError, ValueError)):
                raise
            if not self.openai_compatible:
                raise
            raise NotAnAnswerError(
                f"the server's answer is not a chat completion ({type(error).__name__}: {error})"
            ) from None

    def gives_up(self, error: Exception, mode: str, left_out: Set[str] = frozenset()) -> str:
        """Leave out what an error refuses from now on; return its name, "" if it is none.

        What was `left_out` of the request already cannot be its fault.
        """
        part = refused_part(error, mode, [name for name in _MAY_GO if name not in left_out])
        if part in _MAY_GO:
            other = {"max_tokens", "max_completion_tokens"} - {part}
            if "max" in part and (not self.endpoint or other & self.capabilities.refused):
                return ""  # an answer's length has to be bounded by one of the two
            self.capabilities.drop(part)
        elif part:
            if mode == self.output_modes[-1]:
                return ""
            self.capabilities.give_up(mode, self.output_modes)
        return part

    def cost(
        self, input_tokens: int, output_tokens: int, cached: int = 0, written: int = 0
    ) -> float | None:
        """USD that a call costs, None if the price is unknown.

        Of the input tokens, so many came from the provider's cache, or were put into it.
        """
        return usd(self.prices, input_tokens, output_tokens, cached, written)

    def worst(
        self, body: Mapping[str, Any], thinking_tokens: int = 0, share: float = 1.0
    ) -> Spending:
        """Most that a request can spend, at a share of the price."""
        prompt, answer = worst_case_tokens(body, thinking_tokens)
        cost = self.cost(prompt, answer, written=prompt if self.anthropic else 0) or 0.0
        return Spending(1, prompt + answer, cost * share)

    def cost_of(self, reply: Reply) -> float | None:
        """USD that an answer cost, None if its tokens or their price are unknown."""
        cost = self.cost(
            reply.input_tokens, reply.output_tokens, reply.cached_tokens, reply.written_tokens
        )
        return cost if reply.counted or cost == 0 else None

    def crowded_out(self, reply: Reply, thinking_tokens: int) -> Fault | None:
        """The fault of an answer that thinking left no room for, if more tokens can be had."""
        found = self.capabilities
        if reply.reasoning_tokens:
            found.thinks()
        if not reply.output_mode and reply.finish_reason != "length":
            found.answered("text")
        if not reply.crowded(thinking_tokens) or not found.crowded(thinking_tokens):
            return None
        if self.thinking_tokens <= thinking_tokens:
            return None
        return Fault("otherwise", "the answer was cut while the model was thinking")


def digest(text: str) -> str:
    """A short digest of what identifies a model."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
