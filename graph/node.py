"""What makes a function a node of the graph."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from langgraph.runtime import Runtime

from ..errors import Interrupted, RunStopped
from ..records.events import RunStopping
from .state import RunContext, RunState

Update = dict[str, Any]


class Node(Protocol):
    """A node as LangGraph calls it."""

    def __call__(self, state: RunState, *, runtime: Runtime[RunContext]) -> Awaitable[Update]:
        """Do the node's work; return what changes in the state."""


def node(body: Callable[[RunState, RunContext], Awaitable[Update]]) -> Node:
    """Make a node: a cap that is reached in it becomes the run's stop reason.

    Ctrl-C goes through as an exception instead, so that the node runs again on resume.
    """

    async def run(state: RunState, *, runtime: Runtime[RunContext]) -> Update:
        context = runtime.context
        context.stop_signal.check()
        try:
            return await body(state, context)
        except Interrupted:
            raise
        except RunStopped as stopped:
            context.emit(RunStopping(stopped.reason, str(stopped)))
            return {"stop": stopped.reason}

    # Not functools.wraps: LangGraph would follow it to the body's parameters.
    run.__name__, run.__doc__ = body.__name__, body.__doc__
    return run
