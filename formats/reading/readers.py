"""Reading instruction datasets: each record of a file becomes rows, or an
`UnusableRecord` that says why not.

A file passes four steps: its bytes are unpacked (`containers`), its container gives records with
their places (`json_records`, `tables`, `columnar`), each record becomes examples (`forms`), and
each example a row. What a file is, is recognised by its content, never by its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from ...errors import SourceError
from ...records import Row, UnusableRecord, row_id
from .columnar import arrow_records, parquet_records
from .containers import Stream, container_of, opened
from .forms import Columns, Example, examples
from .json_records import records, structure
from .record import Record
from .sources import File
from .tables import Table, table_of, table_records
from .texts import excerpt

_BLOCK = 1 << 18
_Found = TypeVar("_Found")


class Recognised(NamedTuple):
    """What a file is: its container (JSON lines, CSV, Parquet, ...) and compression, if any."""

    container: str
    compression: str = ""

    def __str__(self) -> str:
        return f"{self.container}, {self.compression}" if self.compression else self.container


def read_rows(
    files: Sequence[File | Path], columns: Columns | None = None
) -> Iterator[Row | UnusableRecord]:
    """Yield each record of the files in order: a Row, or an UnusableRecord with place and reason.

    Rows with the same text have the same id; the ledger tells copies apart. All the files are
    opened once before the first is read: a `UsageError` comes at once. A `SourceError` is raised
    at the end of a file that had no usable row.
    """
    named = [File.of(file) for file in files]
    for file in named:
        Stream(file.path).close()
    return _rows(named, columns)


def stopping(found: Iterable[_Found | UnusableRecord]) -> Iterator[_Found | UnusableRecord]:
    """Pass what is usable on up to the first record that cannot be used.

    Raises:
        SourceError: there is one; the message begins with file:line:column.
    """
    for item in found:
        if isinstance(item, UnusableRecord):
            raise SourceError(f"{item.source}:{item.line}:{item.column}: {item.reason}")
        yield item


def examples_of(
    file: File, columns: Columns | None = None
) -> Iterator[tuple[Record, Example | UnusableRecord]]:
    """Yield each example of a file with its record; what cannot be used is an
    UnusableRecord.

    Raises:
        UsageError: it cannot be opened.
    """
    with Stream(file.path) as stream:
        for record in records_of(stream, columns):
            if record.problem:
                yield record, rejected(file, record, record.problem)
                continue
            for found in examples(record.value, columns):
                if isinstance(found, Example):
                    yield record, found
                else:
                    yield record, rejected(file, record, *found)


def records_of(
    stream: Stream, columns: Columns | None = None, *, prompts: bool = False
) -> Iterator[Record]:
    """Yield the records of a file, whatever its container; damage is one with a problem."""
    line = 0
    for record in _contained(stream, columns, prompts):
        line = record.line
        yield record
    if stream.damage:
        yield Record(line + 1, "", problem=f"damaged: {stream.damage}")


def recognised(stream: Stream, columns: Columns | None = None) -> Recognised:
    """Tell what a file is."""
    container: str = container_of(stream)
    if container == "text":
        table = table_of(stream, columns)
        container = table.kind if table else structure(stream)
    return Recognised(container, stream.compression)


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with opened(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def rejected(file: File, record: Record, reason: str, key: str = "") -> UnusableRecord:
    """A record that cannot be used, with the place of what is wrong."""
    line, column = record.place_of(key)
    raw = record.raw or ("" if record.value is None else str(record.value))
    return UnusableRecord(file.name, line, reason, excerpt(raw), column)


def _contained(stream: Stream, columns: Columns | None, prompts: bool) -> Iterator[Record]:
    container = container_of(stream)
    if container == "Parquet":
        return parquet_records(stream)
    if container != "text":
        return arrow_records(stream, file=container == "Arrow")
    table: Table | None = table_of(stream, columns, prompts=prompts)
    return table_records(stream, table) if table else records(stream)


def _rows(files: Iterable[File], columns: Columns | None) -> Iterator[Row | UnusableRecord]:
    position = 0
    for file in files:
        first: UnusableRecord | None = None
        usable = False
        for record, found in examples_of(file, columns):
            if isinstance(found, Example):
                usable = True
                yield row_of(found, position, file.name, record.line)
            else:
                first = first or found
                yield found
            position += 1
        if usable:
            continue
        if first is None:
            raise SourceError(
                f"{file.name} holds no record: give a file with JSON, CSV, Parquet or Arrow."
            )
        raise SourceError(
            f"{file.name} has no usable row, correct it or name another file: "
            f"on line {first.line}, {first.reason}."
        )


def row_of(example: Example, position: int, source: str, line: int) -> Row:
    """The row of an example, at its position among all records and its line in a source."""
    texts = (example.instruction, example.input, example.output)
    return Row(
        id=row_id(*texts, example.system, example.history),
        position=position,
        instruction=example.instruction,
        input=example.input,
        output=example.output,
        system=example.system,
        history=example.history,
        source=source,
        line=line,
        extra=example.extra,
    )
