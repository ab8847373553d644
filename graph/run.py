"""Starts or continues a run: opens its folder, stores and models, and drives the graph."""

from __future__ import annotations

import asyncio
import contextlib
import json
import platform
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from filelock import FileLock, Timeout
from langchain_core.runnables import RunnableConfig

from .. import __version__
from ..agents.analyst import CoverageAnalyst
from ..agents.generator import Generator
from ..agents.redundancy import RedundancyAgent
from ..agents.selector import Selector, TopSelector
from ..config import RunConfig
from ..embedders import open_embedder
from ..errors import Interrupted, RunFolderError, UsageError
from ..llms.backends import Backend, open_backend
from ..llms.budget import Budget
from ..llms.gateway import Gateway, Switch
from ..stores import ledger as ledgers
from ..stores import vectors as stores
from ..stores.given import load_embeddings, load_scores
from ..stores.ledger import Ledger
from ..stores.readers import fingerprint
from ..stores.summary import Summary, summarise
from ..stores.vectors import VectorStore
from ..stores.writers import write_settings
from .build import build_graph
from .nodes import finish
from .progress import Progress
from .state import RunContext

# Settings with which a run may be continued although they differ from those it began with.
MAY_CHANGE = {
    "base_url",
    "concurrency",
    "max_calls",
    "max_error_rate",
    "max_tokens",
    "rounds",
    "timeout",
}

# Stop reasons after which the same command continues the run.
MAY_GO_ON = ("interrupted", "budget", "errors")

_VERSIONS = ("langgraph", "langchain-core", "chromadb", "sentence-transformers", "numpy")


def run(config: RunConfig, progress: Progress) -> Summary:
    """Run to the end, or to a reason to stop; return the summary of the run.

    After Ctrl-C the reason is `interrupted`: everything is saved, what was accepted is exported.

    Raises:
        UsageError, SourceError, ModelError, RunFolderError: it cannot run or go on.
    """
    check_sources(config)
    with _folder(config.out), contextlib.closing(Ledger(config.out / ledgers.FILE)) as ledger:
        _settle_settings(config, ledger)
        return asyncio.run(_run(config, ledger, progress))


