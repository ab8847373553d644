"""The screen over a run's stores: what rows are held against, and which of them are judged."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from ..agents.contamination import Benchmarks, nearest_items
from ..agents.corpus_statistics import CorpusStatistics
from ..agents.screening import Record, Screen, masked_records, masked_row
from ..config import RunConfig
from ..formats.reading.prompts import read_benchmarks
from ..formats.reading.readers import stopping
from ..formats.reading.sources import files_of
from ..records import BenchmarkItem, Check, Rejected, Row
from ..records.codes import Reason
from ..stores.ledger import Ledger
from .embedding import embed_rows
from .state import RunContext

_CHUNK = 256  # rows that are screened between two looks at the switch


@dataclass(frozen=True)
class Yardsticks:
    """What the rows of a run are held against; made when first asked for, after the sources."""

    config: RunConfig
    ledger: Ledger

    @cached_property
    def benchmarks(self) -> Benchmarks | None:
        """What no row may leak, None if nothing was named."""
        items = self.ledger.sources.benchmarks()
        return Benchmarks(items, self.config.ngram) if items else None

    @cached_property
    def background(self) -> CorpusStatistics:
        """What is usual in the sources, so that rows of every round are held against the same."""
        return CorpusStatistics.of(self.ledger.rows.find(origin="seed", round=0))


def read_decontaminate(context: RunContext, position: int) -> None:
    """Read the benchmarks into the ledger; unusable records are listed from `position` on."""
    config = context.config
    files = files_of(config.decontaminate, config.out)
    found = read_benchmarks(files, config.map)
    records = enumerate(stopping(found) if config.strict else found, position)
    while batch := list(islice(records, 5000)):
        context.ledger.sources.add_benchmarks(
            (i, r) for i, r in batch if isinstance(r, BenchmarkItem)
        )
        context.ledger.sources.add_rejects((i, r) for i, r in batch if isinstance(r, Rejected))


def cleaned(records: Iterable[Record], config: RunConfig) -> Iterator[Record]:
    """Records as the run keeps them: masked, if personal data is to be masked."""
    return masked_records(records) if config.pii == "mask" else iter(records)


def cleaned_row(row: Row, config: RunConfig) -> Row:
    """A generated row as the run keeps it."""
    return masked_row(row) if config.pii == "mask" else row


async def screen_rows(rows: Sequence[Row], context: RunContext) -> list[Check]:
    """Check rows, in chunks that are kept when they are done, and reject those that fail."""
    config = context.config
    context.progress.begin("screen", f"screening {len(rows):,} rows", len(rows))
    near = await _rewordings(rows, context)
    screen = Screen(
        context.yardsticks.benchmarks,
        context.yardsticks.background,
        faults=config.prefilter,
        pii=config.pii,
        languages=config.languages.keys(),
    )
    checks: list[Check] = []
    for start in range(0, len(rows), _CHUNK):
        context.switch.check()
        part = slice(start, start + _CHUNK)
        done = [screen.screen(row, hit) for row, hit in zip(rows[part], near[part], strict=True)]
        context.ledger.judgements.add_checks(done)
        context.progress.step(len(done))
        checks += done
        await asyncio.sleep(0)
    return checks


async def _rewordings(rows: Sequence[Row], context: RunContext) -> list[tuple[int, float] | None]:
    """For each row the item of a benchmark that its embedding comes near, with the cosine."""
    benchmarks, limit = context.yardsticks.benchmarks, context.config.leak_cosine
    if benchmarks is None or not rows or limit == 1:
        return [None] * len(rows)
    texts = [(i, text) for i, item in enumerate(benchmarks.items) for text in item.as_rows()]
    await embed_rows([text for _, text in texts], context, context.reference_vectors)
    return nearest_items(
        context.vectors.get([row.id for row in rows]),
        context.reference_vectors.get([text.id for _, text in texts]),
        [i for i, _ in texts],
        limit,
    )


def leave_out(round: int, missing: int, context: RunContext) -> int:
    """Leave out the rows of a round that the signals rank below the share to be judged.

    At least as many rows are judged as are `missing` to the target. What was decided before the
    round's first score stands. Returns how many were left out.
    """
    ledger, share = context.ledger, context.config.max_judge_share
    scored = ledger.judgements.scores()
    if share == 1 or any(row.id in scored for row in ledger.rows.find(round=round)):
        return 0
    rows = ledger.rows.find("unique", round=round) + ledger.rows.find(
        round=round, reason=Reason.NOT_JUDGED
    )
    left = _ranked(rows, ledger)[max(math.ceil(share * len(rows)), missing) :]
    ledger.rows.set_statuses((row.id, "rejected", Reason.NOT_JUDGED) for row in left)
    return len(left)


def take_back(context: RunContext) -> list[Row]:
    """Set back as many of the rows that were left out as the pool is short of the target.

    The best by the signals, of those that would fill a place: none once the target is reached.
    """
    ledger, reachable = context.ledger, context.selector.fillable_count
    pool, left = (
        ledger.rows.find("accepted"),
        ledger.rows.find("rejected", reason=Reason.NOT_JUDGED),
    )
    filled = reachable(pool)
    some = {row.origin: row for row in left}
    wanted = {origin for origin, row in some.items() if reachable([*pool, row]) > filled}
    rows = [row for row in left if row.origin in wanted]
    best = _ranked(rows, ledger)[: context.config.target_size - filled]
    ledger.rows.set_statuses((row.id, "unique", "") for row in best)
    return best


def _ranked(rows: Sequence[Row], ledger: Ledger) -> list[Row]:
    """The rows, best by the signals first."""
    checks = ledger.judgements.checks()
    return sorted(rows, key=lambda row: (-checks[row.id].points, row.position))
