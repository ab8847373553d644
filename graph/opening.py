"""Opens the models and stores of a run, and builds its agents over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ..agents.analyst import CoverageAnalyst
from ..agents.generator import Generator
from ..agents.probes import ProbeWriter
from ..agents.redundancy import RedundancyAgent
from ..agents.selector import Selector, TopSelector
from ..config import RunConfig
from ..embedders import LazyEmbedder
from ..errors import RunFolderError, UsageError
from ..llms.backend import Backend
from ..llms.batches.batcher import Batcher
from ..llms.budget import Budget, Caps
from ..llms.gateway import CallCache, Gateway, Switch
from ..llms.providers import FIRST_CONCURRENCY, open_backend
from ..llms.throttle import Throttle
from ..stores.cache import SharedCache, cache_path
from ..stores.ledger import Ledger
from ..stores.vectors import VECTORS, VectorStore, open_vectors
from .batching import batcher_of
from .progress import Progress
from .state import RunContext


@dataclass(frozen=True, slots=True)
class Recording:
    """What a replay takes in place of models: their facts by name, and their answers."""

    backends: dict[str, dict[str, Any]]
    calls: CallCache

    def backend(self, name: str) -> Backend:
        """The backend that the recorded run opened by this name; it can be asked nothing."""
        if name not in self.backends:
            raise RunFolderError(f"the recorded run does not say what {name} was: resume it once")
        return Backend(chat=None, **self.backends[name])


@asynccontextmanager
async def opened(
    config: RunConfig,
    ledger: Ledger,
    progress: Progress,
    switch: Switch,
    recording: Recording | None = None,
) -> AsyncIterator[RunContext]:
    """Open everything that a run needs; close it when the run ends."""
    backends: dict[str, Backend] = {}
    batchers: dict[str, Batcher] = {}
    gateways: dict[str, Gateway] = {}
    budget = Budget(_caps(config), ledger.spent(), seconds=ledger.noted("seconds", 0.0))
    shared = SharedCache(cache_path(), progress.say) if config.cache and not recording else None
    cache = recording.calls if recording else shared

    def gateway(name: str) -> Gateway | None:
        if name == "none":
            return None
        if name not in gateways:
            progress.activity = f"opening {name}"
            backend = recording.backend(name) if recording else backend_of(name, config)
            backends[name] = backend
            known = ledger.noted("backends", {})
            _identify(backend, known.get(name))
            ledger.note("backends", {**known, name: _facts(backend)})
            if shared:
                backend.learned.open(shared, f"{backend.name} {backend.identity}")
            if not recording and (
                batcher := batcher_of(backend, config, ledger, budget, switch, cache, progress.say)
            ):
                batchers[name] = batcher
            gateways[name] = Gateway(
                backend,
                ledger,
                budget,
                _throttle(backend, config, budget, progress, switch),
                cache=cache,
                batcher=batchers.get(name),
                timeout=config.timeout,
                seed=config.seed,
                max_error_rate=config.max_error_rate,
                switch=switch,
                usage=progress.usage,
            )
        return gateways[name]

    try:
        main = None if config.scores else gateway(config.llm)
        judge = _judge_gateway(config, main, gateway, progress)
        vectors, reference_vectors = open_vectors(config.out / VECTORS, progress.say)
        yield RunContext(
            config=config,
            ledger=ledger,
            vectors=vectors,
            reference_vectors=reference_vectors,
            embedder=None if config.embeddings else _embedder(config.embedder, ledger, vectors),
            gateway=main,
            judge_gateway=judge,
            analyst=CoverageAnalyst(main, config.seed) if main else None,
            probes=ProbeWriter(main, config.seed) if main else None,
            generator=Generator(main, config.seed) if main else None,
            redundancy=RedundancyAgent(main, config.candidate_cosine, config.borderline_cosine),
            selector=_selector(config),
            switch=switch,
            progress=progress,
        )
    finally:
        for batcher in batchers.values():
            await batcher.close()
        for backend in backends.values():
            if backend.close:
                await backend.close()
        if shared:
            shared.close()
        ledger.note("seconds", budget.seconds)


def backend_of(name: str, config: RunConfig) -> Backend:
    """Open a model as a run's settings say.

    Raises:
        UsageError: there is a cap on money, and its price is unknown.
    """
    backend = open_backend(name, config.base_url, timeout=config.timeout, prices=config.prices)
    if config.budget_usd is not None and backend.prices is None:
        raise UsageError(
            f"budget_usd needs the price of {name}, which is unknown: give it as --prices "
            f'"{name}=INPUT,OUTPUT", in USD per million tokens (0,0 if it costs nothing)'
        )
    return backend


def _identify(backend: Backend, before: dict[str, Any] | None) -> None:
    """Let a model keep the identity that it had in this run: its address may have changed.

    Raises:
        RunFolderError: it is another model, by its weights or its script.
    """
    if before and before["identity"] != backend.identity:
        if not backend.endpoint or backend.name.startswith("local:"):
            raise RunFolderError(
                f"{backend.name} is not the model that this run began with (its file has "
                "changed): bring that back, or use another folder with --out"
            )
        backend.identity = before["identity"]


def _facts(backend: Backend) -> dict[str, Any]:
    """What decides a call's identity and the agents' prompts; no address, no secret."""
    kept = ("name", "identity", "concurrency", "sampling", "openai_compatible", "prices")
    return {name: getattr(backend, name) for name in (*kept, "context", "small")}


def _caps(config: RunConfig) -> Caps:
    return Caps(config.max_calls, config.max_tokens, config.budget_usd, config.max_time)


def _throttle(
    backend: Backend, config: RunConfig, budget: Budget, progress: Progress, switch: Switch
) -> Throttle:
    def check() -> None:
        switch.check()
        budget.check_time()

    most = config.concurrency or backend.concurrency
    return Throttle(
        backend.name,
        most,
        start=None if config.concurrency else min(FIRST_CONCURRENCY, most),
        rpm=config.rpm,
        tpm=config.tpm,
        check=check,
        say=progress.say,
    )


def _embedder(name: str, ledger: Ledger, vectors: VectorStore) -> LazyEmbedder:
    """The run's embedder, checked by a vector that it made before."""
    for id in vectors.ids(limit=9):
        for row in ledger.rows_by_id([id]).values():
            return LazyEmbedder(name, (row.text, vectors.get([id])))
    return LazyEmbedder(name)


def _selector(config: RunConfig) -> Selector | TopSelector:
    if config.recipe == "paper":
        return TopSelector(config.target_size)
    seed_share = config.max_seed_share if config.max_rounds else 1.0
    return Selector(config.target_size, seed_share, config.quality_weight)


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
