"""Chat models by name: ``provider:model`` to a LangChain chat model, opened when needed."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ModelError, UsageError
from ..plugins import declared, plugin
from .backend import REMOTE_CONCURRENCY, SMALL_MAX_TOKENS, Backend, digest, without_secrets
from .sizes import is_small
from .tables import ModelTable, table_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

FIRST_CONCURRENCY = 8  # from here on the server decides


class Provider(NamedTuple):
    """A provider of LangChain's: the extra with its package ("" where it is always there), and
    the environment variables of which one holds the key (none: it has other ways to log in).
    """

    extra: str
    keys: tuple[str, ...] = ()


PROVIDERS: Mapping[str, Provider] = {
    "anthropic": Provider("anthropic", ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")),
    "anthropic_bedrock": Provider("aws"),
    "azure_ai": Provider("azure"),
    "azure_openai": Provider("", ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN")),
    "baseten": Provider("baseten", ("BASETEN_API_KEY",)),
    "bedrock": Provider("aws"),
    "bedrock_converse": Provider("aws"),
    "bedrock_mantle_anthropic": Provider("aws"),
    "bedrock_mantle_openai": Provider("aws"),
    "cohere": Provider("cohere", ("COHERE_API_KEY", "CO_API_KEY")),
    "deepseek": Provider("deepseek", ("DEEPSEEK_API_KEY",)),
    "fireworks": Provider("fireworks", ("FIREWORKS_API_KEY",)),
    "google_anthropic_vertex": Provider("vertexai"),
    "google_genai": Provider("google", ("GOOGLE_API_KEY", "GEMINI_API_KEY")),
    "google_vertexai": Provider("vertexai"),
    "groq": Provider("groq", ("GROQ_API_KEY",)),
    "huggingface": Provider("huggingface"),
    "ibm": Provider("ibm"),
    "langsmith": Provider("", ("LANGSMITH_GATEWAY_API_KEY", "LANGSMITH_API_KEY")),
    "litellm": Provider("litellm"),
    "meta": Provider("meta"),
    "mistralai": Provider("mistral", ("MISTRAL_API_KEY",)),
    "nvidia": Provider("nvidia", ("NVIDIA_API_KEY",)),
    "ollama": Provider("ollama"),
    "openai": Provider("", ("OPENAI_API_KEY",)),
    "openrouter": Provider("openrouter", ("OPENROUTER_API_KEY",)),
    "perplexity": Provider("perplexity", ("PPLX_API_KEY", "PERPLEXITY_API_KEY")),
    "together": Provider("together", ("TOGETHER_API_KEY",)),
    "upstage": Provider("upstage", ("UPSTAGE_API_KEY",)),
    "xai": Provider("xai", ("XAI_API_KEY",)),
}
OWN = ("local", "scripted")
_NAMELESS = ("local", "azure_openai")  # the packaged model; the environment's deployment

# A request's parameters as some clients call them.
_CALLED: Mapping[str, Mapping[str, str]] = {
    "bedrock_converse": {"max_tokens": "maxTokens", "top_p": "topP"},
    "google_genai": {"max_tokens": "max_output_tokens"},
    "google_vertexai": {"max_tokens": "max_output_tokens"},
}
# How clients that can send headers take them.
_HEADERS = {"anthropic": "default_headers", "azure_openai": "default_headers"}


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is known of a model before it is opened.

    `listed` tells whether the prices are from the package's table; `max_tokens` bounds each
    answer, and `embedded` models run in this process.
    """

    name: str
    prices: tuple[float, float] | None
    listed: bool = False
    concurrency: int = REMOTE_CONCURRENCY
    max_tokens: float = math.inf
    small: bool = False
    embedded: bool = False


def prospect(
    name: str,
    base_url: str | None = None,
    prices: Mapping[str, tuple[float, float]] | None = None,
    tables: Mapping[str, ModelTable] | None = None,
) -> Prospect:
    """Say what is known of the model called `name` without opening it."""
    table = table_of(name, base_url, prices, tables)
    provider, _, model = table.model.partition(":")
    if provider == "local":
        from .local import known

        name, small, slots = known(model, table.slots)
        most = SMALL_MAX_TOKENS if small else table.max_tokens or math.inf
        return Prospect(name, (0.0, 0.0), False, slots, most, small, True)
    small = provider != "scripted" and is_small(model)
    most = SMALL_MAX_TOKENS if small else table.max_tokens or math.inf
    price = table.prices or ((0.0, 0.0) if provider == "scripted" else _list_price(table))
    listed = price is not None and table.prices is None and provider != "scripted"
    at_once = table.concurrency or REMOTE_CONCURRENCY
    return Prospect(table.model, price, listed, at_once, most, small)


