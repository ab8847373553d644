"""lift-agent: broaden an instruction dataset, remove redundancy, keep the best N rows.

The names of `api` are here too, loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Run as Run
    from .api import arun as arun
    from .api import coverage as coverage
    from .api import deduplicate as deduplicate
    from .api import read_rows as read_rows
    from .api import run as run
    from .api import select as select

__version__ = "0.1.0"
__all__ = ["Run", "arun", "coverage", "deduplicate", "read_rows", "run", "select"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
