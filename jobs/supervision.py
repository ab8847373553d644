"""What runs beside a run: the time that it takes is kept, and Ctrl-C makes it stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..llms.stopping import StopSignal
from ..records.events import Emit, StopAsked
from ..stores.ledger import Ledger

_HEARTBEAT = 5.0  # seconds between two notes of the time that the run has taken
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def heartbeat(ledger: Ledger) -> Iterator[None]:
    """Keep the time that the run has taken, for its cap on time, also if the process is killed."""
    loop = asyncio.get_running_loop()
    began, before = loop.time(), ledger.facts.read().seconds

    async def beat() -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT)
            with contextlib.suppress(sqlite3.Error):  # whoever writes next will say so
                ledger.facts.update(seconds=before + loop.time() - began)

    task = loop.create_task(beat())
    try:
        yield
    finally:
        task.cancel()


@contextmanager
def stopped_by_signals(stop_signal: StopSignal, emit: Emit) -> Iterator[None]:
    """First Ctrl-C: finish the calls in flight, then stop. Second: stop immediately.

    Only in the main thread: elsewhere signals do not come. What handled them before does again
    afterwards.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if stop_signal.stopped:
            task.cancel()
        else:
            ask_to_stop(stop_signal, emit)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop)
    except (NotImplementedError, RuntimeError):  # not the main thread, or Windows
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            if handler is not None:  # else it was not set from Python
                signal.signal(number, handler)


def ask_to_stop(stop_signal: StopSignal, emit: Emit) -> None:
    """Let the run stop after the calls in flight."""
    stop_signal.stopped = True
    emit(StopAsked())
