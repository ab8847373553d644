"""Reading instruction datasets: JSONL or JSON, gzipped or not, in the forms people publish.

A file passes three steps: its lines become text, the text becomes JSON records with the line at
which each starts, and each record becomes rows, or a `Rejected` that says why not. What a file
is, is recognised by its content, never by its name.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import SourceError, UsageError
from ..records import Rejected, Row, row_id

_OUTPUTS = ("output", "response", "completion")
_CONVERSATIONS = ("messages", "conversations")
_FORMS = (
    "Alpaca (instruction, output), Self-Instruct (instruction, instances), "
    "OpenAI (messages) and ShareGPT (conversations)"
)
_ROLES = {"system": "system"}
_ROLES |= dict.fromkeys(("user", "human"), "user")
_ROLES |= dict.fromkeys(("assistant", "gpt", "chatgpt", "bard", "bing", "model"), "assistant")
_TYPES = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
_TYPES |= {dict: "an object", type(None): "null"}

_EXCERPT = 120
_LOOK = 4 * _EXCERPT
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


class _UnusableError(Exception):
    """A record that cannot be used; its message is the reason."""


class _Record(NamedTuple):
    """A JSON value of a file; `problem` is set if it cannot be used whatever its form."""

    line: int
    raw: str
    value: Any = None
    problem: str = ""


class _Example(NamedTuple):
    """What a record holds for a row, before the row has its place and id."""

    instruction: str
    input: str
    output: str
    extra: Mapping[str, Any]
    system: str = ""
    history: tuple[tuple[str, str], ...] = ()


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


def read_rows(paths: Sequence[Path]) -> Iterator[Row | Rejected]:
    """Yield each record of the files in order: a Row, or a Rejected with file, line and reason.

    All the files are opened once before the first is read: a `UsageError` comes at once. A
    `SourceError` is raised at the end of a file that had no usable row.
    """
    for path in paths:
        _open(path).close()
    return _rows(paths)


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with _open(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _rows(paths: Sequence[Path]) -> Iterator[Row | Rejected]:
    position = 0
    copies: Counter[str] = Counter()
    for path in paths:
        first: Rejected | None = None
        usable = False
        for record, example in _examples_of(path):
            if isinstance(example, _Example):
                usable = True
                yield _row(example, position, path, record.line, copies)
            else:
                rejected = Rejected(str(path), record.line, example, _excerpt(record.raw))
                first = first or rejected
                yield rejected
            position += 1
        if usable:
            continue
        if first is None:
            raise SourceError(f"{path} holds no record: give a file with JSONL or a JSON array.")
        raise SourceError(
            f"{path} has no usable row, correct it or name another file: "
            f"on line {first.line}, {first.reason}."
        )


def _row(example: _Example, position: int, path: Path, line: int, copies: Counter[str]) -> Row:
    def identify(occurrence: int) -> str:
        texts = (example.instruction, example.input, example.output)
        return row_id(*texts, example.system, example.history, occurrence)

    first_id = identify(0)
    occurrence = copies[first_id]
    copies[first_id] += 1
    return Row(
        id=identify(occurrence) if occurrence else first_id,
        position=position,
        source=str(path),
        line=line,
        **example._asdict(),
    )


def _examples_of(path: Path) -> Iterator[tuple[_Record, _Example | str]]:
    for record in _records(_lines(path)):
        for example in [record.problem] if record.problem else _examples(record.value):
            yield record, example


def _excerpt(raw: str) -> str:
    readable = raw[:_LOOK].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join(readable.split())[:_EXCERPT]


# From the file to text


def _open(path: Path) -> BufferedReader:
    try:
        if not path.exists():
            raise UsageError(f"{path} does not exist: check the name of the file.")
        if not path.is_file():
            raise UsageError(f"{path} is not a file: name the files that are to be read.")
        return path.open("rb")
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"{path} cannot be opened ({why}): check its permissions.") from error


def _lines(path: Path) -> Iterator[str]:
    with _open(path) as file:
        zipped = file.peek(2)[:2] == b"\x1f\x8b"
        try:
            for line in gzip.GzipFile(fileobj=file) if zipped else file:
                yield line.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(
                f"{path} is damaged or cannot be read to its end, fetch it again: {error}."
            ) from error


# From text to JSON records


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:_EXCERPT]} is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_reject_constant, parse_float=_finite)
_LENIENT = json.JSONDecoder(parse_int=str, parse_float=str)


def _records(lines: Iterator[str]) -> Iterator[_Record]:
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


def _line(line: str, number: int) -> _Record:
    start = _skip(line, 0)
    place = _Place(number).after(line[:start])
    record, end = _value(line, start, place)
    if end is None or record.problem or (rest := _skip(line, end)) == len(line):
        return record
    problem = _not_json("Extra data", place.after(line[start:rest]))
    return _Record(number, line, problem=problem)


def _wrapped_list(text: str) -> int | None:
    """Return where the first element of the only list of objects in a JSON object is."""
    found = None
    at = text.index("{") + 1
    while key := _KEY.match(text, at):
        at = key.end()
        if key[1] in ("instruction", *_CONVERSATIONS):
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


def _elements(text: str, at: int, closing: re.Pattern[str] | None) -> Iterator[_Record]:
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
        here = text[at : at + _LOOK]
        if not found:
            if closing:
                yield _Record(place.line, here, problem=_not_json("the list has no end", place))
            return
        if closing and closing.match(text, at):
            if ready and started:
                yield _Record(place.line, here, problem=_not_json("trailing comma", place))
            return
        if found == "," and not ready:
            ready, place, at = True, place.after(found), at + 1
            continue
        if not ready:
            problem = _not_json("expected a comma or the end of the list", place)
            yield _Record(place.line, here, problem=problem)
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
        if decoded and ((on_lines and margin == indent) or _form(decoded[0])):
            return start.end()
    return None


def _value(text: str, at: int, place: _Place) -> tuple[_Record, int | None]:
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
    raw = text[at : at + _LOOK] if end is None else text[at:end]
    return _Record(place.line, raw, value, problem), end


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


# From JSON records to examples


def _form(record: Any) -> str:
    """Name the form of a record: `alpaca`, or the column that holds its texts, or nothing."""
    if not isinstance(record, dict):
        return ""
    filled = {key for key, value in record.items() if value is not None}
    instructed = "instruction" in filled
    if instructed and not filled.isdisjoint(_OUTPUTS):
        return "alpaca"
    for column in _CONVERSATIONS:
        if column in filled:
            return column
    if instructed:
        return "instances" if "instances" in filled else "alpaca"
    return ""


def _examples(value: Any) -> list[_Example | str]:
    """Return the examples of a record, each replaced by the reason if it cannot be used."""
    form = _form(value)
    if form == "instances" and isinstance(value["instances"], list) and value["instances"]:
        return [_attempt(_instance, value, index) for index in range(len(value["instances"]))]
    return [_attempt(_single, value, form)]


def _attempt(read: Callable[..., _Example], *args: Any) -> _Example | str:
    try:
        return read(*args)
    except _UnusableError as error:
        return str(error)


def _single(value: Any, form: str) -> _Example:
    if not isinstance(value, dict):
        raise _UnusableError(f"not an object but {_TYPES[type(value)]}")
    if form == "alpaca":
        return _alpaca(value)
    if form in _CONVERSATIONS:
        return _conversation(value, form)
    if form == "instances":
        _typed(value["instances"], list, "instances")
        raise _UnusableError("missing output: instances is empty")
    answered = not value.keys().isdisjoint((*_OUTPUTS, "instances"))
    keys = _excerpt(", ".join(value)) or "none"
    problem = "missing instruction" if answered else "unknown form"
    raise _UnusableError(f"{problem}: the keys are {keys}; the known forms are {_FORMS}")


def _alpaca(record: Mapping[str, Any]) -> _Example:
    instruction = _text(record.get("instruction"), "instruction")
    output, key = _output(record)
    used = ("instruction", "input", key)
    return _Example(instruction, _input(record), output, _without(record, used))


def _instance(record: Mapping[str, Any], index: int) -> _Example:
    instruction = _text(record.get("instruction"), "instruction")
    where = f"instances[{index}]"
    instance = _typed(record["instances"][index], dict, where)
    output, key = _output(instance, f" of {where}")
    text = _input(instance, f" of {where}")
    columns = _without(record, ("instruction", "instances"))
    extra = columns | _without(instance, ("input", key)) | columns  # the columns first, and last
    return _Example(instruction, text, output, extra)


def _conversation(record: Mapping[str, Any], column: str) -> _Example:
    turns = [
        _turn(turn, f"{column}[{index}]")
        for index, turn in enumerate(_typed(record[column], list, column))
    ]
    led = bool(turns) and turns[0][0] == "system"
    system = turns.pop(0)[1] if led else ""
    for index, (role, _) in enumerate(turns):
        expected = ("user", "assistant")[index % 2]
        if role != expected:
            where = f"{column}[{index + led}]"
            raise _UnusableError(f"turns do not alternate: {where} is {role}, not {expected}")
    if len(turns) % 2 and len(turns) > 1:
        turns.pop()
    if len(turns) < 2:
        missing = "output" if turns else "instruction"
        raise _UnusableError(f"missing {missing}: {column} has no complete turn")
    texts = [
        _text(text, "instruction" if role == "user" else "output", f" in turn {index // 2 + 1}")
        for index, (role, text) in enumerate(turns)
    ]
    *history, (instruction, output) = zip(texts[::2], texts[1::2], strict=True)
    return _Example(instruction, "", output, dict(record), system, tuple(history))


def _turn(turn: Any, where: str) -> tuple[str, str]:
    _typed(turn, dict, where)
    role_key = "role" if "role" in turn else "from"
    text_key = "content" if "content" in turn else "value"
    role = _typed(turn.get(role_key), str, f"{where}.{role_key}")
    if role not in _ROLES:
        raise _UnusableError(
            f"{where} has the role {_excerpt(role)!r}, not one of {', '.join(_ROLES)}"
        )
    return _ROLES[role], _content(turn.get(text_key), f"{where}.{text_key}")


def _content(content: Any, where: str) -> str:
    if not isinstance(content, list):
        return str(_typed(content, str, where))
    for index, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise _UnusableError(f"wrong type: {where}[{index}] is not a text part")
        _typed(part.get("text"), str, f"{where}[{index}].text")
    return "".join(part["text"] for part in content)


def _output(record: Mapping[str, Any], where: str = "") -> tuple[str, str]:
    """Return the output and the key under which it was found."""
    for key in _OUTPUTS:
        if record.get(key) is not None:
            name = "output" if key == "output" else f"output ({key})"
            return _text(record[key], name, where), key
    raise _UnusableError(f"missing output{where}: none of {', '.join(_OUTPUTS)}")


def _input(record: Mapping[str, Any], where: str = "") -> str:
    value = record.get("input")
    return "" if value is None else str(_typed(value, str, f"input{where}"))


def _text(value: Any, name: str, where: str = "") -> str:
    text = str(_typed(value, str, f"{name}{where}"))
    if not text.strip():
        raise _UnusableError(f"empty {name}{where}")
    return text


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise _UnusableError(f"wrong type: {name} is {_TYPES[type(value)]}, not {_TYPES[kind]}")
    return value


def _without(record: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in keys}
