"""What names of chat models there are: LangChain's providers, lift-agent's own, and plugins."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import NamedTuple

from ..config.tables import ModelTable, table_of
from ..errors import UsageError
from ..plugins import declared


class Provider(NamedTuple):
    """A provider of LangChain's: the extra with its package ("" where it is always installed), and
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


def _unnamed(name: str, tables: Mapping[str, ModelTable]) -> str:
    """What to write in place of a name without a provider."""
    if near := difflib.get_close_matches(name, tables, n=1):
        return f"there is no table [llm.{name}] (did you mean {near[0]}?)"
    return (
        "write provider:model, for example openai:gpt-4o-mini, or local: for the embedded model, "
        "or the name of a table [llm.NAME] in lift.toml"
    )