def _list_price(table: ModelTable) -> tuple[float, float] | None:
    """The package's price of a model; another server's price is its own."""
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
    prices: Mapping[str, tuple[float, float]] | None = None,
    tables: Mapping[str, ModelTable] | None = None,
) -> Backend:
    """Open the chat model called `name`: that of a table, or ``provider:model``.

    ``local:`` is the embedded llama.cpp server, ``scripted:FILE`` answers from a file; every
    other provider is one of LangChain's ``init_chat_model``, or a plugin. `prices` (USD per
    million input and output tokens, by name) go before the package's own table.

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


def check_name(name: str, tables: Mapping[str, ModelTable] | None = None) -> None:
    """Refuse the name of a chat model that cannot be right; nothing is opened.

    Raises:
        UsageError: it has no provider, or one that nobody knows, or no model.
    """
    table = table_of(name, tables=tables)
    provider, colon, model = table.model.partition(":")
    if not colon:
        raise UsageError(f"llm = {table.model}: {_unnamed(table.model, tables or {})}")
    known = [*OWN, *PROVIDERS, *declared("llms")]
    if provider not in known:
        near = difflib.get_close_matches(provider, known, n=1)
        hint = f"did you mean {near[0]}:?" if near else f"known are {', '.join(sorted(known))}"
        raise UsageError(f"llm = {table.model}: there is no provider {provider} ({hint})")
    if not model and provider not in _NAMELESS:
        raise UsageError(f"llm = {table.model}: the model's name is missing after {provider}:")


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
    if provider == "openai":
        backend = open_openai(
            table.model,
            model,
            _address(table),
            key=key_of(table),
            headers=headers_of(table),
            timeout=timeout,
        )
        backend.hints = key_hints(table.api_key or "OPENAI_API_KEY")
    elif provider in PROVIDERS:
        backend = _open_other(table, provider, timeout)
    else:
        backend = _open_plugin(table.model, provider, model)
    backend.small = is_small(model)
    return backend


def _unnamed(name: str, tables: Mapping[str, ModelTable]) -> str:
    """What to write in place of a name without a provider."""
    if near := difflib.get_close_matches(name, tables, n=1):
        return f"there is no table [llm.{name}] (did you mean {near[0]}?)"
    return (
        "write provider:model, for example openai:gpt-4o-mini, or local: for the embedded model, "
        "or the name of a table [llm.NAME] in lift.toml"
    )


def key_of(table: ModelTable) -> str | None:
    """The key in the environment variable that a table names, None if it names none.

    Raises:
        ModelError: the variable is not set.
    """
    return _variable(table.api_key, table.model) if table.api_key else None


def headers_of(table: ModelTable) -> dict[str, str]:
    """The headers of a table, with their values from the environment.

    Raises:
        ModelError: a variable is not set.
    """
    return {name: _variable(variable, table.model) for name, variable in table.headers.items()}


def _variable(name: str, model: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ModelError(f"{model} needs the environment variable {name}, which is not set")
    return value


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
    prices: tuple[float, float] | None = None,
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
        default_headers=headers or None,
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
        secrets=secrets_of(key, *(headers or {}).values()),
    )


def key_hints(*variables: str) -> dict[int, str]:
    """What to do where a server refuses the key (HTTP 401)."""
    return {401: f"set {' or '.join(variables)} to a key of this server"} if variables else {}


def secrets_of(*given: str | None) -> tuple[str, ...]:
    """What must never be written down: what is given, and the keys in the environment."""
    named = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
    found = {value for name, value in os.environ.items() if name.endswith(named)}
    return tuple(sorted(value for value in {*found, *map(str, given)} if len(value) >= 6))


def _open_other(table: ModelTable, provider: str, timeout: float) -> Backend:
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
    return Backend(
        name=table.model,
        chat=chat,
        identity=digest(without_secrets(where)) if where else "",
        openai_compatible=False,
        called=_CALLED.get(provider, {}),
        secrets=secrets_of(key, *headers.values()),
        hints=key_hints(*([table.api_key] if table.api_key else known.keys)),
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


def _open_plugin(name: str, provider: str, model: str) -> Backend:
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
    return Backend(name=name, chat=chat, openai_compatible=False, secrets=secrets_of())
