"""Starts, continues or replays a run, and drives the graph to its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import platform
import signal
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from pydantic import ValidationError

from .. import __version__
from ..agents.language import known_languages
from ..config import MAY_CHANGE, RunConfig
from ..config.tables import decisive
from ..errors import RunFolderError, RunStopped, UsageError
from ..formats.reading.precomputed import load_embeddings, load_scores
from ..formats.reading.readers import fingerprint
from ..formats.reading.sources import File, check_distinct, files_of, keep, place_of
from ..formats.writing.writers import write_settings
from ..graph.build import build_graph
from ..graph.embedding import mend_vectors
from ..graph.nodes import finish
from ..graph.progress import Progress
from ..graph.state import RunContext
from ..llms.names import check_name
from ..llms.stopping import StopSignal
from ..llms.timing import Timing
from ..redaction import redacted_value, without_credentials
from ..stores.folder import clear, held, opened_ledger
from ..stores.layout import LEDGER
from ..stores.ledger import Ledger
from ..stores.queries.summary import RESUMABLE, Summary, summarise
from .batching import cancel_batches
from .opening import Recording, open_named, opened

_HEARTBEAT = 5.0  # seconds between two notes of the time that the run has taken
_ADDRESSES = ("base_url", "embedder_base_url")
_VERSIONS = ("langgraph", "langchain-core", "chromadb", "sentence-transformers", "numpy")


def run(
    config: RunConfig,
    progress: Progress,
    *,
    force: bool = False,
    estimate: Mapping[str, Any] | None = None,
    recorded: tuple[Ledger, Recording] | None = None,
    timing: Timing | None = None,
) -> Summary:
    """Run to the end, or to a reason to stop; return the summary of the run.

    After Ctrl-C the reason is `interrupted`: everything is saved, what was accepted is exported.

    Args:
        config: the settings; an unfinished run in their folder is continued.
        progress: told what happens.
        force: start anew where the folder holds a run.
        estimate: what the run was thought to take, kept for its summary.
        recorded: a finished run's ledger and its answers, which take the place of the sources
            and the models.
        timing: how long servers are waited for.

    Raises:
        UsageError, SourceError, ModelError, RunFolderError: it cannot run or go on.
    """
    if not recorded:
        check_settings(config)
    try:
        with held(config.out) as crashed:
            if crashed and not force:
                progress.say(f"{crashed} ended in {config.out} without a word: going on from there")
            if force:
                cancel_batches(config.out, lambda name: open_named(name, config), progress.say)
                clear(config.out)
            with contextlib.closing(Ledger(config.out / LEDGER, sync=config.sync)) as ledger:
                if recorded:
                    ledger.copy_sources(recorded[0])
                    ledger.facts.update(
                        replay_of=str(recorded[0].path.parent),
                        fingerprints=recorded[0].facts.read().fingerprints,
                    )
                _settle_settings(config, ledger, progress)
                if estimate and not ledger.facts.read().estimate:
                    ledger.facts.update(estimate=estimate)
                recording = recorded and recorded[1]
                return asyncio.run(_run(config, ledger, progress, recording, timing))
    except (OSError, sqlite3.Error) as error:
        raise RunFolderError(
            f"cannot write in {config.out}: {error}; what was answered is saved: mend that (is "
            "the disk full?), then run the same command again"
        ) from None


def check_settings(config: RunConfig) -> None:
    """Refuse what can be known to be wrong before anything is opened."""
    if not config.sources:
        raise UsageError("name at least one file of instruction data")
    for name in config.models:
        check_name(name, config.llms)
    if unknown := config.languages.keys() - (known_languages() if config.languages else ()):
        raise UsageError(f"languages: {', '.join(sorted(unknown))} cannot be detected")
    if config.scores:
        load_scores(config.scores)
    if config.embeddings:
        load_embeddings(config.embeddings)


def check_sources(config: RunConfig, run: Path | None = None) -> tuple[list[File], ...]:
    """Refuse sources that are not there, or are named twice; `run` is the folder that keeps some.

    A benchmark may be both what to go toward and what no row may leak, but never a source.

    Returns the files to read, those of `toward` and those of `decontaminate`.
    """
    named = (config.sources, config.toward, config.decontaminate)
    found = tuple(files_of(sources, run) for sources in named)
    for others in found[1:]:
        check_distinct([*found[0], *others])
    return found


def settings_of(folder: Path) -> RunConfig:
    """The settings with which the run in a folder was last started.

    Raises:
        RunFolderError: there is no run in the folder.
    """
    with opened_ledger(folder) as ledger:
        settings = ledger.facts.read().settings
    if settings is None:
        raise RunFolderError(f"the run in {folder} ended before it began: start it with run")
    try:
        return RunConfig(**settings, out=folder)
    except ValidationError:
        raise RunFolderError(
            f"the run in {folder} has settings of another version of lift-agent"
        ) from None


def _settle_settings(config: RunConfig, ledger: Ledger, progress: Progress) -> None:
    """Record the settings of a new run; compare those of one that goes on."""
    settings: dict[str, Any] = json.loads(config.model_dump_json(exclude={"out"}))
    for address in _ADDRESSES:
        if settings[address]:
            settings[address] = without_credentials(settings[address])
    settings["llms"] = _used_tables(config)
    settings = redacted_value(settings)
    read = bool(ledger.sources.all())
    facts = ledger.facts.read()
    known = facts.fingerprints
    fingerprints = known
    if not read:
        keep((*config.sources, *config.toward, *config.decontaminate), config.out)
        files = chain(*check_sources(config, config.out))
        fingerprints = {file.name: fingerprint(file.path) for file in files}
    elif not facts.replay_of:
        places = {name: place_of(name, config.out) for name in known}
        fingerprints = {
            name: fingerprint(path) if path.is_file() else known[name]
            for name, path in places.items()
        }
    if facts.settings is not None:
        before = {**_defaults(), **facts.settings}  # settings that are newer than the run
        _compare(config, ledger, before, settings)
        if read and known != fingerprints:
            raise UsageError(
                f"a source of the run in {config.out} has changed since it was read: bring it "
                "back, or use another folder with --out"
            )
        for name, value in settings.items():
            if before.get(name) != value:
                progress.say(f"{name} was {_shown(before.get(name))}, now {_shown(value)}")
        if read and config.target_size > before["target_size"]:
            ledger.facts.update(extended=facts.extended or before["target_size"])
        ledger.facts.update(stop=None)  # from now on it has not ended
    ledger.facts.update(
        run_id=facts.run_id or uuid.uuid4().hex,
        settings=settings,
        fingerprints=fingerprints,
        target=config.target_size,
    )
    versions = {name: version(name) for name in _VERSIONS}
    about = {"lift_agent": __version__, "python": platform.python_version(), **versions}
    write_settings(config.out, {"run": settings, "sha256": fingerprints, "versions": about})


def _used_tables(config: RunConfig) -> dict[str, dict[str, Any]]:
    """The tables of the models that the run asks, with no secret in them."""
    used = {name: config.table(name) for name in config.models}
    written = {name: table.model_dump(mode="json") for name, table in used.items() if table}
    for table in written.values():
        if "base_url" in table:
            table["base_url"] = without_credentials(table["base_url"])
    return written


def _defaults() -> dict[str, Any]:
    defaults: dict[str, Any] = json.loads(RunConfig().model_dump_json(exclude={"out"}))
    return defaults


def _compare(
    config: RunConfig, ledger: Ledger, before: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """Refuse to go on with a run that is finished, or that was begun otherwise."""
    facts = ledger.facts.read()
    stop = facts.stop
    more_rows = config.target_size > before["target_size"]
    more_rounds = stop == "rounds" and config.max_rounds > len(ledger.rounds.all()) - 1
    differing = [
        f"{name} was {_shown(before.get(name))}, now {_shown(value)}"
        for name, value in settings.items()
        if before.get(name) != value
        and (name != "llms" or decisive(before.get(name) or {}) != decisive(value))
        # Another address may be given, but not none: the rows would go to somebody else.
        and (name not in MAY_CHANGE or (name in _ADDRESSES and value is None))
    ]
    if config.target_size < before["target_size"]:
        differing.append(
            f"target_size was {before['target_size']}, now {config.target_size}: it may only grow"
        )
    if config.max_rounds < len(ledger.rounds.all()) - 1:
        differing.append(f"rounds is now {config.max_rounds}, but there were more already")
    if facts.replay_of:
        raise UsageError(f"{config.out} holds a replay: go on with the run that it replays")
    if differing:
        raise UsageError(
            f"{config.out} holds a run with other settings ({'; '.join(differing)}): use those, "
            "another folder with --out, or --force to start anew"
        )
    if stop not in (None, *RESUMABLE) and not more_rows and not more_rounds:
        raise UsageError(
            f"{config.out} holds a finished run: give the new one another folder with --out, or "
            "--force to start anew"
        )


def _shown(value: Any) -> str:
    return "not set" if value in (None, {}, []) else str(value)


async def _run(
    config: RunConfig,
    ledger: Ledger,
    progress: Progress,
    recording: Recording | None,
    timing: Timing | None,
) -> Summary:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    progress.target, progress.max_rounds = config.target_size, config.max_rounds
    switch = StopSignal()
    gc.freeze()  # what was imported lives on: collections need not look through it again
    run_id = ledger.facts.read().run_id
    async with (
        opened(config, ledger, progress, switch, recording, timing) as context,
        # Without isolation each statement commits: no lock is held while this loop goes on and
        # writes to the ledger.
        aiosqlite.connect(str(ledger.path), isolation_level=None) as checkpoints,
    ):
        graph = build_graph(config.recipe, AsyncSqliteSaver(checkpoints))
        thread: RunnableConfig = {
            "configurable": {"thread_id": run_id},
            "recursion_limit": 10 + 7 * (config.max_rounds + 1),
        }
        state = await graph.aget_state(thread)
        with _stop_on_interrupt(switch, progress), _heartbeat(ledger):
            try:
                if state.values:
                    progress.say(f"continuing the run in {config.out}")
                    _restore(progress, ledger, state.values)
                    if state.values.get("stop") or not state.next:  # it had come to its end
                        after = _reopen(context, state.values)
                        await graph.aupdate_state(thread, {"stop": ""}, as_node=after)
                        state = await graph.aget_state(thread)
                    await mend_vectors(context, _embedded(state.next, state.values, config))
                await graph.ainvoke(
                    None if state.values else {"run_id": run_id},
                    thread,
                    context=context,
                    durability="sync",
                )
            except RunStopped as stopped:  # by Ctrl-C, or outside of a node
                progress.say(f"stopping: {stopped}")
                finish(context, stopped.reason)
    return summarise(ledger)


def _restore(progress: Progress, ledger: Ledger, values: Mapping[str, Any]) -> None:
    """Let the screen go on from what the run had reached."""
    progress.round = values.get("round", 0)
    progress.accepted = values.get("accepted", 0)
    progress.count([r for r in ledger.rounds.all() if r["round"] <= progress.round])


def _embedded(following: Sequence[str], values: Mapping[str, Any], config: RunConfig) -> int:
    """The last round whose rows have been embedded, -1 if none has."""
    if not {"ingest", "rewrite", "generate", "embed"} & set(following):
        return config.max_rounds
    return -1 if config.recipe == "paper" else int(values.get("round", 0)) - 1


def _reopen(context: RunContext, values: Mapping[str, Any]) -> str:
    """Make a run that came to its end ready to go on; return the node to go on after.

    One that a cap or faults cut short decides its last round again, whole; one that may have
    more rows or rounds now goes on from what it decided, first with rows that were left unjudged.
    """
    lift = context.config.recipe == "lift"
    if values["stop"] not in RESUMABLE:
        return "keep_varied" if context.config.recipe == "paper" else "deduplicate"
    round = values["round"] if lift else 0
    context.ledger.reopen(round)
    return "analyze" if lift and context.ledger.rounds.tasks(round, pending=True) else "ingest"


@contextmanager
def _heartbeat(ledger: Ledger) -> Iterator[None]:
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
def _stop_on_interrupt(switch: StopSignal, progress: Progress) -> Iterator[None]:
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
