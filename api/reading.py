"""Reading SOURCEs into memory, and rows that are there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import NO_FILE, resolve
from ..errors import UsageError
from ..formats.reading.forms import Columns
from ..formats.reading.memory import rows_in
from ..formats.reading.readers import read_rows as read_files
from ..formats.reading.sources import check_distinct, files_of
from ..records import Row, UnusableRecord, row_id
from .records import records_of


@dataclass(frozen=True, slots=True)
class Unusable:
    """A record that is no row: where it is (file and line, or `rows` and its number from 1), and
    why.
    """

    source: str
    line: int
    reason: str


class Rows(list[dict[str, Any]]):
    """Rows as dicts in the form of Alpaca, with what else their records had; `unusable` lists the
    records that could not be read.
    """

    unusable: list[Unusable]


def read_rows(*sources: str | Path, map: Mapping[str, str] | None = None) -> Rows:
    """Read the rows of SOURCEs, as a run would.

    Args:
        sources: files, folders, globs or `hf:owner/name`, in any form that a run reads.
        map: the columns of an own form, such as `{"instruction": "question", "output": "answer"}`.

    Returns:
        A list of dicts with `instruction`, `input`, `output`, where there are any `system` and
        `history` (pairs of earlier turns), and the other columns untouched. Its attribute
        `unusable` lists the records that could not be read.

    Raises:
        UsageError: a source is not there or is named twice.
        SourceError: a file has no usable row.
    """
    if not sources:
        raise UsageError("name at least one source")
    files = files_of([str(source) for source in sources])
    check_distinct(files)
    rows = Rows()
    rows.unusable = []
    for found in read_files(files, _columns(map)):
        if isinstance(found, Row):
            rows.append(as_record(found))
        else:
            rows.unusable.append(_unusable(found))
    return rows


def as_record(row: Row) -> dict[str, Any]:
    """A row as a dict: its texts, then the columns that its record had besides."""
    record: dict[str, Any] = {
        "instruction": row.instruction,
        "input": row.input,
        "output": row.output,
    }
    if row.system:
        record["system"] = row.system
    if row.history:
        record["history"] = [list(turn) for turn in row.history]
    return {**row.extra, **record}


@dataclass(frozen=True, slots=True)
class Held:
    """Rows of records in memory: each row with the number of its record, and the unusable ones."""

    rows: list[Row]
    numbers: list[int]
    unusable: list[Unusable]


def rows_of(data: Any, map: Mapping[str, str] | None = None) -> Held:
    """The rows of a list of dicts, a Dataset or a DataFrame.

    Copies of a row keep ids of their own. A record with several examples counts by its first.

    Raises:
        UsageError: it is something else, or none of it is usable.
    """
    rows: list[Row] = []
    numbers: list[int] = []
    unusable: list[Unusable] = []
    for number, found in rows_in(records_of(data), "rows", _columns(map)):
        if isinstance(found, UnusableRecord):
            unusable.append(_unusable(found))
        elif not numbers or numbers[-1] != number:
            rows.append(found)
            numbers.append(number)
    if unusable and not rows:
        first = unusable[0]
        raise UsageError(f"no usable row: of row {first.line}, {first.reason}")
    return Held(distinct(rows), numbers, unusable)


def distinct(rows: list[Row]) -> list[Row]:
    """The rows, of which those with the same text get ids of their own."""
    copies: Counter[str] = Counter()
    told = []
    for row in rows:
        number = copies[row.id]
        copies[row.id] += 1
        texts = (row.instruction, row.input, row.output, row.system, row.history)
        told.append(replace(row, id=row_id(*texts, number)) if number else row)
    return told


def _columns(map: Mapping[str, str] | None) -> Columns | None:
    return (
        resolve({"llm": "none", "recipe": "curate", "map": dict(map)}, NO_FILE).map if map else None
    )


def _unusable(record: UnusableRecord) -> Unusable:
    return Unusable(record.source, record.line, record.reason)
