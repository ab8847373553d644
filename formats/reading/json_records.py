"""From the text of a file to its JSON records, each with the place at which it starts.

JSONL is read line by line, a JSON array through a window (`json_elements`): neither is ever whole
in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from ...stores.exact_json import children
from .containers import LONGEST, Stream, decoded, head_lines, lines
from .conversations import CONVERSATIONS
from .forms import PROMPTS
from .json_elements import Elements, Window
from .json_values import MAX_DEPTH, decoded_at, is_object, not_json, skip, value_at
from .record import Place, Record
from .texts import LOOK

_ARRAY = re.compile(r"\[\s*(?:[{\]]|$)")
_ARRAY_END = re.compile(r"\]\s*\Z")
_WRAPPED_END = re.compile(r"\]\s*[,}]")
_KEY = re.compile(r'\s*,?\s*"((?:[^"\\]|\\.)*)"\s*:\s*')
_LIST = re.compile(r"\[\s*\{")


def records(stream: Stream) -> Iterator[Record]:
    """Yield the records of a text: a JSON array, an object around one, or JSONL."""
    head, following = _first_lines(stream)
    unfinished = head[-1:] in tuple("{[,:")  # no line of JSONL ends like this
    if _is_array(head, following):
        window = Window(stream)
        yield from Elements(window, window.text.index("[") + 1, _ARRAY_END)
    elif head.startswith("{") and (unfinished or not following):
        window = Window(stream)
        window.reach(LONGEST)
        inside = _wrapped_list(window)
        if inside is not None:
            yield from Elements(window, inside, _WRAPPED_END)
        else:
            yield from Elements(window, 0, None)
    else:
        yield from _line_records(stream)


def structure(stream: Stream) -> str:
    """How the records of a JSON text stand in it."""
    head, following = _first_lines(stream)
    if _is_array(head, following):
        return "JSON array"
    return "JSON" if head.startswith("{") and head[-1:] in tuple("{[,:") else "JSON lines"


def _is_array(head: str, following: str) -> bool:
    """Whether a text is an array, rather than JSONL with a stray bracket."""
    return bool(_ARRAY.match(head)) and not (head[-1] == "}" and is_object(following))


def _first_lines(stream: Stream) -> tuple[str, str]:
    """The first two lines that are not blank, "" for one that is not there."""
    first, second, *_ = [*(line.strip() for line in head_lines(stream)[:2]), "", ""]
    return first, second


def _line_records(stream: Stream) -> Iterator[Record]:
    for number, line in enumerate(lines(stream), 1):
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            if line.strip(b" \t\r"):
                yield _line(line, number)
            continue
        if value.__class__ is dict and len(line) <= LONGEST and _same(value, line):
            yield Record(number, line, value)
        else:
            yield _line(line, number)


def _same(value: dict[str, Any], line: bytes) -> bool:
    """Whether the fast decoder gave what the exact one would: no fractions, no depth."""
    for item in value.values():
        kind = item.__class__
        if kind is float or ((kind is list or kind is dict) and not _flat(item, 2)):
            return False
    return b"-0" not in line


def _flat(value: Any, depth: int) -> bool:
    for item in children(value):
        kind = item.__class__
        if kind is float or (
            (kind is list or kind is dict) and (depth == MAX_DEPTH or not _flat(item, depth + 1))
        ):
            return False
    return True


def _line(raw: bytes, number: int) -> Record:
    if len(raw) > LONGEST:
        problem = f"too long: the record has more than {LONGEST:,} bytes"
        return Record(number, raw[:LOOK], problem=problem)
    line = decoded(raw)
    start = skip(line, 0)
    place = Place(number).after(line[:start])
    record, end = value_at(line, start, place)
    if end is None or record.problem or (rest := skip(line, end)) == len(line):
        return record
    there = place.after(line[start:rest])
    return Record(number, line, problem=not_json("Extra data", there), fault=there[:2])


def _wrapped_list(window: Window) -> int | None:
    """Where the first element of the only list of objects in a JSON object is.

    Of a list that is longer than the window it is taken that it is the only one.
    """
    text, found = window.text, None
    at = text.index("{") + 1
    while key := _KEY.match(text, at):
        at = key.end()
        if key[1] in (*PROMPTS, *CONVERSATIONS):
            return None
        if _LIST.match(text, at):
            if found is not None:
                return None
            found = at + 1
        value = decoded_at(text, at)
        if value is None:
            break
        at = value[1]
    return found
