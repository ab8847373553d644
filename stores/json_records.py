"""From the lines of a file to its JSON records, each with the line at which it starts.

JSONL is streamed. In a JSON array each element is read by itself, so that a broken one costs
nothing but itself: reading goes on at the next that decodes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from .forms import CONVERSATIONS, EXCERPT, LOOK, form_of

_MAX_DEPTH = 100
_BLOCK = 1 << 18
_SPACE = re.compile(r"[ \t\r\n]*")
_ARRAY = re.compile(r"\[\s*(?:[{\]]|$)")
_ARRAY_END = re.compile(r"\]\s*\Z")
_WRAPPED_END = re.compile(r"\]\s*[,}]")
_KEY = re.compile(r'\s*,?\s*"((?:[^"\\]|\\.)*)"\s*:\s*')
_LIST = re.compile(r"\[\s*\{")
_OBJECT_START = re.compile(r'(?:\n(?P<indent>[ \t]*)|[,}\]][ \t]*)(?=\{\s*["}])')
_BAD_BYTE = re.compile("[\udc80-\udcff]")  # what surrogateescape makes of invalid UTF-8
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Record(NamedTuple):
    """A JSON value of a file; `problem` is set if it cannot be used whatever its form."""

    line: int
    raw: str
    value: Any = None
    problem: str = ""


class _Place(NamedTuple):
    """A place in a file: line and column count from 1, `byte` is the offset in the line."""

    line: int = 1
    column: int = 1
    byte: int = 0

    def after(self, text: str) -> _Place:
        lines = text.count("\n")
        last = text[text.rfind("\n") + 1 :] if lines else text
        width = len(last.encode("utf-8", "surrogateescape"))
        if lines:
            return _Place(self.line + lines, 1 + len(last), width)
        return _Place(self.line, self.column + len(last), self.byte + width)


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:EXCERPT]} is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_reject_constant, parse_float=_finite)
_LENIENT = json.JSONDecoder(parse_int=str, parse_float=str)


def records(lines: Iterator[str]) -> Iterator[Record]:
    """Yield the records of a file: a JSON array, an object around one, or JSONL."""
    start: list[str] = []
    filled: list[str] = []  # the first two lines that are not blank
    for line in lines:
        start.append(line)
        filled += [line.strip()] if line.strip() else []
        if len(filled) > 1:
            break
    head = filled[0] if filled else ""
    unfinished = head[-1:] in tuple("{[,:")  # no line of JSONL ends like this
    if _ARRAY.match(head):
        text = "".join(chain(start, lines))
        yield from _elements(text, text.index("[") + 1, _ARRAY_END)
        return
    if head.startswith("{") and (unfinished or len(filled) == 1):
        text = "".join(chain(start, lines))
        inside = _wrapped_list(text)
        if inside is not None:
            yield from _elements(text, inside, _WRAPPED_END)
            return
        if unfinished:
            yield from _elements(text, 0, None)
            return
    for number, line in enumerate(chain(start, lines), 1):
        if line.strip():
            yield _line(line, number)


def _line(line: str, number: int) -> Record:
    start = _skip(line, 0)
    place = _Place(number).after(line[:start])
    record, end = _value(line, start, place)
    if end is None or record.problem or (rest := _skip(line, end)) == len(line):
        return record
    problem = _not_json("Extra data", place.after(line[start:rest]))
    return Record(number, line, problem=problem)


def _wrapped_list(text: str) -> int | None:
    """Return where the first element of the only list of objects in a JSON object is."""
    found = None
    at = text.index("{") + 1
    while key := _KEY.match(text, at):
        at = key.end()
        if key[1] in ("instruction", *CONVERSATIONS):
            return None
        if _LIST.match(text, at):
            if found is not None:
                return None
            found = at + 1
        decoded = _decoded(text, at)
        if decoded is None:
            break
        at = decoded[1]
    return found


def _elements(text: str, at: int, closing: re.Pattern[str] | None) -> Iterator[Record]:
    """Yield the elements of a list, or the values of a text if nothing is to close it.

    Whatever is wrong between the elements is a record with a problem of its own.
    """
    place = _Place().after(text[:at])
    ready, started = True, False  # whether an element may come here; whether one came
    while True:
        start = _skip(text, at)
        indent = text[at:start].rpartition("\n")[2]
        place, at = place.after(text[at:start]), start
        if at > _BLOCK:  # JSONDecodeError counts the lines from the start of its text
            text, at = text[at:], 0
        found = text[at : at + 1]
        here = text[at : at + LOOK]
        if not found:
            if closing:
                yield Record(place.line, here, problem=_not_json("the list has no end", place))
            return
        if closing and closing.match(text, at):
            if ready and started:
                yield Record(place.line, here, problem=_not_json("trailing comma", place))
            return
        if found == "," and not ready:
            ready, place, at = True, place.after(found), at + 1
            continue
        if not ready:
            problem = _not_json("expected a comma or the end of the list", place)
            yield Record(place.line, here, problem=problem)
        end = None
        if ready or found == "{":
            record, end = _value(text, at, place)
            yield record
        ready, started = end is None or closing is None, True
        if end is None:
            end = _resume(text, at, indent if len(indent) == place.column - 1 else None)
            if end is None:
                return
        place, at = place.after(text[at:end]), end


def _resume(text: str, at: int, indent: str | None) -> int | None:
    """Return where the next element starts after a broken one.

    It is an object that can be decoded. As it could also be a part of the broken element, it has
    to be of a known form, or on a line of its own, indented like the broken one (`indent`).
    """
    rest, cut = text, 0
    for start in _OBJECT_START.finditer(text, at):
        margin = start["indent"]
        on_lines = indent is not None and margin is not None
        if on_lines and text[at] == "{" and len(margin) > len(indent or ""):
            continue
        if start.end() - cut > _BLOCK:
            rest, cut = text[start.end() :], start.end()
        decoded = _decoded(rest, start.end() - cut)
        if decoded and ((on_lines and margin == indent) or form_of(decoded[0])):
            return start.end()
    return None


def _value(text: str, at: int, place: _Place) -> tuple[Record, int | None]:
    """Return the JSON value at `at` as a record, and its end: None if that is unknown."""
    value, problem, looked = None, "", at
    end: int | None = None
    try:
        value, end = _DECODER.raw_decode(text, at)
        problem = _unwritable(text[at:end], value)
    except json.JSONDecodeError as error:
        looked = error.pos + 1
        problem = _not_json(error.msg, place.after(text[at : error.pos]))
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:
        problem = f"not JSON: {error}"
        end = (_decoded(text, at) or (None, None))[1]
    bad = _BAD_BYTE.search(text, at, looked if end is None else end)
    if bad:
        spot = place.after(text[at : bad.start()])
        problem = (
            f"invalid UTF-8: byte 0x{ord(bad[0]) - 0xDC00:02x} "
            f"at byte offset {spot.byte} of line {spot.line}"
        )
    raw = text[at : at + LOOK] if end is None else text[at:end]
    return Record(place.line, raw, value, problem), end


def _decoded(text: str, at: int) -> tuple[Any, int] | None:
    """Return the JSON value at `at` and its end, whatever its numbers, if there is one."""
    try:
        return _LENIENT.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _not_json(message: str, place: _Place) -> str:
    return f"not JSON: {message} (line {place.line}, column {place.column})"


def _unwritable(raw: str, value: Any) -> str:
    """Return why a value that was decoded could not be written back, or nothing."""
    depth, level = 0, [value]
    while level := [child for item in level for child in _children(item)]:
        depth += 1
        if depth > _MAX_DEPTH:
            return f"nested too deeply: more than {_MAX_DEPTH} levels"
    if isinstance(value, dict) and _SURROGATE.search(raw):
        for key, column in value.items():
            try:
                json.dumps({key: column}, ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                code = ord(error.object[error.start])
                return f"{key!r} holds the lone surrogate \\u{code:04x}, which is not UTF-8"
    return ""


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
