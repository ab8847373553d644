"""From the text of a file to its JSON records, each with the place at which it starts.

JSONL is read line by line, a JSON array through a window that moves over it: neither is ever
whole in memory. In an array each element is read by itself, so that a broken one costs nothing
but itself: reading goes on at the next that decodes.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from .containers import LONGEST, Stream, decoded, head_lines, lines
from .conversations import CONVERSATIONS
from .exact_json import DECODER, children, dumps
from .forms import form_of
from .record import BAD_BYTE, Place, Record, invalid_utf8
from .texts import LOOK

MAX_DEPTH = 100
_BLOCK = 1 << 18
_SPACE = re.compile(r"[ \t\r\n]*")
_ARRAY = re.compile(r"\[\s*(?:[{\]]|$)")
_ARRAY_END = re.compile(r"\]\s*\Z")
_WRAPPED_END = re.compile(r"\]\s*[,}]")
_KEY = re.compile(r'\s*,?\s*"((?:[^"\\]|\\.)*)"\s*:\s*')
_LIST = re.compile(r"\[\s*\{")
_OBJECT_START = re.compile(r'(?:\n(?P<indent>[ \t]*)|[,}\]][ \t]*)(?=\{\s*["}])')
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LENIENT = json.JSONDecoder(parse_int=str, parse_float=str)


class _Window:
    """The part of a text that is looked at: it is dropped in front and grows at its end."""

    def __init__(self, stream: Stream) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        blocks = iter(lambda: stream.read(_BLOCK), b"")
        self._texts = (decoder.decode(block) for block in blocks)
        self.text = ""
        self.ended = False
        self.reach(1)
        self.text = self.text.removeprefix("\ufeff")

    def reach(self, size: int) -> None:
        """Have at least so many characters, or all that are left."""
        parts, missing = [self.text], size - len(self.text)
        while missing > 0 and not self.ended:
            part = next(self._texts, None)
            if part is None:
                self.ended = True
            else:
                parts.append(part)
                missing -= len(part)
        if len(parts) > 1:
            self.text = "".join(parts)

    def drop(self, size: int) -> None:
        """Forget so many characters in front."""
        self.text = self.text[size:]


def records(stream: Stream) -> Iterator[Record]:
    """Yield the records of a text: a JSON array, an object around one, or JSONL."""
    head, following = _first_lines(stream)
    unfinished = head[-1:] in tuple("{[,:")  # no line of JSONL ends like this
    if _ARRAY.match(head) and not (head[-1] == "}" and is_object(following)):
        window = _Window(stream)
        yield from _Elements(window, window.text.index("[") + 1, _ARRAY_END)
    elif head.startswith("{") and (unfinished or not following):
        window = _Window(stream)
        window.reach(LONGEST)
        inside = _wrapped_list(window)
        if inside is not None:
            yield from _Elements(window, inside, _WRAPPED_END)
        else:
            yield from _Elements(window, 0, None)
    else:
        yield from _line_records(stream)


def structure(stream: Stream) -> str:
    """How the records of a JSON text stand in it."""
    head, _ = _first_lines(stream)
    if _ARRAY.match(head):
        return "JSON array"
    return "JSON" if head.startswith("{") and head[-1:] in tuple("{[,:") else "JSON lines"


def is_object(line: str) -> bool:
    """Whether a line is a JSON object."""
    value = _decoded(line.strip(), 0)
    return value is not None and isinstance(value[0], dict) and value[1] == len(line.strip())


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
    start = _skip(line, 0)
    place = Place(number).after(line[:start])
    record, end = _value(line, start, place)
    if end is None or record.problem or (rest := _skip(line, end)) == len(line):
        return record
    there = place.after(line[start:rest])
    return Record(number, line, problem=_not_json("Extra data", there), fault=there[:2])


def _wrapped_list(window: _Window) -> int | None:
    """Where the first element of the only list of objects in a JSON object is.

    Of a list that is longer than the window it is taken that it is the only one.
    """
    text, found = window.text, None
    at = text.index("{") + 1
    while key := _KEY.match(text, at):
        at = key.end()
        if key[1] in ("instruction", *CONVERSATIONS):
            return None
        if _LIST.match(text, at):
            if found is not None:
                return None
            found = at + 1
        value = _decoded(text, at)
        if value is None:
            break
        at = value[1]
    return found


class _Elements:
    """The elements of a list, or the values of a text if nothing is to close it.

    Whatever is wrong between the elements is a record with a problem of its own.
    """

    def __init__(self, window: _Window, at: int, closing: re.Pattern[str] | None) -> None:
        self._window, self._at, self._closing = window, at, closing
        self._place = Place().after(window.text[:at])
        self._indent = ""  # what is before the place on its line, if that is space only

    def __iter__(self) -> Iterator[Record]:
        ready, started = True, False  # whether an element may come here; whether one came
        while found := self._found():
            if self._closing and self._closing.match(self._window.text, self._at):
                if ready and started:
                    yield self._wrong("trailing comma")
                return
            if found == "," and not ready:
                ready = True
                self._move(self._at + 1)
                continue
            if not ready:
                yield self._wrong("expected a comma or the end of the list")
            end = None
            if ready or found == "{":
                record, end = self._value()
                yield record
            ready, started = end is None or self._closing is None, True
            if end is not None:
                self._move(end)
            elif not self._resume():
                return
        if self._closing:
            yield self._wrong("the list has no end")

    def _found(self) -> str:
        """The next character that is no space, at which the place then is; "" at the end."""
        window = self._window
        while True:
            start = _skip(window.text, self._at)
            gap = window.text[self._at : start]
            whole_line = "\n" in gap or self._place.column == 1
            self._indent = gap.rpartition("\n")[2] if whole_line else self._indent + gap
            self._move(start)
            if self._at > _BLOCK:  # JSONDecodeError counts the lines from the start of its text
                window.drop(self._at)
                self._at = 0
            if len(window.text) - self._at >= _BLOCK or window.ended:
                return window.text[self._at : self._at + 1]
            window.reach(self._at + 2 * _BLOCK)

    def _move(self, at: int) -> None:
        self._place = self._place.after(self._window.text[self._at : at])
        self._at = at

    def _wrong(self, message: str) -> Record:
        here, place = self._window.text[self._at : self._at + LOOK], self._place
        problem = _not_json(message, place)
        return Record(place.line, here, None, problem, place.column, place[:2])

    def _value(self) -> tuple[Record, int | None]:
        window, at = self._window, self._at
        record, end = _value(window.text, at, self._place)
        unsure = (end is None or end == len(window.text)) and not window.ended
        if unsure and len(window.text) - at < LONGEST:  # it may go on behind the window
            window.reach(at + 2 * LONGEST)
            return _value(window.text, at, self._place)
        return record, end

    def _resume(self) -> bool:
        """Move to the next element after a broken one; False if there is none."""
        margin = self._indent if len(self._indent) == self._place.column - 1 else None
        while (end := _resumed(self._window, self._at, margin)) is None:
            if self._window.ended:
                return False
            self._move(len(self._window.text) - LONGEST)
            self._window.drop(self._at)
            self._at = 0
        self._move(end)
        return True


def _resumed(window: _Window, at: int, indent: str | None) -> int | None:
    """Return where the next element starts after a broken one.

    It is an object that can be decoded. As it could also be a part of the broken element, it has
    to be of a known form, or on a line of its own, indented like the broken one (`indent`).
    """
    if not window.ended:
        window.reach(at + LONGEST + _BLOCK)
    text = window.text
    limit = len(text) if window.ended else len(text) - LONGEST
    rest, cut = text, 0
    for start in _OBJECT_START.finditer(text, at):
        if start.end() > limit:
            break
        margin = start["indent"]
        on_lines = indent is not None and margin is not None
        if on_lines and text[at] == "{" and len(margin) > len(indent or ""):
            continue
        if start.end() - cut > _BLOCK:
            rest, cut = text[start.end() : start.end() + LONGEST], start.end()
        value = _decoded(rest, start.end() - cut)
        if value and ((on_lines and margin == indent) or form_of(value[0])):
            return start.end()
    return None


def _value(text: str, at: int, place: Place) -> tuple[Record, int | None]:
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
        problem = _not_json(error.msg, spot)
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:
        problem = f"not JSON: {error}"
        end = (_decoded(text, at) or (None, None))[1]
    bad = BAD_BYTE.search(text, at, looked if end is None else end)
    if bad:
        spot = place.after(text[at : bad.start()])
        problem = invalid_utf8(bad[0], spot)
    raw = text[at : at + LOOK] if end is None else text[at:end]
    fault = spot[:2] if problem else None
    return Record(place.line, raw, value, problem, place.column, fault), end


def _decoded(text: str, at: int) -> tuple[Any, int] | None:
    """Return the JSON value at `at` and its end, whatever its numbers, if there is one."""
    try:
        return _LENIENT.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _not_json(message: str, place: Place) -> str:
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
