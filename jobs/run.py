"""Starts, continues or replays a run: in a process of its own, or inside an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..config import RunConfig
from ..errors import RunFolderError
from ..llms.loops import outside_loop
from ..llms.stopping import StopSignal
from ..llms.timing import Timing
from ..records.events import CrashFound, Emit, unheard
from ..stores.folder import clear, held
from ..stores.layout import LEDGER
from ..stores.ledger import Ledger
from ..stores.queries.summary import Summary
from .batching import cancel_batches
from .driving import drive
from .models import open_named
from .preflight import check_settings
from .recording import Recording
from .settings import settle_settings
from .supervision import ask_to_stop

Recorded = tuple[Ledger, Recording]


def run(
    config: RunConfig,
    emit: Emit = unheard,
    *,
    force: bool = False,
    estimate: Mapping[str, Any] | None = None,
    recorded: Recorded | None = None,
    timing: Timing | None = None,
) -> Summary:
    """Run to the end, or to a reason to stop; return the summary of the run.

    After Ctrl-C the reason is `interrupted`: everything is saved, what was accepted is exported.
    Where an event loop is running in this thread (a notebook), the run has a thread of its own,
    and that loop waits for it; `arun` leaves it running.

    Args:
        config: the settings; an unfinished run in their folder is continued.
        emit: gets what happens, in the thread of the run.
        force: restart from scratch if the folder holds a run.
        estimate: what the run was thought to take, kept for its summary.
        recorded: a finished run's ledger and its answers, which take the place of the sources
            and the models; that ledger must have been opened in the thread of the run.
        timing: how long servers are waited for.

    Raises:
        UsageError, SourceError, ModelError, RunFolderError: it cannot run or continue.
    """
    stop_signal = StopSignal()

    def work() -> Summary:
        with _begun(config, emit, force, estimate, recorded) as ledger:
            recording = recorded and recorded[1]
            return asyncio.run(drive(config, ledger, emit, stop_signal, recording, timing))

    return outside_loop(work, interrupt=lambda: ask_to_stop(stop_signal, emit))


async def arun(
    config: RunConfig,
    emit: Emit = unheard,
    *,
    force: bool = False,
    estimate: Mapping[str, Any] | None = None,
) -> Summary:
    """Do what `run` does, in the event loop that is running.

    The run shares the loop: what it computes between its calls keeps the loop busy. To stop it,
    cancel its task, or press Ctrl-C if the loop is that of the main thread.

    Raises:
        UsageError, SourceError, ModelError, RunFolderError: it cannot run or continue.
    """
    with _begun(config, emit, force, estimate, None) as ledger:
        return await drive(config, ledger, emit, StopSignal())


@contextmanager
def _begun(
    config: RunConfig,
    emit: Emit,
    force: bool,
    estimate: Mapping[str, Any] | None,
    recorded: Recorded | None,
) -> Iterator[Ledger]:
    """Hold the run's folder, and its ledger with the settings that are settled for this run."""
    if not recorded:
        check_settings(config)
    try:
        with held(config.out) as crashed:
            if crashed and not force:
                emit(CrashFound(str(crashed), config.out))
            if force:
                cancel_batches(config.out, lambda name: open_named(name, config), emit)
                clear(config.out)
            with contextlib.closing(Ledger(config.out / LEDGER, sync=config.sync)) as ledger:
                if recorded:
                    _take_over(ledger, recorded[0])
                settle_settings(config, ledger, emit)
                if estimate and not ledger.facts.read().estimate:
                    ledger.facts.update(estimate=estimate)
                yield ledger
    except (OSError, sqlite3.Error) as error:
        raise RunFolderError(
            f"cannot write in {config.out}: {error}; all answers are saved: fix that (is "
            "the disk full?), then run the same command again"
        ) from None


def _take_over(ledger: Ledger, recorded: Ledger) -> None:
    """Take the sources of a replay from the run that it replays."""
    ledger.copy_sources(recorded)
    ledger.facts.update(
        replay_of=str(recorded.path.parent), fingerprints=recorded.facts.read().fingerprints
    )
