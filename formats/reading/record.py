"""A record of a file with its place, whatever the container."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

BAD_BYTE = re.compile("[\udc80-\udcff]")  # what surrogateescape makes of invalid UTF-8


class Place(NamedTuple):
    """A place in a file: line and column count from 1, `byte` is the offset in the line."""

    line: int = 1
    column: int = 1
    byte: int = 0

    def after(self, text: str) -> Place:
        """The place behind a text that begins here."""
        lines = text.count("\n")
        last = text[text.rfind("\n") + 1 :] if lines else text
        width = len(last) if last.isascii() else len(last.encode("utf-8", "surrogateescape"))
        if lines:
            return Place(self.line + lines, 1 + len(last), width)
        return Place(self.line, self.column + len(last), self.byte + width)


class Record(NamedTuple):
    """A value of a file, where it begins, and the text from which it was read.

    `problem` is set if it cannot be used whatever its form; then `fault` is the place of that.
    In a table `names` are the columns, and `delimiter` parts them, if it is one of text.
    """

    line: int
    raw: str | bytes
    value: Any = None
    problem: str = ""
    column: int = 1
    fault: tuple[int, int] | None = None
    names: tuple[str, ...] = ()
    delimiter: str = ""

    def place_of(self, key: str) -> tuple[int, int]:
        """Line and column of what is wrong: the fault, a key's place, or the record's start.

        A fault that is found only on a later line may be that of this one, which goes on there.
        Where there is no text, as in Parquet, the column is the number of the key's column.
        """
        if self.fault:
            return self.fault if self.fault[0] == self.line else (self.line, self.column)
        start = Place(self.line, self.column)
        raw = self.raw if isinstance(self.raw, str) else self.raw.decode("utf-8", "replace")
        if self.names:
            cell = self.names.index(key) if key in self.names else 0
            if not self.delimiter:
                return self.line, cell + 1
            return start.after(raw[: cell_start(raw, cell, self.delimiter)])[:2]
        found = re.search(rf'"{re.escape(key)}"\s*:', raw) if key else None
        return start.after(raw[: found.start()])[:2] if found else start[:2]


def cell_start(raw: str, cell: int, delimiter: str) -> int:
    """Where the cell with this number begins in the text of a row, counted from 0."""
    quoted, start = False, 0
    for at, character in enumerate(raw):
        if not cell:
            break
        if character == '"':
            quoted = not quoted
        elif character == delimiter and not quoted:
            cell, start = cell - 1, at + 1
    return start if not cell else len(raw)


def invalid_utf8(character: str, spot: Place) -> str:
    """What is wrong with a byte that is no UTF-8, as `decoded` gives it."""
    return (
        f"invalid UTF-8: byte 0x{ord(character) - 0xDC00:02x} "
        f"at byte offset {spot.byte} of line {spot.line}"
    )
