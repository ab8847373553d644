"""A run's batches: those that it hands over, waits for, or no longer wants."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from ..config import RunConfig
from ..errors import LiftAgentError
from ..llms.backend import Backend
from ..llms.batches.batcher import Batcher
from ..llms.batches.opening import service_of
from ..llms.budget import Budget
from ..llms.loops import run_coroutine
from ..llms.ports import CallCache, ModelBackend
from ..llms.stopping import StopSignal
from ..llms.timing import Timing
from ..records import Batch
from ..records.events import BatchCancelled, BatchGoesOn, Emit, NoBatchEndpoint
from ..stores.layout import LEDGER
from ..stores.ledger import Ledger


def batcher_of(
    backend: ModelBackend,
    config: RunConfig,
    ledger: Ledger,
    budget: Budget,
    stop_signal: StopSignal,
    cache: CallCache | None,
    *,
    emit: Emit,
    timing: Timing | None,
) -> Batcher | None:
    """The batches of a model, where the run wants them or has some running."""
    under_way = any(batch.model == backend.name for batch in ledger.batches.open_batches())
    if not (config.batch or under_way):
        return None
    service = service_of(backend)
    if service is None or not isinstance(backend, Backend):
        emit(NoBatchEndpoint(backend.name))
        return None
    batcher = Batcher(
        service,
        backend,
        ledger.batches,
        budget,
        stop_signal,
        cache=cache,
        submits=config.batch,
        poll=config.batch_poll,
        timing=timing,
    )
    batcher.start()
    return batcher


def cancel_batches(folder: Path, opened: Callable[[str], Backend], emit: Emit) -> None:
    """Cancel the batches that the run in a folder still has running, as far as that can be done."""
    if not (folder / LEDGER).is_file():
        return
    with contextlib.closing(Ledger(folder / LEDGER)) as ledger:
        for batch in ledger.batches.open_batches():
            name = batch.id or batch.intent
            try:
                run_coroutine(_cancel(batch, opened(batch.model)))
                emit(BatchCancelled(name, batch.model))
            except Exception as error:  # whatever the provider's client raises
                why = str(error) if isinstance(error, LiftAgentError) else type(error).__name__
                emit(BatchGoesOn(name, batch.model, why))


async def _cancel(batch: Batch, backend: Backend) -> None:
    service = service_of(backend)
    if service is None:
        return
    try:
        if id := batch.id or await service.find(batch, set()):
            await service.cancel(id)
    finally:
        await service.close()
        if backend.close:
            await backend.close()
