"""Reads what a run is made from into its ledger: rows, target prompts, items of benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from ..agents.screening import Record, masked_records, masked_row
from ..config import RunConfig
from ..errors import UsageError
from ..formats.reading.precomputed import load_embeddings, load_scores
from ..formats.reading.prompts import read_benchmarks, read_prompts
from ..formats.reading.readers import read_rows, stopping
from ..formats.reading.sources import File, files_of
from ..records import BenchmarkItem, Row, TargetPrompt, UnusableRecord
from ..stores.ledger import Ledger

_CHUNK = 5000  # records that are written at once

Item = TypeVar("Item")


def read_sources(files: list[File], config: RunConfig, ledger: Ledger) -> None:
    """Read the files of rows, then what the settings name beside them; the ledger lists it all."""
    ledger.sources.clear()
    counts = {file.name: [0, 0] for file in files}
    found = read_rows(files, config.map)
    records = enumerate(cleaned(stopping(found) if config.strict else found, config))
    for batch in _chunks(records):
        ledger.rows.add_seeds(record for _, record in batch if isinstance(record, Row))
        ledger.sources.add_unusable((i, r) for i, r in batch if isinstance(r, UnusableRecord))
        for _, record in batch:
            counts[record.source][isinstance(record, UnusableRecord)] += 1
    position = _read_target_prompts(sum(map(sum, counts.values())), config, ledger)
    _read_benchmarks(position, config, ledger)
    known = ledger.facts.read().fingerprints
    ledger.sources.add(
        (name, known[name], usable, unusable) for name, (usable, unusable) in counts.items()
    )


def _read_target_prompts(position: int, config: RunConfig, ledger: Ledger) -> int:
    """Read the prompts that the user gave; unusable ones are listed from `position` on.

    Returns the position after the last.
    """
    found = read_prompts(files_of(config.toward, config.out), config.map)
    records = enumerate(cleaned(stopping(found) if config.strict else found, config), position)
    for batch in _chunks(records):
        ledger.sources.add_target_prompts(r for _, r in batch if isinstance(r, TargetPrompt))
        ledger.sources.add_unusable((i, r) for i, r in batch if isinstance(r, UnusableRecord))
        position = batch[-1][0] + 1
    return position


def _read_benchmarks(position: int, config: RunConfig, ledger: Ledger) -> None:
    """Read what no row may leak; unusable records are listed from `position` on."""
    found = read_benchmarks(files_of(config.decontaminate, config.out), config.map)
    records = enumerate(stopping(found) if config.strict else found, position)
    for batch in _chunks(records):
        ledger.sources.add_benchmarks((i, r) for i, r in batch if isinstance(r, BenchmarkItem))
        ledger.sources.add_unusable((i, r) for i, r in batch if isinstance(r, UnusableRecord))


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while chunk := list(islice(left, _CHUNK)):
        yield chunk


def cleaned(records: Iterable[Record], config: RunConfig) -> Iterator[Record]:
    """Records as the run keeps them: masked, if personal data is to be masked."""
    return masked_records(records) if config.pii == "mask" else iter(records)


def cleaned_row(row: Row, config: RunConfig) -> Row:
    """A generated row as the run keeps it."""
    return masked_row(row) if config.pii == "mask" else row


def check_precomputed(config: RunConfig, records: int) -> None:
    """Refuse precomputed scores and embeddings for another number of records.

    They go by the position of the record.

    Raises:
        UsageError: a file is for more or fewer than so many `records`.
    """
    precomputed = {}
    if config.scores:
        precomputed[config.scores] = len(load_scores(config.scores))
    if config.embeddings:
        precomputed[config.embeddings] = len(load_embeddings(config.embeddings))
    for path, count in precomputed.items():
        if count != records:
            raise UsageError(
                f"{path} is for {count:,} records, but the sources have {records:,} "
                "(unusable ones included)"
            )
