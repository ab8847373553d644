"""CSV and TSV: the rows of a table as records, each with the line at which it starts.

A row that is ragged or has an open quote costs nothing but its own line: reading continues at the
next.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...stores.exact_json import DECODER
from ..writing.cells import restored
from .containers import LONGEST, Stream, decoded, head_lines, lines
from .conversations import CONVERSATIONS
from .forms import PROMPTS, Columns, form_of
from .json_values import is_object
from .record import BAD_BYTE, Place, Record, cell_start, invalid_utf8
from .texts import LOOK

_DELIMITERS = {",": "CSV", "\t": "TSV", ";": "CSV", "|": "CSV"}
_STRUCTURED = (*CONVERSATIONS, "instances", "history", "prompt", "completion")
_LONGEST_NAME = 64


class Table(NamedTuple):
    """How a table is written: its delimiter and the names of its columns."""

    delimiter: str
    names: tuple[str, ...]

    @property
    def kind(self) -> str:
        """CSV or TSV."""
        return _DELIMITERS[self.delimiter]


def table_of(
    stream: Stream, columns: Columns | None = None, *, prompts: bool = False
) -> Table | None:
    """Tell whether a text is a table, by its first lines.

    Its first line names columns of a known form or of the user's, or else there are at least two
    names, each once, and as many cells in the second line. Where `prompts` are read it must be the
    former: a plain text has commas too.
    """
    head = head_lines(stream)[:20]
    if not head or head[0].lstrip()[0] in "{[" or any(map(is_object, head)):
        return None
    tables = [Table(delimiter, _names(head[0], delimiter)) for delimiter in _DELIMITERS]
    for table in tables:
        if _known(table.names, columns, prompts=prompts):
            return table
    widest = max(tables, key=lambda table: len(table.names))
    second = len(_names(head[1], widest.delimiter)) if len(head) > 1 else 0
    named = all(name and len(name) <= _LONGEST_NAME for name in widest.names)
    each_once = len(set(widest.names)) == len(widest.names) >= 2
    regular = named and each_once and second == len(widest.names)
    return widest if regular and not prompts else None


def table_records(stream: Stream, table: Table) -> Iterator[Record]:
    """Yield the rows under the head of a table as records, whose values are texts."""
    csv.field_size_limit(LONGEST)
    feed = _Feed(stream)
    reader = csv.reader(feed, delimiter=table.delimiter, strict=True)
    for raw in feed:
        if raw.strip():  # the line with the names
            break
    while True:
        feed.begin()
        cells, problem = None, ""
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"broken row: {error}"
        if cells is not None and len(cells) == len(table.names):
            yield _record(table, feed, cells)
        elif cells != []:  # a blank line
            yield _broken(table, feed.row[0], cells, problem)
            feed.repeat()


class _Feed:
    """The lines that a row is read from; those behind its first can be given again."""

    def __init__(self, stream: Stream) -> None:
        self._lines = enumerate(lines(stream), 1)
        self._again: deque[tuple[int, str]] = deque()
        self.row: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            line = self._again.popleft()
        else:
            number, raw = next(self._lines)
            try:
                line = number, raw.decode()
            except UnicodeDecodeError:
                line = number, decoded(raw)
        self.row.append(line)
        if len(line[1]) >= LONGEST:
            raise csv.Error(f"too long: more than {LONGEST:,} bytes")
        return f"{line[1]}\n"

    def begin(self) -> None:
        """Begin a row."""
        self.row.clear()

    def repeat(self) -> None:
        """Give what the row took from the lines below its first again."""
        self._again.extendleft(reversed(self.row[1:]))


def _record(table: Table, feed: _Feed, cells: list[str]) -> Record:
    line, raw = feed.row[0]
    if len(feed.row) > 1:
        raw = "\n".join(text for _, text in feed.row)
    value: dict[str, Any] = dict(zip(table.names, map(restored, cells), strict=True))
    for name in _STRUCTURED:
        if name in value and value[name][:1] == "[":
            value[name] = _structured(name, value[name])
    problem, fault = "", None
    if not raw.isascii() and (bad := BAD_BYTE.search(raw)):
        spot = Place(line).after(raw[: bad.start()])
        problem, fault = invalid_utf8(bad[0], spot), spot[:2]
    return Record(line, raw, value, problem, 1, fault, table.names, table.delimiter)


def _broken(table: Table, first: tuple[int, str], cells: list[str] | None, problem: str) -> Record:
    """The first line of what is no row of the table."""
    (line, raw), wanted = first, len(table.names)
    column = 1
    if cells is not None:
        found = len(next(csv.reader([raw], delimiter=table.delimiter)))
        problem = f"broken row: {found} cells, not {wanted}"
        column = 1 + (cell_start(raw, wanted, table.delimiter) if found > wanted else len(raw))
    return Record(line, raw[:LOOK], None, problem, 1, (line, column))


def _structured(name: str, cell: str) -> Any:
    """The list that a cell holds as JSON, or the text of the cell where it is none."""
    try:
        value = DECODER.decode(cell)
    except (ValueError, RecursionError):
        return cell
    kind = list if name == "history" else dict
    turns = all(isinstance(item, kind) for item in value)
    told = name not in ("prompt", "completion") or all("role" in item for item in value if turns)
    return value if turns and told else cell


def _names(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(map(restored, next(csv.reader([line], delimiter=delimiter), ())))
    except csv.Error:
        return ()


def _known(names: Sequence[str], columns: Columns | None, *, prompts: bool) -> bool:
    if columns and columns["instruction"] in names:
        return True
    if prompts:
        return not set(names).isdisjoint((*PROMPTS, *CONVERSATIONS))
    return form_of(dict.fromkeys(names, "")) != ""
