"""A run's batches: those that it hands over, waits for, or no longer wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from ..config import RunConfig
from ..errors import LiftAgentError
from ..llms.backend import Backend
from ..llms.batches.batcher import Batcher
from ..llms.batches.opening import service_of
from ..llms.budget import Budget
from ..llms.ports import CallCache, ModelBackend
from ..llms.stopping import StopSignal
from ..llms.timing import Timing
from ..records import Batch
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
    say: Callable[[str], None],
    timing: Timing | None,
) -> Batcher | None:
    """The batches of a model, where the run wants them or has some under way."""
    under_way = any(batch.model == backend.name for batch in ledger.batches.open_batches())
    if not (config.batch or under_way):
        return None
    service = service_of(backend)
    if service is None or not isinstance(backend, Backend):
        say(f"{backend.name} has no batch endpoint: its calls are sent one by one")
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


def cancel_batches(
    folder: Path, opened: Callable[[str], Backend], say: Callable[[str], None]
) -> None:
    """Cancel the batches that the run in a folder has under way, as far as that can be done."""
    if not (folder / LEDGER).is_file():
        return
    with contextlib.closing(Ledger(folder / LEDGER)) as ledger:
        for batch in ledger.batches.open_batches():
            try:
                asyncio.run(_cancel(batch, opened(batch.model)))
                say(f"cancelled batch {batch.id or batch.intent} of {batch.model}")
            except Exception as error:  # whatever the provider's client raises
                why = str(error) if isinstance(error, LiftAgentError) else type(error).__name__
                say(f"batch {batch.id or batch.intent} of {batch.model} goes on: {why}")


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
