"""Chat models by name: ``provider:model`` or a table's name to a model, opened when needed."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.tables import ModelTable, table_of
from .backend import REMOTE_CONCURRENCY, Backend
from .names import PROVIDERS, check_name
from .secrets import headers_of, key_hints, key_of
from .sizes import is_small

FIRST_CONCURRENCY = 8  # from here on the server decides


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is known of a model before it is opened.

    `listed` tells whether they are list prices; `max_tokens` is what its table
    allows an answer, and `embedded` models run in this process.
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
    tables: Mapping[str, ModelTable] | None = None,
) -> Prospect:
    """Say what is known of the model called `name` without opening it."""
    table = table_of(name, base_url, prices, tables)
    provider, _, model = table.model.partition(":")
    if provider == "local":
        from .local import known

        name, small, slots = known(model, table.slots)
        most = table.max_tokens or math.inf
        return Prospect(name, (0.0, 0.0), False, slots, most, small, True)
    small = provider != "scripted" and is_small(model)
    most = table.max_tokens or math.inf
    price = table.prices or ((0.0, 0.0) if provider == "scripted" else _list_price(table))
    listed = price is not None and table.prices is None and provider != "scripted"
    at_once = table.concurrency or REMOTE_CONCURRENCY
    return Prospect(table.model, price, listed, at_once, most, small)


def _list_price(table: ModelTable) -> Sequence[float] | None:
    """The list price of a model; another server's price is its own."""
    from .prices import price_of

    return None if _address(table) else price_of(table.model)


def _address(table: ModelTable) -> str | None:
    """The address of a model's server, None if it is the provider's own."""
    if table.base_url or not table.model.startswith("openai:"):
        return table.base_url
    return os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")


def open_backend(
    name: str,
    base_url: str | None = None,
    *,
    timeout: float = 120.0,
    prices: Mapping[str, Sequence[float]] | None = None,
    tables: Mapping[str, ModelTable] | None = None,
) -> Backend:
    """Open the chat model called `name`: that of a table, or ``provider:model``.

    ``local:`` is the embedded llama.cpp server, ``scripted:FILE`` answers from a file; every
    other provider is one of LangChain's ``init_chat_model``, or a plugin. `prices` (USD per
    million input and output tokens, by name) go before the list prices.

    Raises:
        UsageError: the name has no provider, or the provider is unknown.
        ModelError: a package, a key or a file that the model needs is missing.
    """
    table = table_of(name, base_url, prices, tables)
    check_name(name, tables)
    backend = _open(table, table.timeout or timeout)
    if table.prices:
        backend.prices = table.prices
    elif backend.prices is None:
        backend.prices = _list_price(table)
    backend.context = table.context or backend.context
    backend.concurrency = table.concurrency or backend.concurrency
    backend.sampling = _merged(backend.sampling, table.sampling)
    return backend


def _merged(sampling: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A backend's parameters with the user's over them."""
    both = {**sampling, **own}
    if "extra_body" in sampling and "extra_body" in own:
        both["extra_body"] = {**sampling["extra_body"], **own["extra_body"]}
    return both


def _open(table: ModelTable, timeout: float) -> Backend:
    provider, _, model = table.model.partition(":")
    if provider == "local":
        from .local import open_local

        return open_local(model, table.context, table.threads, table.slots)
    if provider == "scripted":
        from .scripted import open_scripted

        return open_scripted(table.model, model)
    if provider == "azure_openai":
        from .azure import open_azure

        return open_azure(table, model, timeout)
    from .hosted import open_openai, open_other, open_plugin

    if provider == "openai":
        backend = open_openai(
            table.model,
            model,
            _address(table),
            key=key_of(table),
            headers=headers_of(table),
            timeout=timeout,
        )
        backend.hints = key_hints(table.key_variable or "OPENAI_API_KEY")
    elif provider in PROVIDERS:
        backend = open_other(table, provider, timeout)
    else:
        backend = open_plugin(table.model, provider, model)
    backend.small = is_small(model)
    return backend