def check_sources(config: RunConfig) -> None:
    """Refuse what can be known to be wrong before anything is opened."""
    if not config.sources:
        raise UsageError("name at least one file of instruction data")
    for path in config.sources:
        if not path.exists():
            raise UsageError(f"there is no file {path}")
        if path.is_dir():
            raise UsageError(f"{path} is a folder: name the files in it")
    if len({path.resolve() for path in config.sources}) < len(config.sources):
        raise UsageError("the same source is named twice")
    if config.scores:
        load_scores(config.scores)
    if config.embeddings:
        load_embeddings(config.embeddings)


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make the run folder and hold its lock: one process a run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot make the run folder {folder}: {error.strerror}") from None
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunFolderError(f"another process is running in {folder}") from None
    except OSError as error:
        raise RunFolderError(f"cannot write in {folder}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def _settle_settings(config: RunConfig, ledger: Ledger) -> None:
    """Record the settings of a new run; compare those of one that goes on."""
    settings: dict[str, Any] = json.loads(config.model_dump_json(exclude={"out"}))
    if config.base_url:
        settings["base_url"] = _without_secrets(config.base_url)
    fingerprints = {str(path): fingerprint(path) for path in config.sources}
    before = ledger.noted("settings")
    if before is not None:
        if ledger.noted("stop") not in (None, *MAY_GO_ON):
            raise UsageError(
                f"{config.out} holds a finished run: give the new one another folder with --out"
            )
        differing = [
            f"{name} was {before.get(name)}, now {value}"
            for name, value in settings.items()
            if name not in MAY_CHANGE and before.get(name) != value
        ]
        if ledger.noted("fingerprints") != fingerprints:
            differing.append("a source file has changed")
        if differing:
            raise UsageError(
                f"{config.out} holds an unfinished run with other settings "
                f"({'; '.join(differing)}): use those, or another folder with --out"
            )
    ledger.note("settings", settings)
    ledger.note("fingerprints", fingerprints)
    ledger.note("target", config.target_size)
    if ledger.noted("run_id") is None:
        ledger.note("run_id", uuid.uuid4().hex)
    versions = {name: version(name) for name in _VERSIONS}
    about = {"lift_agent": __version__, "python": platform.python_version(), **versions}
    write_settings(config.out, {"run": settings, "sha256": fingerprints, "versions": about})


def _without_secrets(url: str) -> str:
    """An address without a user, a password, or parameters, where keys may stand."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


async def _run(config: RunConfig, ledger: Ledger, progress: Progress) -> Summary:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    progress.target, progress.max_rounds = config.target_size, config.max_rounds
    switch = Switch()
    async with (
        _open(config, ledger, progress, switch) as context,
        AsyncSqliteSaver.from_conn_string(str(ledger.path)) as checkpointer,
    ):
        graph = build_graph(config.recipe, checkpointer)
        thread: RunnableConfig = {
            "configurable": {"thread_id": ledger.noted("run_id")},
            "recursion_limit": 10 + 6 * (config.max_rounds + 1),
        }
        state = await graph.aget_state(thread)
        begun = bool(state.values)
        if begun:
            progress.say(f"continuing the run in {config.out}")
            _restore(progress, ledger, state.values)
            if not state.next:  # it had come to its end: go on where work is left
                ledger.reopen()
                open_tasks = ledger.tasks(progress.round, pending=True)
                after = "analyze" if open_tasks and config.recipe == "lift" else "ingest"
                await graph.aupdate_state(thread, {"stop": ""}, as_node=after)
        with _stop_on_interrupt(switch, progress):
            try:
                await graph.ainvoke(
                    None if begun else {"run_id": ledger.noted("run_id")},
                    thread,
                    context=context,
                    durability="sync",
                )
            except Interrupted:
                finish(context, "interrupted")
    return summarise(ledger)


def _restore(progress: Progress, ledger: Ledger, values: dict[str, Any]) -> None:
    """Let the screen go on from what the run had reached."""
    progress.round = values.get("round", 0)
    progress.accepted = values.get("accepted", 0)
    progress.count([r for r in ledger.rounds() if r["round"] <= progress.round])


@asynccontextmanager
async def _open(
    config: RunConfig, ledger: Ledger, progress: Progress, switch: Switch
) -> AsyncIterator[RunContext]:
    """Open the models and stores of a run and build its agents over them."""
    backends: dict[str, Backend] = {}
    usage = ledger.usage().values()
    budget = Budget(
        config.max_calls,
        config.max_tokens,
        calls=int(sum(u["attempts"] or 0 for u in usage)),
        tokens=int(sum((u["input_tokens"] or 0) + (u["output_tokens"] or 0) for u in usage)),
    )

    def gateway(name: str) -> Gateway | None:
        if name == "none":
            return None
        if name not in backends:
            progress.activity = f"opening {name}"
            backends[name] = open_backend(name, config.base_url, timeout=config.timeout)
        return Gateway(
            backends[name],
            ledger,
            budget,
            concurrency=config.concurrency,
            timeout=config.timeout,
            seed=config.seed,
            max_error_rate=config.max_error_rate,
            switch=switch,
            usage=progress.usage,
        )

    try:
        main = None if config.scores else gateway(config.llm)
        judge = _judge_gateway(config, main, gateway, progress)
        if not config.embeddings:
            progress.activity = f"opening {config.embedder}"
        embedder = (
            None if config.embeddings else await asyncio.to_thread(open_embedder, config.embedder)
        )
        selector = (
            TopSelector(config.target_size)
            if config.recipe == "paper"
            else Selector(
                config.target_size,
                config.max_seed_share if config.max_rounds else 1.0,
                config.quality_weight,
            )
        )
        yield RunContext(
            config=config,
            ledger=ledger,
            vectors=VectorStore(config.out / stores.FOLDER),
            embedder=embedder,
            gateway=main,
            judge_gateway=judge,
            analyst=CoverageAnalyst(main) if main else None,
            generator=Generator(main, config.seed) if main else None,
            redundancy=RedundancyAgent(main, config.duplicate_cosine, config.borderline_cosine),
            selector=selector,
            switch=switch,
            progress=progress,
        )
    finally:
        for backend in backends.values():
            if backend.close:
                await backend.close()


def _judge_gateway(
    config: RunConfig,
    main: Gateway | None,
    gateway: Callable[[str], Gateway | None],
    progress: Progress,
) -> Gateway | None:
    """The judge's model. A small one tells good rows from bad no better than chance does
    (benchmarks/small_judge.py), so unless it is asked for by name, cheap signals judge instead.
    """
    if config.judge_llm:
        return gateway(config.judge_llm)
    if main and main.backend.small:
        progress.say(
            f"{main.backend.name} is too small to judge: scoring by cheap signals "
            "(--judge-llm names a judge)"
        )
        return None
    return main


@contextmanager
def _stop_on_interrupt(switch: Switch, progress: Progress) -> Iterator[None]:
    """First Ctrl-C: finish the calls under way, then stop. Second: stop at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if switch.stopped:
            task.cancel()
            return
        switch.stopped = True
        progress.say("stopping after the calls under way (Ctrl-C again: at once)")

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
    except (NotImplementedError, RuntimeError):  # not the main thread, or Windows
        yield
        return
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
