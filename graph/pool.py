"""Concurrent work over many items, in which nothing finished is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from ..errors import RunStopped

Item = TypeVar("Item")


async def for_each(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], workers: int
) -> None:
    """Do `work` on every item, `workers` at a time.

    When one raises, no new item is begun, those in progress finish, and the first error is
    raised. `work` keeps its own result, so that what was finished before stays. An item that
    meets the end of the run (RunStopped) leaves the others their turn: those whose answers are
    known already cost nothing.
    """
    queue = iter(items)
    errors: list[Exception] = []
    stops: list[RunStopped] = []

    async def worker() -> None:
        for item in queue:
            if errors:
                return
            try:
                await work(item)
            except RunStopped as stop:
                stops.append(stop)
                await asyncio.sleep(0)
            except Exception as error:
                errors.append(error)

    await asyncio.gather(*(worker() for _ in range(workers)))
    if errors or stops:
        raise [*errors, *stops][0]
