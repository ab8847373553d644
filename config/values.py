"""How the values of settings are written on a command line and in ``lift.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ..records import Mapped

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def _seconds(value: Any) -> Any:
    """Read 2h30m, 90m or 45s; a plain number is seconds."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not any(match.groups()):
        return value
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def _prices(value: Any) -> Any:
    """Read NAME=INPUT,OUTPUT or NAME=INPUT,OUTPUT,CACHED; several are separated by spaces."""
    if not isinstance(value, str):
        return value
    named = [item.rpartition("=") for item in value.split()]
    return {name: pair.split(",") for name, _, pair in named}


def _source(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _columns(value: Any) -> Any:
    """Read TEXT=COLUMN,TEXT=COLUMN."""
    if not isinstance(value, str):
        return value
    named = [item.partition("=") for item in value.split(",") if item.strip()]
    return {name.strip(): column.strip() for name, _, column in named}


Source = Annotated[str, BeforeValidator(_source)]
Columns = Annotated[dict[Mapped, Annotated[str, Field(min_length=1)]], BeforeValidator(_columns)]


def _shares(value: Any) -> Any:
    """Read en,zh (equal shares) or en=0.7,zh=0.3."""
    names = value.split(",") if isinstance(value, str) else value
    if isinstance(names, Mapping):
        return names
    pairs = [str(name).strip().partition("=") for name in names]
    return {name: share if equals else 1 / len(pairs) for name, equals, share in pairs}


Price = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
Language = Annotated[str, Field(pattern="^[a-z]{2}$")]
Share = Annotated[float, Field(gt=0, le=1)]
Shares = Annotated[dict[Language, Share], BeforeValidator(_shares)]
Prices = Annotated[
    dict[str, tuple[Price, Price] | tuple[Price, Price, Price]], BeforeValidator(_prices)
]


def setting_shown(value: object) -> str:
    """A setting's value in a message."""
    return "not set" if value in (None, {}, []) else str(value)
