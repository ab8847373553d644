"""Parquet and Arrow: the rows of a columnar file as records, read batch by batch.

What JSON does not know becomes a text or a list: times and dates in ISO 8601, durations in their
own unit, decimals with all their digits, bytes in base64, maps as lists of pairs. NaN is null,
and infinities are the texts Infinity and -Infinity. A record's line is its number in the file.
"""

from __future__ import annotations

import base64
import math
import tempfile
from collections.abc import Iterator
from itertools import count
from typing import Any

from ...stores.exact_json import loads
from ..writing.arrow import JSON_TEXT
from .containers import Stream, decoded
from .record import BAD_BYTE, Record

_BATCH = 2048
_MAGIC = 8  # bytes before the stream that an Arrow file is


def parquet_records(stream: Stream) -> Iterator[Record]:
    """Yield the rows of a Parquet file; a row group that is damaged costs only itself."""
    import pyarrow.parquet as pq

    with tempfile.TemporaryFile() as unpacked:
        file: Any = stream.path
        if stream.compression:
            while block := stream.read(1 << 20):
                unpacked.write(block)
            file = unpacked
        try:
            parquet = pq.ParquetFile(file)
            groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
        except Exception as error:  # a damaged file may raise anything
            yield _damaged(1, "Parquet", error)
            return
        done = 0
        for group, rows in enumerate(groups):
            at = done
            try:
                for batch in parquet.iter_batches(_BATCH, row_groups=[group]):
                    yield from _rows(batch, at + 1)
                    at += batch.num_rows
            except Exception as error:
                yield _damaged(at + 1, "Parquet", error)
            done += rows


def arrow_records(stream: Stream, *, file: bool) -> Iterator[Record]:
    """Yield the rows of an Arrow stream, or of a file, which is a stream behind its magic bytes."""
    import pyarrow as pa

    if file:
        stream.read(_MAGIC)
    at = 0
    try:
        reader = pa.ipc.open_stream(stream)
        while True:
            batch = reader.read_next_batch()
            batch.validate(full=True)
            for start in range(0, batch.num_rows, _BATCH):
                yield from _rows(batch.slice(start, _BATCH), at + 1)
                at += min(_BATCH, batch.num_rows - start)
    except StopIteration:
        return
    except Exception as error:  # a damaged file may raise anything
        yield _damaged(at + 1, "Arrow", error)


def _read(field: Any, values: list[Any]) -> list[Any]:
    """The values of a column, out of the JSON in which this package writes mixed ones."""
    marked = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
    if not JSON_TEXT.items() <= marked.items():
        return values
    return [value if value is None else loads(value) for value in values]


def _rows(batch: Any, first: int) -> Iterator[Record]:
    names = tuple(batch.schema.names)
    columns = [
        _read(field, _values(column))
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    for number, cells in zip(count(first), zip(*columns, strict=True)):
        value = dict(zip(names, cells, strict=True))
        yield Record(number, "", value, _unreadable(value), names=names)


def _values(column: Any) -> list[Any]:
    """The values of a column as JSON knows them."""
    import pyarrow as pa

    wanted = _as_json(column.type)
    if wanted != column.type:
        column = column.cast(wanted)
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        binary = pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
        return [None if raw is None else decoded(raw) for raw in column.cast(binary).to_pylist()]
    simple = (
        pa.types.is_string(wanted) or pa.types.is_integer(wanted) or pa.types.is_boolean(wanted)
    )
    return values if simple else list(map(plain, values))


def _as_json(kind: Any) -> Any:
    """The type to which a column is cast before it becomes Python's."""
    import pyarrow as pa

    t = pa.types
    if t.is_temporal(kind) and not t.is_duration(kind) and not t.is_interval(kind):
        return pa.string()
    if t.is_duration(kind):
        return pa.int64()
    if t.is_decimal(kind) or t.is_string_view(kind):
        return pa.string()
    if t.is_dictionary(kind):
        return _as_json(kind.value_type)
    if t.is_struct(kind):
        return pa.struct([field.with_type(_as_json(field.type)) for field in kind.fields])
    if t.is_list(kind):
        return pa.list_(kind.value_field.with_type(_as_json(kind.value_type)))
    if t.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_as_json(kind.value_type)))
    return kind


def plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


def _unreadable(value: dict[str, Any]) -> str:
    for name, cell in value.items():
        if cell.__class__ is str and not cell.isascii() and (bad := BAD_BYTE.search(cell)):
            return f"invalid UTF-8: byte 0x{ord(bad[0]) - 0xDC00:02x} in {name}"
    return ""


def _damaged(row: int, kind: str, error: Exception) -> Record:
    cause = str(error).splitlines()[0] if str(error) else type(error).__name__
    return Record(row, "", problem=f"damaged: the {kind} data from row {row:,} on ({cause})")
