"""What agents share when they ask a model about several things at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from .texts import clip

Result = TypeVar("Result")


async def gather_all(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Do all of it at once; when some of it raises, the rest still ends before the first error.

    So nothing that was asked is left without its answer being kept.
    """
    results = await asyncio.gather(*work, return_exceptions=True)
    done: list[Result] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done


def bullet_list(tasks: Iterable[str], size: int = 200) -> str:
    """Tasks as a list, each on one line of at most `size` bytes; "(none)" if there is none."""
    return "\n".join(f"- {clip(' '.join(task.split()), size)}" for task in tasks) or "(none)"
