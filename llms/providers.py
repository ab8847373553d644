"""Chat models by name: ``provider:model`` to a LangChain chat model, opened when needed."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ModelError, UsageError
from .backend import REMOTE_CONCURRENCY, SMALL_MAX_TOKENS, Backend, digest, without_secrets

FIRST_CONCURRENCY = 8  # from here on the server decides


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is known of a model before it is opened.

    `listed` tells whether the prices are from the package's table; `max_tokens` bounds each
    answer, and `embedded` models run in this process.
    """

    name: str
    prices: Sequence[float] | None
    listed: bool = False
    concurrency: int = REMOTE_CONCURRENCY
    max_tokens: float = math.inf
    small: bool = False
    embedded: bool = False


def prospect(
    name: str,
    base_url: str | None = None,
    prices: Mapping[str, Sequence[float]] | None = None,
) -> Prospect:
    """Say what is known of the model called ``provider:model`` without opening it."""
    provider, _, model = name.partition(":")
    if provider == "local":
        from .local import SLOTS, is_small, weights

        path = weights(model)
        small = is_small(path)
        most = SMALL_MAX_TOKENS if small else math.inf
        return Prospect(f"local:{path.stem}", (0.0, 0.0), False, SLOTS, most, small, True)
    own = (prices or {}).get(name)
    if provider == "scripted":
        return Prospect(name, own or (0.0, 0.0))
    return Prospect(name, own or _list_price(name, base_url), own is None)


def _list_price(name: str, base_url: str | None) -> Sequence[float] | None:
    """The package's price of a model; another server's price is its own."""
    from .prices import price_of

    return None if _address(name, base_url) else price_of(name)


def _address(name: str, base_url: str | None) -> str | None:
    """The address of a model's server, None if it is the provider's own."""
    if not name.startswith("openai:"):
        return None
    return base_url or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")


def open_backend(
    name: str,
    base_url: str | None = None,
    *,
    timeout: float = 120.0,
    prices: Mapping[str, Sequence[float]] | None = None,
) -> Backend:
    """Open the chat model called ``provider:model``.

    ``local:`` is the embedded llama.cpp server with the model of an installed package,
    ``local:PATH`` with a GGUF file of one's own; ``scripted:FILE.py`` answers by a function of
    that file; every other provider is one of LangChain's ``init_chat_model``. `prices` (USD per
    million tokens of input, output and perhaps cached input, by name) go before the package's own
    table.

    Raises:
        UsageError: the name has no provider, or the provider is unknown.
        ModelError: a package, a key or a file that the model needs is missing.
    """
    backend = _open(name, base_url, timeout)
    own = (prices or {}).get(name)
    if own:
        backend.prices = own
    elif backend.prices is None:
        backend.prices = _list_price(name, base_url)
    return backend


def _open(name: str, base_url: str | None, timeout: float) -> Backend:
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
        return open_openai(name, model, _address(name, base_url), timeout=timeout)
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
    prices: Sequence[float] | None = None,
) -> Backend:
    """Open a model of OpenAI, or of any server that speaks its protocol at `base_url`."""
    from pydantic import SecretStr

    from .completions import ChatCompletions

    key = key or os.environ.get("OPENAI_API_KEY")
    if not key and not base_url:
        raise ModelError(
            f"{name} needs a key: set OPENAI_API_KEY, or give the address of your own server "
            "with --base-url"
        )
    chat = ChatCompletions(
        model=model,
        base_url=base_url,
        api_key=SecretStr(key or "none"),
        max_retries=0,  # the gateway retries, and counts it
        timeout=timeout,
        http_socket_options=(),  # otherwise LangChain warns of proxies
        stream_usage=True,
    )
    return Backend(
        name=name,
        chat=chat,
        endpoint=base_url or "",
        identity=digest(without_secrets(base_url)) if base_url else "",
        concurrency=concurrency,
        sampling=sampling or {},
        prices=prices,
        close=chat.close,
        secrets=_secrets(key),
    )


def _secrets(key: str | None) -> tuple[str, ...]:
    """What must never be written down: the key, and the keys in the environment."""
    named = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
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
    places = (
        getattr(chat, name, None) for name in ("azure_endpoint", "anthropic_api_url", "base_url")
    )
    where = next((str(place) for place in places if place), "")
    return Backend(
        name=name,
        chat=chat,
        identity=digest(without_secrets(where)) if where else "",
        openai_compatible=False,
        secrets=_secrets(None),
    )
