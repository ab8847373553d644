"""JSON that comes back as it was: numbers keep their spelling, text its characters.

Python reads 1.10 as 1.1 and 1e5 as 100000.0. A number whose spelling Python would not give back
is read as a `Number`, which remembers it, and `dumps` writes it as it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

_SHOWN = 120  # digits of a number that an error shows


class Number(float):
    """A number with the spelling that it had in its file."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Number:
        """Read the number that a text spells."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __reduce__(self) -> tuple[type[Number], tuple[str]]:
        return Number, (self.text,)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:_SHOWN]} is too large")
    return value if repr(value) == text else Number(text)


def _integer(text: str) -> int | float:
    return int(text) if text != "-0" else Number(text)


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_number, parse_int=_integer)
_LOADER = json.JSONDecoder(parse_float=_number, parse_int=_integer)
_ENCODERS = {
    compact: json.JSONEncoder(ensure_ascii=False, separators=(",", ":") if compact else None).encode
    for compact in (False, True)
}


def loads(text: str) -> Any:
    """Read a JSON value that `dumps` wrote."""
    return _LOADER.decode(text)


def dumps(value: Any, *, compact: bool = False) -> str:
    """Write a value as JSON on one line, each `Number` as it was spelled."""
    if not _spelled(value):
        return _ENCODERS[compact](value)
    return _written(value, *((",", ":") if compact else (", ", ": ")))


def children(value: Any) -> Iterable[Any]:
    """The values directly inside an object or a list."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()


def _spelled(value: Any) -> bool:
    return type(value) is Number or any(map(_spelled, children(value)))


def _written(value: Any, comma: str, colon: str) -> str:
    if type(value) is Number:
        return value.text
    if isinstance(value, dict):
        items = (
            f"{_ENCODERS[True](str(key))}{colon}{_written(item, comma, colon)}"
            for key, item in value.items()
        )
        return f"{{{comma.join(items)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{comma.join(_written(item, comma, colon) for item in value)}]"
    return _ENCODERS[True](value)
