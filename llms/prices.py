"""List prices of hosted models, from the dated table beside this file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # the same library, before Python 3.11

_SNAPSHOT = re.compile(r"-\d{4}(-?)\d{2}\1\d{2}$")


def price_of(name: str) -> tuple[float, ...] | None:
    """USD per million tokens of ``provider:model``: input, output, and input that the provider
    had in its cache; None if it is not listed.

    A dated snapshot (``openai:gpt-4o-mini-2024-07-18``, ``anthropic:claude-haiku-4-5-20251001``)
    has the price of its model, unless it is listed with its own.
    """
    provider, _, model = name.partition(":")
    prices = _table().get(provider, {})
    listed = prices.get(model) or prices.get(_SNAPSHOT.sub("", model))
    return tuple(listed) if listed else None


def listed_on() -> str:
    """Month of which the table is."""
    return str(_table()["date"])


def _table() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(
        (Path(__file__).with_suffix(".toml")).read_text(encoding="utf-8")
    )
    return table
