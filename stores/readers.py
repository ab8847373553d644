"""Reading instruction datasets: JSONL or JSON, gzipped or not, in the forms people publish.

A file passes three steps: its lines become text, the text becomes JSON records with the line at
which each starts, and each record becomes rows, or a `Rejected` that says why not. What a file
is, is recognised by its content, never by its name.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path

from ..errors import SourceError, UsageError
from ..records import Rejected, Row, row_id
from .forms import Example, examples, excerpt
from .json_records import Record, records

_BLOCK = 1 << 18


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
            if isinstance(example, Example):
                usable = True
                yield _row(example, position, path, record.line, copies)
            else:
                rejected = Rejected(str(path), record.line, example, excerpt(record.raw))
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


def _row(example: Example, position: int, path: Path, line: int, copies: Counter[str]) -> Row:
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


def _examples_of(path: Path) -> Iterator[tuple[Record, Example | str]]:
    for record in records(lines_of(path)):
        for example in [record.problem] if record.problem else examples(record.value):
            yield record, example


def _open(path: Path) -> BufferedReader:
    try:
        if not path.exists():
            raise UsageError(f"{path} does not exist: check the name of the file.")
        if not path.is_file():
            raise UsageError(f"{path} is not a file: name the files that are to be read.")
        return path.open("rb")
    except OSError as error:
        why = error.strerror or error
        raise UsageError(
            f"{path} cannot be opened ({why}): check its name and permissions."
        ) from error


def lines_of(path: Path) -> Iterator[str]:
    """Yield the lines of a file, gzipped or not; bytes that are not UTF-8 become surrogates.

    Raises:
        UsageError: it cannot be opened.
        SourceError: it is damaged.
    """
    with _open(path) as file:
        zipped = file.peek(2)[:2] == b"\x1f\x8b"
        try:
            for line in gzip.GzipFile(fileobj=file) if zipped else file:
                yield line.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(
                f"{path} is damaged or cannot be read to its end, fetch it again: {error}."
            ) from error
