"""The screen over a run's stores: what new rows are compared with, and what is found of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..agents.contamination import Benchmarks, nearest_items
from ..agents.corpus_statistics import CorpusStatistics
from ..agents.screening import Screen
from ..config import RunConfig
from ..llms.stopping import StopSignal
from ..records import Row, ScreeningResult
from ..records.events import Emit, ItemsDone, Stage, StageBegan
from ..stores.ledger import Ledger
from .embedding import RowEmbedder
from .stores import RunStores

_CHUNK = 256  # rows that are screened between two looks at the stop signal


@dataclass(frozen=True)
class ScreeningInputs:
    """What new rows are compared with; made when first asked for, after the sources were read."""

    config: RunConfig
    ledger: Ledger

    @cached_property
    def benchmarks(self) -> Benchmarks | None:
        """What no row may leak, None if nothing was named."""
        items = self.ledger.sources.benchmarks()
        return Benchmarks(items, self.config.ngram) if items else None

    @cached_property
    def statistics(self) -> CorpusStatistics:
        """What is usual in the sources, so that rows of every round are compared with the same."""
        return CorpusStatistics.of(self.ledger.rows.find(origin="seed", round=0))

    @property
    def screen(self) -> Screen:
        """The screen as the settings want it."""
        return Screen(
            self.benchmarks,
            self.statistics,
            faults=self.config.prefilter,
            pii=self.config.pii,
            languages=self.config.languages.keys(),
        )


async def screen_rows(
    rows: Sequence[Row],
    inputs: ScreeningInputs,
    stores: RunStores,
    embedder: RowEmbedder,
    *,
    stop_signal: StopSignal,
    emit: Emit,
) -> list[ScreeningResult]:
    """Check rows, in chunks that are kept when they are done, and reject those that fail."""
    emit(StageBegan(Stage.SCREEN, len(rows)))
    near = await _rewordings(rows, inputs, stores, embedder)
    screen = inputs.screen
    checks: list[ScreeningResult] = []
    for start in range(0, len(rows), _CHUNK):
        stop_signal.check()
        part = slice(start, start + _CHUNK)
        done = [screen.screen(row, hit) for row, hit in zip(rows[part], near[part], strict=True)]
        stores.ledger.judgements.add_screening(done)
        emit(ItemsDone(len(done)))
        checks += done
        await asyncio.sleep(0)
    return checks


async def _rewordings(
    rows: Sequence[Row], inputs: ScreeningInputs, stores: RunStores, embedder: RowEmbedder
) -> list[tuple[int, float] | None]:
    """For each row the item of a benchmark that its embedding comes near, with the cosine."""
    benchmarks, limit = inputs.benchmarks, inputs.config.leak_cosine
    if benchmarks is None or not rows or limit == 1:
        return [None] * len(rows)
    texts = [(i, text) for i, item in enumerate(benchmarks.items) for text in item.as_rows()]
    await embedder.embed([text for _, text in texts], stores.target_vectors)
    return nearest_items(
        stores.vectors.get([row.id for row in rows]),
        stores.target_vectors.get([text.id for _, text in texts]),
        [i for i, _ in texts],
        limit,
    )
