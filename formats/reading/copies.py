"""Counting exact duplicates among any number of rows in constant memory."""

from __future__ import annotations

import tempfile
from array import array

import numpy as np

_BUCKETS = 64
_HELD = 4096  # digests of a bucket that are in memory


class CopyCounter:
    """Counts rows whose id was seen before: digests go to files by their first bits."""

    def __init__(self) -> None:
        self._held = [array("Q") for _ in range(_BUCKETS)]
        self._files = [tempfile.TemporaryFile() for _ in range(_BUCKETS)]  # noqa: SIM115

    def add(self, row: str) -> None:
        """Count a row by its id, a hash in hexadecimal."""
        digest = int(row[:16], 16)
        held = self._held[digest % _BUCKETS]
        held.append(digest)
        if len(held) == _HELD:
            self._files[digest % _BUCKETS].write(held.tobytes())
            del held[:]

    def copies(self) -> int:
        """How many rows repeat an earlier one; ends the counting."""
        copies = 0
        for file, held in zip(self._files, self._held, strict=True):
            file.write(held.tobytes())
            file.seek(0)
            digests = np.frombuffer(file.read(), dtype=np.uint64)
            copies += len(digests) - len(np.unique(digests))
            file.close()
        return copies
