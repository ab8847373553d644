"""What a run would see of its sources, before there is one: in one pass, in constant memory."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from ..agents.language import language
from ..formats.reading.containers import Stream
from ..formats.reading.copies import CopyCounter
from ..formats.reading.forms import Columns, Example
from ..formats.reading.readers import examples_of, recognised
from ..formats.reading.sources import File
from ..records import UnusableRecord, row_id

SHOWN = 5
SAMPLED = 2000  # rows whose language is told
_KINDS = 50  # reasons that are counted apart
_OTHER = "other reasons"
_QUANTILES = {"shortest": 0.0, "5%": 0.05, "half": 0.5, "95%": 0.95, "longest": 1.0}


@dataclass(slots=True)
class PeekedFile:
    """What one file is, and the rows and unusable records in it."""

    name: str
    container: str
    compression: str
    rows: int = 0
    quarantined: int = 0
    forms: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peek:
    """What was seen: `rows` are the first as they are read, `languages` those of a sample.

    `lengths` are characters of instruction with input, and of output, by quantile.
    """

    files: list[PeekedFile]
    rows: list[Example]
    duplicates: int
    languages: dict[str, int]
    lengths: dict[str, dict[str, int]]
    reasons: dict[str, int]
    rejected: list[UnusableRecord]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for ``--json``."""
        rows = [example._asdict() for example in self.rows]
        return {
            "files": [asdict(file) for file in self.files],
            "rows": rows,
            "duplicates": self.duplicates,
            "languages": self.languages,
            "lengths": self.lengths,
            "reasons": self.reasons,
            "rejected": [asdict(item) for item in self.rejected],
        }


class Lengths:
    """Quantiles of lengths, of which three figures are kept."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, length: int) -> None:
        """Count a length."""
        unit = 10 ** max(0, len(str(length)) - 3)
        self._counts[length // unit * unit] += 1

    def quantiles(self) -> dict[str, int]:
        """The length below which so large a share of the rows is."""
        ordered, total = sorted(self._counts.items()), self._counts.total()
        return {name: _quantile(ordered, share * total) for name, share in _QUANTILES.items()}


class Sample:
    """So many of the texts that come, each with the same chance."""

    def __init__(self, size: int) -> None:
        self._size, self._seen = size, 0
        self._rng = random.Random(0)
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Take a text, or pass it over."""
        self._seen += 1
        if len(self.texts) < self._size:
            self.texts.append(text)
        elif (place := int(self._rng.random() * self._seen)) < self._size:
            self.texts[place] = text


def peek(files: Iterable[File], columns: Columns | None = None) -> Peek:
    """Read sources to their end, and tell what is in them.

    Raises:
        UsageError: a file cannot be opened.
    """
    seen: list[PeekedFile] = []
    rows: list[Example] = []
    rejected: list[UnusableRecord] = []
    reasons: Counter[str] = Counter()
    copies, sample = CopyCounter(), Sample(SAMPLED)
    asked, answered = Lengths(), Lengths()
    for file, found in _found(files, columns, seen):
        if isinstance(found, UnusableRecord):
            file.quarantined += 1
            _count(reasons, found.reason)
            rejected += [found] if len(rejected) < SHOWN else []
            continue
        file.rows += 1
        file.forms[found.form] = file.forms.get(found.form, 0) + 1
        rows += [found] if len(rows) < SHOWN else []
        texts = (found.instruction, found.input, found.output)
        copies.add(row_id(*texts, found.system, found.history))
        sample.add(f"{found.instruction}\n{found.input}")
        asked.add(len(found.instruction) + len(found.input))
        answered.add(len(found.output))
    told = Counter(language(text) or "not told" for text in sample.texts)
    lengths = {"instruction and input": asked.quantiles(), "output": answered.quantiles()}
    return Peek(
        seen,
        rows,
        copies.copies(),
        dict(told.most_common()),
        lengths if rows else {},
        dict(reasons.most_common()),
        rejected,
    )


def _found(
    files: Iterable[File], columns: Columns | None, seen: list[PeekedFile]
) -> Iterator[tuple[PeekedFile, Example | UnusableRecord]]:
    for file in files:
        with Stream(file.path) as stream:
            peeked = PeekedFile(file.name, *recognised(stream, columns))
        seen.append(peeked)
        for _, found in examples_of(file, columns):
            yield peeked, found


def _count(reasons: Counter[str], reason: str) -> None:
    kind = reason.partition(":")[0]
    reasons[kind if kind in reasons or len(reasons) < _KINDS else _OTHER] += 1


def _quantile(ordered: list[tuple[int, int]], below: float) -> int:
    passed = 0
    for length, count in ordered:
        passed += count
        if passed >= below:
            return length
    return ordered[-1][0] if ordered else 0
