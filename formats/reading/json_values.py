"""One JSON value in a text: what it is, where it ends, and what is wrong with it."""

from __future__ import annotations

import json
import re
from typing import Any

from ...stores.exact_json import DECODER, children, dumps
from .containers import LONGEST
from .record import BAD_BYTE, Place, Record, invalid_utf8
from .texts import LOOK

MAX_DEPTH = 100
_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LENIENT = json.JSONDecoder(parse_int=str, parse_float=str)


def value_at(text: str, at: int, place: Place) -> tuple[Record, int | None]:
    """Return the JSON value at `at` as a record, and its end: None if that is unknown."""
    value, problem, looked = None, "", at
    spot = place
    end: int | None = None
    try:
        value, end = DECODER.raw_decode(text, at)
        problem = "" if end - at <= LONGEST else f"too long: more than {LONGEST:,} characters"
        problem = problem or _unwritable(text[at:end], value)
    except json.JSONDecodeError as error:
        looked = error.pos + 1
        spot = place.after(text[at : error.pos])
        problem = not_json(error.msg, spot)
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:
        problem = f"not JSON: {error}"
        end = (decoded_at(text, at) or (None, None))[1]
    bad = BAD_BYTE.search(text, at, looked if end is None else end)
    if bad:
        spot = place.after(text[at : bad.start()])
        problem = invalid_utf8(bad[0], spot)
    raw = text[at : at + LOOK] if end is None else text[at:end]
    fault = spot[:2] if problem else None
    return Record(place.line, raw, value, problem, place.column, fault), end


def decoded_at(text: str, at: int) -> tuple[Any, int] | None:
    """Return the JSON value at `at` and its end, whatever its numbers, if there is one."""
    try:
        return _LENIENT.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None


def is_object(line: str) -> bool:
    """Whether a line is a JSON object."""
    value = decoded_at(line.strip(), 0)
    return value is not None and isinstance(value[0], dict) and value[1] == len(line.strip())


def skip(text: str, at: int) -> int:
    """The place of the next character that is no space."""
    space = _SPACE.match(text, at)
    return space.end() if space else at


def not_json(message: str, place: Place) -> str:
    """What is wrong with a text that is no JSON, and where."""
    return f"not JSON: {message} (line {place.line}, column {place.column})"


def _unwritable(raw: str, value: Any) -> str:
    """Return why a value that was decoded could not be written back, or nothing."""
    depth, level = 0, [value]
    while level := [child for item in level for child in children(item)]:
        depth += 1
        if depth > MAX_DEPTH:
            return f"nested too deeply: more than {MAX_DEPTH} levels"
    if isinstance(value, dict) and _SURROGATE.search(raw):
        for key, column in value.items():
            try:
                dumps({key: column}).encode()
            except UnicodeEncodeError as error:
                code = ord(error.object[error.start])
                return f"{key!r} holds the lone surrogate \\u{code:04x}, which is not UTF-8"
    return ""
