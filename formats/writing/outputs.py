"""The files that records are written into: which one is said by the ending of its name.

Records are written one after another and never held together. CSV, Parquet and Arrow need to
know the columns first: for them the records are gone through twice.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import UsageError
from ...stores.exact_json import dumps
from ...stores.files import replacing
from .arrow import Kind, batches, columns_of, kinds_of, schema_of
from .cells import cell

Records = Iterable[Mapping[str, Any]]  # iterable more than once


def write_records(
    records: Records, path: Path, *, like: Records | None = None, defuse: bool = True
) -> None:
    """Write records into a file, which is the old one or the whole new one.

    Args:
        records: what is written.
        path: its name ends like a container, and maybe like a compression.
        like: records whose columns and types the file is to have, for parts of one dataset.
            Default: these records, which are then gone through twice where columns matter.
        defuse: whether cells of CSV that a spreadsheet would run are defused.
    """
    container, compression = ending_of(path)
    with replacing(path) as file, COMPRESSIONS[compression](file) as stream:
        if container in (".csv", ".tsv"):
            _csv(records, like or records, stream, "," if container == ".csv" else "\t", defuse)
        elif container in _TABLES:
            _TABLES[container](records, kinds_of(like or records), stream)
        else:
            _JSON[container](records, stream)


def ending_of(path: Path) -> tuple[str, str]:
    """The ending of a file's name that names its container, and that of its compression.

    Both are "" for a name that ends in no known way, which is a folder's.

    Raises:
        UsageError: the container cannot be compressed from outside.
    """
    compression = path.suffix.lower() if path.suffix.lower() in COMPRESSIONS else ""
    container = Path(path.stem if compression else path.name).suffix.lower()
    if container not in CONTAINERS:
        return "", ""
    if compression and container in _TABLES:
        raise UsageError(f"{path}: {container[1:]} is not compressed again: drop {compression}")
    return container, compression


def _jsonl(records: Records, file: BinaryIO) -> None:
    for record in records:
        file.write(dumps(record).encode("utf-8") + b"\n")


def _json(records: Records, file: BinaryIO) -> None:
    before = b"[\n"
    for record in records:
        file.write(before + dumps(record).encode("utf-8"))
        before = b",\n"
    file.write(b"\n]\n" if before == b",\n" else b"[]\n")


def _csv(records: Records, like: Records, file: BinaryIO, delimiter: str, defuse: bool) -> None:
    columns = columns_of(like)
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(cell(name, defuse=defuse) for name in columns)
    for record in records:
        writer.writerow(cell(record.get(name), defuse=defuse) for name in columns)
    text.flush()
    text.detach()


def _parquet(records: Records, kinds: Mapping[str, Kind], file: BinaryIO) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, schema_of(kinds), compression="zstd") as writer:
        for batch in batches(records, kinds):
            writer.write_batch(batch)


def _arrow(records: Records, kinds: Mapping[str, Kind], file: BinaryIO) -> None:
    import pyarrow.ipc

    with pyarrow.ipc.new_stream(file, schema_of(kinds)) as writer:
        for batch in batches(records, kinds):
            writer.write_batch(batch)


def _zstd(file: BinaryIO) -> AbstractContextManager[BinaryIO]:
    import zstandard

    stream: Any = zstandard.ZstdCompressor().stream_writer(file, closefd=False)
    return stream  # type: ignore[no-any-return]


_JSON: dict[str, Callable[[Records, BinaryIO], None]] = {".jsonl": _jsonl, ".json": _json}
_TABLES = {".parquet": _parquet, ".arrow": _arrow}
CONTAINERS = (*_JSON, ".csv", ".tsv", *_TABLES)
COMPRESSIONS: dict[str, Callable[[BinaryIO], AbstractContextManager[Any]]] = {
    "": nullcontext,
    ".gz": partial(gzip.GzipFile, "", "wb", 6, mtime=0),  # the same bytes each time
    ".zst": _zstd,
}
