"""Prices of tokens: those that hosted models are listed with, and what tokens cost at them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

_LIST = "genai-prices"  # a package, which comes with its data: nothing is fetched
_PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "cohere": "cohere",
    "fireworks": "fireworks",
    "google_genai": "google",
    "groq": "groq",
    "mistralai": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "together": "together",
    "xai": "x-ai",
}
_SNAPSHOT = re.compile(r"-\d{4}(-?)\d{2}\1\d{2}$")
_WRITING = 1.25  # what tokens that are put into a provider's cache cost more


@cache
def price_of(name: str) -> tuple[float, ...] | None:
    """USD per million tokens of ``provider:model``: input, output, and input that the provider
    had in its cache, of short prompts that are sent singly; None if it is not listed.

    A dated snapshot (``openai:gpt-4o-mini-2024-07-18``, ``anthropic:claude-haiku-4-5-20251001``)
    has the price of its model, unless it is listed with its own.
    """
    provider, _, model = name.partition(":")
    found = _listed(provider, model)
    if found is None:
        return None
    named = found.model.id in (model, _SNAPSHOT.sub("", model))
    if not named and _listed(provider, f"{model}-other"):
        return None  # by a rule that takes any name with this beginning
    prices = found.model_price
    read, wrote, cached = (
        _short(getattr(prices, f"{kind}_mtok")) for kind in ("input", "output", "cache_read")
    )
    if read is None:
        return None
    return (read, wrote or 0.0) if cached is None else (read, wrote or 0.0, cached)


def listed_in() -> str:
    """Name and version of the list that prices are from."""
    return f"{_LIST} {version(_LIST)}"


def usd(
    prices: Sequence[float] | None,
    input_tokens: int,
    output_tokens: int,
    cached: int = 0,
    written: int = 0,
) -> float | None:
    """USD that tokens cost at prices per million; None if the prices are unknown.

    Of the input tokens, so many came from the provider's cache, or were put into it.
    """
    if prices is None:
        return None
    read, wrote, *rest = prices
    from_cache = rest[0] if rest else read
    spent = (input_tokens - cached - written) * read + cached * from_cache
    return (spent + written * read * _WRITING + output_tokens * wrote) / 1e6


def _listed(provider: str, model: str) -> PriceCalculation | None:
    if provider not in _PROVIDERS:
        return None
    from genai_prices import Usage, calc_price

    try:
        return calc_price(Usage(input_tokens=1), model, provider_id=_PROVIDERS[provider])
    except LookupError:
        return None


def _short(price: Any) -> float | None:
    """A price in USD; where it depends on the prompt's length, that of short ones."""
    return None if price is None else float(getattr(price, "base", price))
