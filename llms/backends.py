"""Chat models by name: ``provider:model`` to a LangChain chat model, opened when needed."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, UsageError
from .gateway import Request

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from pydantic import BaseModel

REMOTE_CONCURRENCY = 8
SMALL_MAX_TOKENS = 200  # a small model that goes on for longer has lost its thread


class NotAnAnswerError(ConnectionError):
    """The server sent something that is not a chat completion: a proxy's page, an empty body."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer as it came, with its usage."""

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int


@dataclass(slots=True)
class Backend:
    """An opened chat model and what is known about it.

    `endpoint` is the server's address, "" for the provider's own; `identity` stands for it in a
    call's identity where the address says nothing.
    `sampling` holds parameters of this server; `openai_compatible` tells whether it takes a seed
    and a JSON schema for the answer; `prices` are USD per million input and output tokens, None
    if unknown; `context` is the number of tokens of a request and its answer, None if large;
    `small` models get shorter answers and stop signs; `secrets` are cut out of errors.
    """

    name: str
    chat: BaseChatModel
    endpoint: str = ""
    identity: str | None = None
    concurrency: int = REMOTE_CONCURRENCY
    sampling: Mapping[str, Any] = field(default_factory=dict)
    openai_compatible: bool = True
    prices: tuple[float, float] | None = None
    context: int | None = None
    small: bool = False
    takes_schemas: bool = True
    secrets: tuple[str, ...] = ()
    close: Callable[[], Awaitable[None]] | None = None

    @property
    def where(self) -> str:
        """Where the model answers, as far as it tells one model from another."""
        return self.endpoint if self.identity is None else self.identity

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
        options = {k: v for k, v in body.items() if k not in ("messages", "sample", "schema")}
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
            if "schema" in body and _refuses_schemas(error) and self.takes_schemas:
                self.takes_schemas = False  # from now on it stands in the prompt
                return await self.send(body)
            if not isinstance(error, (AttributeError, TypeError, ValueError)):
                raise
            if not self.openai_compatible:
                raise
            raise NotAnAnswerError(
                f"the server's answer is not a chat completion ({type(error).__name__})"
            ) from None
        usage = message.usage_metadata or {"input_tokens": 0, "output_tokens": 0}
        finish = message.response_metadata.get("finish_reason") or message.response_metadata.get(
            "stop_reason", ""
        )
        text = message.text if isinstance(message.text, str) else message.text()
        return Reply(
            text=text.encode("utf-8", "replace").decode(),
            finish_reason="length" if finish == "max_tokens" else str(finish),
            input_tokens=usage["input_tokens"],
            output_tokens=usage["output_tokens"],
        )

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


def _refuses_schemas(error: Exception) -> bool:
    said = str(error)
    asked = "response_format" in said or "json_schema" in said
    return getattr(error, "status_code", None) in (400, 422) and asked


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


def open_backend(name: str, base_url: str | None = None, *, timeout: float = 120.0) -> Backend:
    """Open the chat model called ``provider:model``.

    ``local:`` is the embedded llama.cpp server with the model of an installed package,
    ``local:PATH`` with a GGUF file of one's own; ``scripted:FILE.py`` answers by a function of
    that file; every other provider is one of LangChain's ``init_chat_model``.

    Raises:
        UsageError: the name has no provider, or the provider is unknown.
        ModelError: a package, a key or a file that the model needs is missing.
    """
    provider, colon, model = name.partition(":")
    if not colon:
        raise UsageError(
            f"llm = {name}: write provider:model, for example openai:gpt-4o-mini, "
            "or local: for the embedded model"
        )
    if provider == "local":
        from .local import open_local

        return open_local(model)
    if provider == "scripted":
        from .scripted import open_scripted

        return open_scripted(name, model)
    if not model:
        raise UsageError(f"llm = {name}: the model's name is missing after {provider}:")
    if provider == "openai":
        return open_openai(name, model, base_url, timeout=timeout)
    return _open_other(name, provider, timeout)


def open_openai(
    name: str,
    model: str,
    base_url: str | None,
    *,
    key: str | None = None,
    timeout: float = 120.0,
    concurrency: int = REMOTE_CONCURRENCY,
    sampling: Mapping[str, Any] | None = None,
    prices: tuple[float, float] | None = None,
) -> Backend:
    """Open a model of OpenAI, or of any server that speaks its protocol at `base_url`."""
    from langchain_openai import ChatOpenAI
    from openai import DefaultAsyncHttpxClient
    from pydantic import SecretStr

    key = key or os.environ.get("OPENAI_API_KEY")
    if not key and not base_url:
        raise ModelError(
            f"{name} needs a key: set OPENAI_API_KEY, or give the address of your own server "
            "with --base-url"
        )
    # A client of its own: LangChain's is shared between event loops, and fails in the second.
    client = DefaultAsyncHttpxClient(timeout=timeout)
    chat = ChatOpenAI(
        model=model,
        base_url=base_url,
        api_key=SecretStr(key or "none"),
        max_retries=0,  # the gateway retries, and counts it
        timeout=timeout,
        http_async_client=client,
        stream_usage=True,
    )
    if prices is None and not base_url:
        from .prices import price_of

        prices = price_of(model)
    return Backend(
        name=name,
        chat=chat,
        endpoint=base_url or "",
        concurrency=concurrency,
        sampling=sampling or {},
        prices=prices,
        close=client.aclose,
        secrets=_secrets(key),
    )


def _secrets(key: str | None) -> tuple[str, ...]:
    """What must never be written down: the key, and the keys in the environment."""
    named = ("_API_KEY", "_TOKEN", "_SECRET")
    found = {value for name, value in os.environ.items() if name.endswith(named)}
    return tuple(sorted(value for value in found | {key or ""} if len(value) >= 6))


def _open_other(name: str, provider: str, timeout: float) -> Backend:
    from langchain.chat_models import init_chat_model

    try:
        chat = init_chat_model(name, max_retries=0, timeout=timeout)
    except ImportError as error:
        raise ModelError(
            f'{name} needs a package: pip install "lift-agent[{provider}]" ({error})'
        ) from None
    except ValueError as error:
        raise UsageError(f"llm = {name}: {str(error).splitlines()[0]}") from None
    except Exception as error:  # each provider has its own error for a missing key
        raise ModelError(f"cannot open {name}: {str(error).splitlines()[0]}") from None
    return Backend(name=name, chat=chat, openai_compatible=False, secrets=_secrets(None))
