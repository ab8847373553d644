"""The audit: which rows of files leak which items of benchmarks, without a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..agents.contamination import Benchmarks, Leak, nearest_items
from ..embedders.base import Embedder
from ..formats.reading.prompts import read_benchmarks
from ..formats.reading.readers import read_rows
from ..formats.reading.sources import File
from ..geometry.neighbours import Vectors
from ..records import BenchmarkItem, Mapped, Row, UnusableRecord

_CHUNK = 2048  # rows that are in memory at a time


@dataclass(frozen=True, slots=True)
class LeakingRow:
    """A row with the items that it leaks, the clearest first."""

    row: Row
    leaks: tuple[Leak, ...]

    def records(self) -> Iterator[dict[str, Any]]:
        """A record for each item, as it is written to a file."""
        for leak in self.leaks:
            yield {
                "source": self.row.source,
                "line": self.row.line,
                "row": self.row.id,
                "benchmark": leak.source,
                "benchmark_line": leak.line,
                "part": leak.part,
                "words": len(leak.run),
                "run": " ".join(leak.run),
                "cosine": round(leak.cosine, 4) or None,
                "evidence": leak.evidence,
            }


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found: rows read, records that no row could be made of, and the leaks."""

    benchmarks: Benchmarks
    rows: int
    unusable: int
    leaking: tuple[LeakingRow, ...]

    def by_benchmark(self) -> list[dict[str, Any]]:
        """For each file of items: how many there are, how many leak, and through how many rows."""
        found = [(leak, row.row.id) for row in self.leaking for leak in row.leaks]
        return [
            {
                "benchmark": source,
                "items": sum(item.source == source for item in self.benchmarks.items),
                "leaked": len({leak.item for leak, _ in found if leak.source == source}),
                "rows": len({row for leak, row in found if leak.source == source}),
            }
            for source in dict.fromkeys(item.source for item in self.benchmarks.items)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for ``--json``."""
        return {
            "rows": self.rows,
            "unusable": self.unusable,
            "leaking_rows": len(self.leaking),
            "benchmarks": self.by_benchmark(),
            "leaks": [record for row in self.leaking for record in row.records()],
        }


def audit(
    sources: Sequence[File],
    against: Sequence[File],
    *,
    columns: Mapping[Mapped, str] | None = None,
    ngram: int,
    leak_cosine: float,
    embedder: Embedder | None,
) -> Audit:
    """Compare every row of the sources with every item of the benchmarks.

    Rows are read as a stream; those that leak are kept. Without an `embedder` only shared words
    count, and rewordings are not looked for.

    Raises:
        UsageError, SourceError: a file is not there, or holds nothing that can be used.
    """
    items = [item for item in read_benchmarks(against, columns) if isinstance(item, BenchmarkItem)]
    benchmarks = Benchmarks(items, ngram)
    texts = [(i, row.text) for i, item in enumerate(items) for row in item.as_rows()]
    places = [i for i, _ in texts]
    of_items = _embed([text for _, text in texts], embedder) if embedder else None
    read, unusable = 0, 0
    leaking: list[LeakingRow] = []
    records = read_rows(sources, columns)
    while chunk := list(islice(records, _CHUNK)):
        rows = [record for record in chunk if isinstance(record, Row)]
        read, unusable = (
            read + len(rows),
            unusable + sum(isinstance(r, UnusableRecord) for r in chunk),
        )
        near: list[tuple[int, float] | None] = [None] * len(rows)
        if embedder and of_items is not None:
            vectors = _embed([row.text for row in rows], embedder)
            near = nearest_items(vectors, of_items, places, leak_cosine)
        for row, hit in zip(rows, near, strict=True):
            if leaks := benchmarks.leaks(row, hit):
                leaking.append(LeakingRow(row, tuple(leaks)))
    return Audit(benchmarks, read, unusable, tuple(leaking))


def _embed(texts: Sequence[str], embedder: Embedder) -> Vectors:
    # Longest first: batches of equal length pad little.
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    vectors = embedder.embed([texts[i] for i in order])
    back = sorted(range(len(order)), key=order.__getitem__)
    return vectors[back]
