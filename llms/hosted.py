"""Opens chat models on servers: OpenAI's protocol, LangChain's other providers, plugins."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..config.tables import ModelTable
from ..errors import ModelError, UsageError
from ..plugins import plugin
from ..redaction import remember, remember_address, without_credentials
from .backend import REMOTE_CONCURRENCY, Backend, digest
from .names import PROVIDERS
from .secrets import headers_of, key_hints, key_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

# A request's parameters as some clients call them.
_CALLED: Mapping[str, Mapping[str, str]] = {
    "bedrock_converse": {"max_tokens": "maxTokens", "top_p": "topP"},
    "google_genai": {"max_tokens": "max_output_tokens"},
    "google_vertexai": {"max_tokens": "max_output_tokens"},
}
# How clients that can send headers take them.
_HEADERS = {"anthropic": "default_headers", "azure_openai": "default_headers"}


def open_openai(
    name: str,
    model: str,
    base_url: str | None,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    concurrency: int = REMOTE_CONCURRENCY,
    sampling: Mapping[str, Any] | None = None,
    prices: Sequence[float] | None = None,
) -> Backend:
    """Open a model of OpenAI, or of any server that speaks its protocol at `base_url`."""
    from pydantic import SecretStr

    from .completions import ChatCompletions

    key = key or os.environ.get("OPENAI_API_KEY")
    remember(key or "")
    remember_address(base_url or "")
    if not key and not base_url:
        raise ModelError(
            f"{name} needs a key: set OPENAI_API_KEY, or give the address of your own server "
            "with --base-url"
        )
    chat = ChatCompletions(
        model=model,
        base_url=base_url,
        api_key=SecretStr(key or "none"),
        headers=dict(headers or {}),
        timeout=timeout,
    )
    return Backend(
        name=name,
        chat=chat,
        endpoint=base_url or "",
        identity=digest(without_credentials(base_url)) if base_url else "",
        concurrency=concurrency,
        sampling=sampling or {},
        prices=prices,
        close=chat.close,
    )


def open_other(table: ModelTable, provider: str, timeout: float) -> Backend:
    """Open a model of one of LangChain's other providers."""
    known, key, headers = PROVIDERS[provider], key_of(table), headers_of(table)
    options: dict[str, Any] = {"timeout": timeout}
    if table.base_url:
        options["base_url"] = table.base_url
    if key or (table.base_url and known.keys):
        options["api_key"] = key or _environment(known.keys) or "none"
    elif known.keys and not _environment(known.keys):
        raise ModelError(f"{table.model} needs a key: set {' or '.join(known.keys)}")
    if headers and provider == "ollama":
        options["client_kwargs"] = {"headers": headers}
    elif headers:
        options[_headers_name(table, provider)] = headers
    chat = _langchain(table.model, provider, options)
    places = (getattr(chat, name, None) for name in ("anthropic_api_url", "base_url"))
    where = next((str(place) for place in places if place), "")
    remember_address(where)
    return Backend(
        name=table.model,
        chat=chat,
        identity=digest(without_credentials(where)) if where else "",
        openai_compatible=False,
        called=_CALLED.get(provider, {}),
        hints=key_hints(*([table.key_variable] if table.key_variable else known.keys)),
    )


def _environment(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _headers_name(table: ModelTable, provider: str) -> str:
    if provider in _HEADERS:
        return _HEADERS[provider]
    known = ", ".join(f"{name}:" for name in sorted({*_HEADERS, "ollama", "openai"}))
    raise UsageError(f"{table.model}: headers can be given for models of {known}")


def _langchain(name: str, provider: str, options: Mapping[str, Any]) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    try:
        if provider == "ollama":
            from .ollama import OllamaChat

            return OllamaChat(model=name.partition(":")[2], **options)
        chat: BaseChatModel = init_chat_model(name, max_retries=0, **options)
        return chat
    except ImportError as error:
        extra = PROVIDERS[provider].extra
        raise ModelError(
            f'{name} needs a package: pip install "lift-agent[{extra}]" '
            f"({str(error).splitlines()[0]})"
        ) from None
    except Exception as error:  # each provider has its own error for what is missing
        raise ModelError(f"cannot open {name}: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    """The first line of an error that says something; pydantic's first is only a count."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line.removeprefix("Value error, ") for line in lines if "validation error" not in line]
    return (told or lines or [type(error).__name__])[0].split(" [type=")[0]


def open_plugin(name: str, provider: str, model: str) -> Backend:
    """Open a model of a package that plugs one in.

    Raises:
        UsageError: its plugin is broken.
        ModelError: what it opens is no chat model.
    """
    opened = plugin("llms", provider)
    assert opened is not None
    from langchain_core.language_models import BaseChatModel

    try:
        chat = opened(model)
    except Exception as error:  # whatever the package does
        raise ModelError(f"cannot open {name}: {type(error).__name__}: {error}") from None
    if not isinstance(chat, BaseChatModel):
        raise ModelError(f"cannot open {name}: its plugin gives no LangChain chat model")
    return Backend(name=name, chat=chat, openai_compatible=False)
