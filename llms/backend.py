"""An opened chat model: what a request to it holds, how it is sent, what comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from ..redaction import without_credentials
from .gateway import Request

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from pydantic import BaseModel

REMOTE_CONCURRENCY = 32  # at most
SMALL_MAX_TOKENS = 200  # a small model that goes on for longer has lost its thread

# Other providers' names of OpenAI's finish reasons.
_FINISH = {
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
}


class NotAnAnswerError(ConnectionError):
    """The server sent something that is not a chat completion: a proxy's page, an empty body."""


class SchemaRefusedError(ConnectionError):
    """The server takes no JSON schema; the same request again will have it in its prompt."""

    status_code = 409  # as a status: refused for the moment, and not billed


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer as it came, with its usage; `counted` is False if it came without."""

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    counted: bool = True


@dataclass(slots=True)
class Backend:
    """An opened chat model and what is known about it.

    `chat` is None in a replay.
    `endpoint` is the server's address, "" for the provider's own; `identity` is a digest of what
    tells it from other models of its name: that address, or the weights.
    `sampling` holds parameters of this server; `openai_compatible` tells whether it takes a seed
    and a JSON schema for the answer; `prices` are USD per million input and output tokens, None
    if unknown; `context` is the number of tokens of a request and its answer, None if large;
    `small` models get shorter answers and stop signs, `compact` ones the prompts' short form;
    `called` says how the client calls a request's parameters, and `hints` what to do where the
    server refuses with a status.
    """

    name: str
    chat: BaseChatModel | None
    endpoint: str = ""
    identity: str = ""
    concurrency: int = REMOTE_CONCURRENCY
    sampling: Mapping[str, Any] = field(default_factory=dict)
    openai_compatible: bool = True
    prices: tuple[float, float] | None = None
    context: int | None = None
    small: bool = False
    compact: bool = False
    called: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[int, str] = field(default_factory=dict)
    takes_schemas: bool = True
    close: Callable[[], Awaitable[None]] | None = None

    @property
    def address(self) -> str:
        """The endpoint as it may be shown."""
        return without_credentials(self.endpoint)

    def body(self, request: Request, schema: type[BaseModel] | None, seed: int) -> dict[str, Any]:
        """Everything that decides the answer; its hash is the call's identity."""
        body: dict[str, Any] = {
            "messages": [list(message) for message in request.messages],
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "sample": request.sample,
            **self.sampling,
        }
        if self.small:
            body["max_tokens"] = min(request.max_tokens, SMALL_MAX_TOKENS)
            if request.stop_if_small:
                body["stop"] = list(request.stop_if_small)
        if self.openai_compatible:
            body["seed"] = seed + request.sample
        if schema is not None:
            body["schema"] = {"name": schema.__name__, "schema": strict_schema(schema)}
        return body

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """Send one request and return the answer as it came."""
        assert self.chat is not None
        own = ("messages", "sample", "schema")
        options = {self.called.get(k, k): v for k, v in body.items() if k not in own}
        messages = [(role, content) for role, content in body["messages"]]
        if "schema" in body:
            if self.openai_compatible and self.takes_schemas:
                # Through extra_body the raw text, usage and finish reason always come back;
                # LangChain's own structured output loses them when the JSON is bad.
                options["extra_body"] = {
                    **options.get("extra_body", {}),
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"strict": True, **self._sent_schema(body["schema"])},
                    },
                }
            else:
                messages[-1] = ("user", _with_schema(messages[-1][1], body["schema"]["schema"]))
        if self.endpoint:  # compatible servers may know the older name only
            options["extra_body"] = {**options.get("extra_body", {})}
            options["extra_body"].setdefault("max_tokens", options["max_tokens"])
        try:
            message = await self.chat.ainvoke(messages, **options)
        except Exception as error:
            if "schema" in body and _refuses_schemas(error):
                self.takes_schemas = False  # from now on it stands in the prompt
                raise SchemaRefusedError("the server takes no JSON schema") from None
            if not isinstance(error, (AttributeError, LookupError, TypeError, ValueError)):
                raise
            if not self.openai_compatible:
                raise
            raise NotAnAnswerError(
                f"the server's answer is not a chat completion ({type(error).__name__}: {error})"
            ) from None
        return _reply(message)

    def _sent_schema(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The schema without the bounds of strings, which OpenAI's strict mode does not know."""
        if self.small:  # a grammar keeps a small model from running on
            return dict(schema)
        properties = {
            name: {k: v for k, v in spec.items() if k not in ("minLength", "maxLength")}
            for name, spec in schema["schema"]["properties"].items()
        }
        return {**schema, "schema": {**schema["schema"], "properties": properties}}

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """USD that a call costs, None if the price is unknown."""
        if self.prices is None:
            return None
        return (input_tokens * self.prices[0] + output_tokens * self.prices[1]) / 1e6


def _reply(message: AIMessage) -> Reply:
    usage = message.usage_metadata
    told = message.response_metadata
    ends = ("finish_reason", "stop_reason", "done_reason")  # the last is Ollama's
    finish = str(next((told[end] for end in ends if told.get(end)), ""))
    text = str(message.text if isinstance(message.text, str) else message.text())
    return Reply(
        text=text.encode("utf-8", "replace").decode(),
        finish_reason=_FINISH.get(finish, finish),
        input_tokens=usage["input_tokens"] if usage else 0,
        output_tokens=usage["output_tokens"] if usage else 0,
        counted=bool(usage),
    )


def _refuses_schemas(error: Exception) -> bool:
    said = str(error)
    asked = "response_format" in said or "json_schema" in said
    return getattr(error, "status_code", None) in (400, 422) and asked


def digest(text: str) -> str:
    """A short digest of what identifies a model."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def strict_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON schema without titles and defaults, closed to other keys."""
    whole = schema.model_json_schema()
    properties = {
        name: {k: v for k, v in spec.items() if k != "title"}
        for name, spec in whole["properties"].items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _with_schema(content: str, schema: Mapping[str, Any]) -> str:
    import json

    return f"{content}\n\nAnswer with one JSON object of this schema only:\n{json.dumps(schema)}"
