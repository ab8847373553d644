"""The texts of a record: what may stand where a text belongs, and why it may not."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

LONGEST_TEXT = 1_000_000  # characters
EXCERPT = 120  # characters of a record that are shown
LOOK = 4 * EXCERPT

_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f]")  # all but tabs and the ends of lines and pages
_TYPES = {bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
_TYPES |= {type(None): "null"}


class UnusableError(Exception):
    """A record that cannot be used: why, and the column at fault."""

    def __init__(self, reason: str, key: str = "") -> None:
        super().__init__(reason)
        self.key = key


def text_of(record: Mapping[str, Any], key: str, name: str = "", where: str = "") -> str:
    """The text under a key, which is not empty."""
    text = checked(record.get(key), name or key, where, key)
    if not text or text.isspace():
        raise UnusableError(f"empty {name or key}{where}", key)
    return text


def input_of(record: Mapping[str, Any], where: str = "") -> str:
    """The text under `input`, which may be missing or empty."""
    value = record.get("input")
    return "" if value is None else checked(value, "input", where, "input")


def checked(value: Any, name: str, where: str = "", key: str = "") -> str:
    """A text that can be used, whatever it says."""
    if value.__class__ is not str:
        typed(value, str, f"{name}{where}", key)
    if not value.isprintable() and (found := _CONTROL.search(value)):
        raise UnusableError(
            f"control character: U+{ord(found[0]):04X} in {name}{where}, "
            f"character {found.start() + 1}",
            key,
        )
    if len(value) > LONGEST_TEXT:
        raise UnusableError(
            f"too long: {name}{where} has {len(value):,} characters, more than {LONGEST_TEXT:,}",
            key,
        )
    return value  # type: ignore[no-any-return]


def typed(value: Any, kind: type, name: str, key: str = "") -> Any:
    """A value that is of the wanted kind."""
    if not isinstance(value, kind):
        raise UnusableError(
            f"wrong type: {name} is {type_name(value)}, not {_TYPES[kind]}", key or name
        )
    return value


def type_name(value: Any) -> str:
    """The JSON type of a value in words."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return _TYPES.get(type(value), "a number")


def excerpt(raw: str | bytes) -> str:
    """The beginning of a text on one line, whatever its bytes."""
    if isinstance(raw, str):
        raw = raw[:LOOK].encode("utf-8", "surrogateescape")
    return " ".join(raw[: 4 * LOOK].decode("utf-8", "replace")[:LOOK].split())[:EXCERPT]
