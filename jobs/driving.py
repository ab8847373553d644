"""Drives the graph of a run to its end: from its start, or from where it was."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig

from ..config import RunConfig
from ..errors import RunStopped
from ..graph.build import Graph, build_graph
from ..graph.embedding import mend_vectors
from ..graph.finishing import finish
from ..graph.state import RunContext
from ..llms.stopping import StopSignal
from ..llms.timing import Timing
from ..records.events import Emit, LoopTotals, RunBegan, RunContinued, RunStopping
from ..stores.ledger import Ledger
from ..stores.queries.summary import RESUMABLE, Summary, summarise
from .opening import opened
from .recording import Recording
from .supervision import heartbeat, stopped_by_signals


async def drive(
    config: RunConfig,
    ledger: Ledger,
    emit: Emit,
    stop_signal: StopSignal,
    recording: Recording | None = None,
    timing: Timing | None = None,
) -> Summary:
    """Open what the run needs, run its graph, and return the summary; its settings are settled."""
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    emit(RunBegan(config.target_size, config.max_rounds))
    gc.freeze()  # what was imported lives on: collections need not look through it again
    async with (
        opened(config, ledger, emit, stop_signal, recording, timing) as context,
        # Without isolation each statement commits: no lock is held while this loop continues and
        # writes to the ledger.
        aiosqlite.connect(str(ledger.path), isolation_level=None) as checkpoints,
    ):
        graph = build_graph(config.recipe, AsyncSqliteSaver(checkpoints))
        with stopped_by_signals(stop_signal, emit), heartbeat(ledger):
            try:
                await _run_graph(graph, context)
            except RunStopped as stopped:  # by Ctrl-C, or outside of a node
                emit(RunStopping(stopped.reason, str(stopped)))
                finish(context, stopped.reason)
    return summarise(ledger)


async def _run_graph(graph: Graph, context: RunContext) -> None:
    """Run the graph from its start, or from where its checkpoints say that it was."""
    config, ledger, emit = context.config, context.stores.ledger, context.emit
    run_id = ledger.facts.read().run_id
    thread: RunnableConfig = {
        "configurable": {"thread_id": run_id},
        "recursion_limit": 10 + 7 * (config.max_rounds + 1),
    }
    state = await graph.aget_state(thread)
    if state.values:
        emit(_continued(config, ledger, state.values))
        if state.values.get("stop") or not state.next:  # it had come to its end
            after = _reopen(context, state.values)
            await graph.aupdate_state(thread, {"stop": ""}, as_node=after)
            state = await graph.aget_state(thread)
        last = _last_embedded(state.next, state.values, config)
        await mend_vectors(context.stores, context.embedder, last, emit)
    await graph.ainvoke(
        None if state.values else {"run_id": run_id},
        thread,
        context=context,
        durability="sync",
    )


def _continued(config: RunConfig, ledger: Ledger, values: Mapping[str, Any]) -> RunContinued:
    """What the run had reached."""
    round = values.get("round", 0)
    so_far = LoopTotals.of(r for r in ledger.rounds.all() if r["round"] <= round)
    return RunContinued(config.out, round, values.get("accepted", 0), so_far)


def _last_embedded(following: Sequence[str], values: Mapping[str, Any], config: RunConfig) -> int:
    """The last round whose rows have been embedded, -1 if none has."""
    if not {"ingest", "rewrite", "generate", "embed"} & set(following):
        return config.max_rounds
    return -1 if config.recipe == "paper" else int(values.get("round", 0)) - 1


def _reopen(context: RunContext, values: Mapping[str, Any]) -> str:
    """Prepare a finished run to continue; return the node to continue after.

    One that a cap or faults cut short decides its last round again, whole; one that may have
    more rows or rounds now continues from what it decided, first with rows that were not judged.
    """
    recipe, ledger = context.config.recipe, context.stores.ledger
    lift = recipe == "lift"
    if values["stop"] not in RESUMABLE:
        return "keep_varied" if recipe == "paper" else "deduplicate"
    round = values["round"] if lift else 0
    ledger.reopen(round)
    return "analyze" if lift and ledger.rounds.tasks(round, pending=True) else "ingest"
