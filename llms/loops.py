"""Runs coroutines from code that is not one, also where an event loop runs (a notebook)."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_coroutine(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end in an event loop of its own, and return its result.

    Where a loop is running in this thread, that loop waits meanwhile.
    """
    return outside_loop(lambda: asyncio.run(coroutine))


def outside_loop(work: Callable[[], Result], interrupt: Callable[[], None] | None = None) -> Result:
    """Do work that runs an event loop of its own: in a thread, if one is running in this thread.

    Args:
        work: what is to be done.
        interrupt: makes the work in the thread end early; called when this thread is interrupted
            (Ctrl-C) for the first time. The work's result is then waited for all the same.
    """
    if not _in_loop():
        return work()
    # What the thread logs or times belongs to the same context as the caller.
    context = contextvars.copy_context()
    pool = ThreadPoolExecutor(1, thread_name_prefix="lift-agent")
    try:
        future = pool.submit(context.run, work)
        try:
            return future.result()
        except KeyboardInterrupt:
            if interrupt is None:
                raise
            interrupt()
            return future.result()
    finally:
        pool.shutdown(wait=False)


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
