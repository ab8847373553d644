"""Opens the models and stores of a run, and builds its agents over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from ..agents.analyst import CoverageAnalyst
from ..agents.generator import Generator
from ..agents.probes import ProbeWriter
from ..agents.redundancy import RedundancyAgent
from ..agents.selector import Selector, TopSelector
from ..agents.smoke_test import ask_for_text
from ..config import EMBEDDED, Agent, RunConfig
from ..config.tables import ModelTable
from ..embedders import LazyEmbedder
from ..errors import RunFolderError, RunStopped, UsageError
from ..geometry.neighbours import Vectors
from ..graph.progress import Progress
from ..graph.screening import Yardsticks
from ..graph.state import RunContext
from ..llms.backend import Backend
from ..llms.batches.batcher import Batcher
from ..llms.budget import Budget, Caps
from ..llms.calls import CallGateway
from ..llms.gateway import Gateway
from ..llms.ports import CallCache, ModelBackend
from ..llms.providers import FIRST_CONCURRENCY, open_backend
from ..llms.stopping import StopSignal
from ..llms.throttle import Throttle
from ..llms.timing import Timing
from ..stores.cache import SharedCache, cache_path
from ..stores.layout import VECTORS
from ..stores.ledger import Ledger
from ..stores.vectors import VectorStore, open_vectors
from .batching import batcher_of

AnyGateway = TypeVar("AnyGateway", bound=CallGateway[Any])


@dataclass(frozen=True, slots=True)
class Recording:
    """What a replay takes in place of models: their facts by name, and their answers."""

    backends: Mapping[str, Mapping[str, Any]]
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
    switch: StopSignal,
    recording: Recording | None = None,
    timing: Timing | None = None,
) -> AsyncIterator[RunContext]:
    """Open everything that a run needs; close it when the run ends."""
    backends: dict[str, ModelBackend] = {}
    batchers: dict[str, Batcher] = {}
    stores: tuple[VectorStore, ...] = ()
    gateways: dict[str, Gateway] = {}
    budget = Budget(_caps(config), ledger.calls.spent(), seconds=ledger.facts.read().seconds)
    shared = SharedCache(cache_path(), progress.say) if config.cache and not recording else None
    cache = recording.calls if recording else shared

    def gateway(name: str) -> Gateway | None:
        if name == "none":
            return None
        if name not in gateways:
            progress.activity = f"opening {name}"
            backend = recording.backend(name) if recording else open_named(name, config)
            gateways[name] = asked(name, backend, Gateway)
        return gateways[name]

    def asked(name: str, backend: ModelBackend, kind: Callable[..., AnyGateway]) -> AnyGateway:
        """The gateway to an opened backend, which keeps the identity that it had in this run."""
        _check_price(backend, config)
        backends[name], table = backend, config.table(name)
        known = ledger.facts.read().backends
        before = recording.backends if recording else known
        _identify(backend, before.get(name))
        ledger.facts.update(backends={**known, name: backend.facts()})
        if shared and isinstance(backend, Backend):
            backend.capabilities.open(shared, f"{backend.name} {backend.identity}")
        if not recording and (
            batcher := batcher_of(
                *(backend, config, ledger, budget, switch, cache), say=progress.say, timing=timing
            )
        ):
            batchers[name] = batcher
        return kind(
            backend,
            ledger.calls,
            budget,
            _throttle(backend, config, table, budget, switch, timing),
            cache=cache,
            batcher=batchers.get(name),
            timeout=(table and table.timeout) or config.timeout,
            seed=config.seed,
            max_error_rate=config.max_error_rate,
            stop_signal=switch,
            usage=progress.usage,
            timing=timing,
        )

    def embedder() -> LazyEmbedder:
        """The run's embedder, checked by a vector that it made before."""
        return LazyEmbedder(
            config.embedder,
            None if recording else _known_vector(ledger, vectors),
            **config.embedding,
            gateway=lambda backend: asked(f"embedder {backend.name}", backend, CallGateway),
        )

    try:
        models = {agent: gateway(config.model_of(agent)) for agent in _agents(config)}
        analyst, generator = models.get("analyst"), models.get("generator")
        judges = _judges(config, gateway, progress)
        if not recording and not ledger.sources.all():
            await _smoke_test(gateways.values(), progress)
        vectors, reference_vectors = stores = open_vectors(config.out / VECTORS, progress.say)
        yield RunContext(
            config=config,
            ledger=ledger,
            vectors=vectors,
            reference_vectors=reference_vectors,
            embedder=None if config.embeddings else embedder(),
            gateway=generator,
            judges=judges,
            analyst=CoverageAnalyst(analyst, config.seed) if analyst else None,
            probes=ProbeWriter(analyst, config.seed) if analyst else None,
            generator=Generator(generator) if generator else None,
            redundancy=RedundancyAgent(
                _settling(config, models.get("redundancy"), progress),
                config.candidate_cosine,
                config.borderline_cosine,
            ),
            selector=_selector(config),
            yardsticks=Yardsticks(config, ledger),
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
        for store in stores:
            store.close()
        ledger.facts.update(seconds=budget.seconds)


def open_named(name: str, config: RunConfig) -> Backend:
    """Open the chat model that the settings call `name`.

    Raises:
        UsageError, ModelError: it cannot be opened.
    """
    backend = open_backend(
        name,
        config.base_url,
        timeout=config.timeout,
        prices=config.prices,
        tables=config.llms,
    )
    backend.compact = config.compact(backend.small)
    return backend


def _check_price(backend: ModelBackend, config: RunConfig) -> None:
    if config.budget_usd is not None and not backend.priced:
        raise UsageError(
            f"budget_usd needs the price of {backend.name}, which is unknown: give it as --prices "
            f'"{backend.name}=INPUT,OUTPUT", in USD per million tokens (0,0 if it costs nothing)'
        )


def _identify(backend: ModelBackend, before: Mapping[str, Any] | None) -> None:
    """Let a model keep the identity that it had in this run: its address may have changed.

    Raises:
        RunFolderError: it is another model, by its weights or its script.
    """
    if before and before["identity"] != backend.identity:
        if backend.name.partition(":")[0] in EMBEDDED:
            raise RunFolderError(
                f"{backend.name} is not the model that this run began with (its file has "
                "changed): bring that back, or use another folder with --out"
            )
        backend.identity = before["identity"]


def _caps(config: RunConfig) -> Caps:
    return Caps(config.max_calls, config.max_tokens, config.budget_usd, config.max_time)


def _throttle(
    backend: ModelBackend,
    config: RunConfig,
    table: ModelTable | None,
    budget: Budget,
    stop_signal: StopSignal,
    timing: Timing | None,
) -> Throttle:
    def check() -> None:
        stop_signal.check()
        budget.check_time()

    own = table and table.concurrency
    most = own or config.concurrency or backend.concurrency
    return Throttle(
        backend.name,
        most,
        start=None if own or config.concurrency else min(FIRST_CONCURRENCY, most),
        rpm=(table and table.rpm) or config.rpm,
        tpm=(table and table.tpm) or config.tpm,
        check=check,
        timing=timing,
    )


def _known_vector(ledger: Ledger, vectors: VectorStore) -> tuple[str, Vectors] | None:
    """A row's text with the vector that it was given, if any row has one."""
    for id in vectors.ids(limit=9):
        for row in ledger.rows.by_id([id]).values():
            return row.text, vectors.get([id])
    return None


def _selector(config: RunConfig) -> Selector | TopSelector:
    if config.recipe == "paper":
        return TopSelector(config.target_size)
    seed_share = config.max_seed_share if config.max_rounds else 1.0
    return Selector(
        config.target_size,
        seed_share,
        config.quality_weight,
        config.languages,
        config.apart_cosine,
    )


async def _smoke_test(gateways: Iterable[Gateway], progress: Progress) -> None:
    """Before anything is read or paid for, see that the models on servers answer.

    Raises:
        ModelError: a model cannot be used at all.
    """
    for gateway in gateways:
        if gateway.backend.name.partition(":")[0] in EMBEDDED:
            continue  # to open it was to try it
        progress.activity = f"asking {gateway.backend.name} for a first word"
        try:
            fault = await ask_for_text(gateway)
        except RunStopped:  # the first node will meet it, too
            return
        if fault:
            progress.say(f"{gateway.backend.name} did not answer a small request: {fault}")


def _agents(config: RunConfig) -> list[Agent]:
    """The agents that ask a model in such a run, but for the judge."""
    agents: list[Agent] = []
    if config.scores:
        return agents
    if config.max_rounds:
        agents += ["analyst", "generator"] if config.recipe == "lift" else ["generator"]
    if config.recipe != "paper":
        agents.append("redundancy")
    return agents


def _settling(config: RunConfig, model: Gateway | None, progress: Progress) -> Gateway | None:
    """The model that settles doubts about near-duplicates, if one does."""
    if model and not config.settles(small=model.backend.small):
        progress.say(
            f"{model.backend.name} is too small to settle doubts about near-duplicates: the rows' "
            "responses do (--redundancy-llm names a model)"
        )
        return None
    return model


def _judges(
    config: RunConfig, gateway: Callable[[str], Gateway | None], progress: Progress
) -> dict[str, Gateway]:
    """The judges' models by name, none where cheap signals judge instead."""
    main = None if config.judges or config.scores else gateway(config.llm)
    names = config.judging(small=bool(main and main.backend.small))
    if main and not names:
        progress.say(
            f"{main.backend.name} is too small to judge: scoring by cheap signals "
            "(--judge-llm names a judge)"
        )
    return {name: found for name in names if (found := gateway(name))}
