"""The elements of a JSON list, read through a window that moves over the text.

Each element is read by itself, so that a broken one costs nothing but itself: reading continues at
the next that decodes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from .containers import LONGEST, Stream
from .forms import form_of
from .json_values import decoded_at, not_json, skip, value_at
from .record import Place, Record
from .texts import LOOK

_BLOCK = 1 << 18
_OBJECT_START = re.compile(r'(?:\n(?P<indent>[ \t]*)|[,}\]][ \t]*)(?=\{\s*["}])')


class Window:
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


class Elements:
    """The elements of a list, or the values of a text if nothing is to close it.

    Whatever is wrong between the elements is a record with a problem of its own.
    """

    def __init__(self, window: Window, at: int, closing: re.Pattern[str] | None) -> None:
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
            start = skip(window.text, self._at)
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
        problem = not_json(message, place)
        return Record(place.line, here, None, problem, place.column, place[:2])

    def _value(self) -> tuple[Record, int | None]:
        window, at = self._window, self._at
        record, end = value_at(window.text, at, self._place)
        unsure = (end is None or end == len(window.text)) and not window.ended
        if unsure and len(window.text) - at < LONGEST:  # it may go on behind the window
            window.reach(at + 2 * LONGEST)
            return value_at(window.text, at, self._place)
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


def _resumed(window: Window, at: int, indent: str | None) -> int | None:
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
        value = decoded_at(rest, start.end() - cut)
        if value and ((on_lines and margin == indent) or form_of(value[0])):
            return start.end()
    return None
