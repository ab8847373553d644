"""Records that are in memory, in any form that a file may have, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ...records import Row, UnusableRecord
from .columnar import plain
from .forms import Columns, Example, examples
from .readers import row_of
from .texts import excerpt


def rows_in(
    records: Iterable[Any], name: str, columns: Columns | None = None
) -> Iterator[tuple[int, Row | UnusableRecord]]:
    """Yield each record's number, from 0, with its row, or with why there is none.

    A record that holds several examples (Self-Instruct's `instances`) gives several rows.

    Args:
        records: mappings, as they would stand in a file.
        name: under which the rows remember where they come from.
        columns: where the user's own columns are.
    """
    position = 0
    for number, record in enumerate(records):
        value = plain(record)
        for found in examples(value, columns):
            if isinstance(found, Example):
                yield number, row_of(found, position, name, number + 1)
            else:
                yield number, UnusableRecord(name, number + 1, found.reason, excerpt(str(value)))
            position += 1
