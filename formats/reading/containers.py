"""The bytes of a file: how it is compressed, its lines, and what kind of container it is.

Everything is told by the content, never by the name. A compressed file that is damaged gives what
could be read before the damage.
"""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from ...errors import UsageError

Container = Literal["Parquet", "Arrow", "Arrow stream", "text"]

LONGEST = 1 << 23  # bytes of a line, characters of a JSON record: a longer one is quarantined
HEAD = 1 << 16  # bytes of a file by which its kind is told
_BLOCK = 1 << 18
_SIP = 1 << 13  # what comes after a damaged place, within so many packed bytes, is lost
_ARROW = b"\xff\xff\xff\xff"


def _zstd() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj()


_COMPRESSIONS: tuple[tuple[str, bytes, Callable[[], Any]], ...] = (
    ("gzip", b"\x1f\x8b", lambda: zlib.decompressobj(31)),
    ("zstd", b"\x28\xb5\x2f\xfd", _zstd),
    ("xz", b"\xfd7zXZ\0", lzma.LZMADecompressor),
)


class Stream(io.BufferedIOBase):
    """The unpacked bytes of a file, read from the start to the end.

    Where its archive is damaged the stream ends, and `damage` says what is wrong.
    """

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            UsageError: it cannot be opened.
        """
        self.path = path
        self.damage = ""
        self.compression = ""
        self._file = opened(path)
        self._ready = b""
        self._blocks = iter(lambda: self._file.read(_BLOCK), b"")
        start = self._file.peek(6)[:6]
        for name, magic, unpacker in _COMPRESSIONS:
            if start.startswith(magic):
                self.compression = name
                self._blocks = _unpacked(self._file, unpacker)

    def readable(self) -> bool:
        """Always: for libraries that ask."""
        return True

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay to be read."""
        self._fill(size)
        return self._ready[:size]

    def read(self, size: int | None = -1, /) -> bytes:
        """So many bytes, fewer only at the end."""
        wanted = size if size is not None and size >= 0 else 1 << 62
        self._fill(wanted)
        found, self._ready = self._ready[:wanted], self._ready[wanted:]
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _fill(self, size: int) -> None:
        parts, missing = [self._ready], size - len(self._ready)
        while missing > 0 and (block := self._next()):
            parts.append(block)
            missing -= len(block)
        if len(parts) > 1:
            self._ready = b"".join(parts)

    def _next(self) -> bytes:
        try:
            return next(self._blocks, b"")
        except Exception as error:  # each library of a compression has errors of its own
            packed = f"the {self.compression} archive" if self.compression else "the file"
            self.damage = f"{packed} is damaged or truncated from here on ({error})"
            self._blocks = iter(())
            return b""


def opened(path: Path) -> io.BufferedReader:
    """Open a file for its bytes as they are.

    Raises:
        UsageError: it cannot be opened.
    """
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


def _unpacked(file: io.BufferedReader, make: Callable[[], Any]) -> Iterator[bytes]:
    """The content of an archive, which may have several members one after the other."""
    data = file.read(_SIP)
    while data:
        unpacker = make()
        while not unpacker.eof:
            if not data and not (data := file.read(_SIP)):
                raise EOFError("it ends too early")
            if block := unpacker.decompress(data):
                yield block
            data = b""
        data = unpacker.unused_data
        while not data.lstrip(b"\0") and (data := file.read(_SIP)):
            pass  # archives may be padded with zeros


def container_of(stream: Stream) -> Container:
    """Tell the container of a file by its first bytes."""
    start = stream.peek(12)
    if start.startswith(b"PAR1"):
        return "Parquet"
    if start.startswith(b"ARROW1\0\0"):
        return "Arrow"
    if start.startswith(_ARROW) and 0 < int.from_bytes(start[4:8], "little") < LONGEST:
        return "Arrow stream"
    return "text"


def head_lines(stream: Stream) -> list[str]:
    """The first lines of a text that are not blank; the last may be cut."""
    text = decoded(stream.peek(HEAD)).removeprefix("\ufeff")
    return [line for line in text.split("\n") if line.strip()]


def decoded(raw: bytes) -> str:
    """Bytes as text; those that are not UTF-8 become surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def lines(stream: Stream) -> Iterator[bytes]:
    """Yield the lines of a stream without their ends.

    Of one that is too long the first `LONGEST` + 1 bytes are given. What a damaged archive has
    of its last line is not.
    """
    rest, first, skipping = b"", True, False
    while block := stream.read(_BLOCK):
        if first:
            block, first = block.removeprefix(b"\xef\xbb\xbf"), False
        found = (rest + block).split(b"\n")
        rest = found.pop()
        if skipping and found:
            del found[0]
            skipping = False
        yield from found
        if skipping:
            rest = b""
        elif len(rest) > LONGEST:
            yield rest[: LONGEST + 1]
            rest, skipping = b"", True
    if rest and not stream.damage:
        yield rest
