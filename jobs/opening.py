"""Opens the models and stores of a run, and builds its agents over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..agents.analyst import CoverageAnalyst
from ..agents.generator import Generator
from ..agents.probes import ProbeWriter
from ..agents.redundancy import RedundancyAgent
from ..agents.selector import Selector, TopSelector
from ..agents.smoke_test import ask_for_text
from ..config import Agent, RunConfig
from ..embedders import LazyEmbedder
from ..errors import RunStopped
from ..geometry.neighbours import Vectors
from ..graph.embedding import RowEmbedder
from ..graph.judging import Judges
from ..graph.mapping import RunMap
from ..graph.screening import ScreeningInputs
from ..graph.state import RunAgents, RunContext
from ..graph.stores import RunStores
from ..llms.backend import Backend
from ..llms.batches.batcher import Batcher
from ..llms.budget import Budget, Caps
from ..llms.calls import CallGateway
from ..llms.gateway import Gateway
from ..llms.messages import Usage
from ..llms.ports import CallCache, ModelBackend
from ..llms.providers import FIRST_CONCURRENCY
from ..llms.stopping import StopSignal
from ..llms.throttle import Throttle
from ..llms.timing import Timing
from ..records import Call
from ..records.events import (
    CallAnswered,
    Emit,
    ModelOpening,
    ModelTooSmall,
    ModelTried,
    TrialFailed,
)
from ..stores.cache import SharedCache, cache_path
from ..stores.layout import VECTORS
from ..stores.ledger import Ledger
from ..stores.vectors import VectorStore, open_vectors
from .batching import batcher_of
from .models import check_price, is_embedded, keep_identity, open_named
from .recording import Recording

AnyGateway = TypeVar("AnyGateway", bound=CallGateway[Any])


@asynccontextmanager
async def opened(
    config: RunConfig,
    ledger: Ledger,
    emit: Emit,
    stop_signal: StopSignal,
    recording: Recording | None = None,
    timing: Timing | None = None,
) -> AsyncIterator[RunContext]:
    """Open everything that a run needs; close it when the run ends."""
    caps = Caps(config.max_calls, config.max_tokens, config.budget_usd, config.max_time)
    budget = Budget(caps, ledger.calls.spent(), seconds=ledger.facts.read().seconds)
    shared = SharedCache(cache_path()) if config.cache and not recording else None
    models = RunModels(config, ledger, emit, stop_signal, budget, shared, recording, timing)
    stores: tuple[VectorStore, ...] = ()
    try:
        agents = _agents(config, ledger, models, emit)
        if not recording and not ledger.sources.all():
            await models.try_all()
        vectors, target_vectors = stores = open_vectors(config.out / VECTORS)
        embedder = None if config.embeddings else _embedder(config, ledger, vectors, models)
        yield RunContext(
            config=config,
            stores=RunStores(ledger, vectors, target_vectors),
            agents=agents,
            embedder=RowEmbedder(embedder, config.embeddings, stop_signal, emit),
            screening=agents.judges.inputs,
            map=RunMap(ledger, vectors, config.seed),
            stop_signal=stop_signal,
            emit=emit,
        )
    finally:
        await models.close()
        if shared:
            shared.close()
        for store in stores:
            store.close()
        ledger.facts.update(seconds=budget.seconds)


@dataclass(slots=True)
class AnnouncedUsage(Usage):
    """Counts what is spent, and announces it."""

    emit: Emit = field(kw_only=True)

    def add(self, call: Call) -> None:
        """Count a call."""
        Usage.add(self, call)
        self.emit(CallAnswered(call.input_tokens, call.output_tokens, call.cost))


class RunModels:
    """The models of a run, each opened once, behind gateways that share one budget."""

    def __init__(
        self,
        config: RunConfig,
        ledger: Ledger,
        emit: Emit,
        stop_signal: StopSignal,
        budget: Budget,
        shared: SharedCache | None,
        recording: Recording | None,
        timing: Timing | None,
    ) -> None:
        """Take what all gateways share; a `recording` takes the place of the models."""
        self.recording = recording
        self._config = config
        self._ledger = ledger
        self._emit = emit
        self._stop_signal = stop_signal
        self._budget = budget
        self._shared = shared
        self._timing = timing
        self._cache: CallCache | None = recording.calls if recording else shared
        self._usage = AnnouncedUsage(emit=emit)
        self._gateways: dict[str, Gateway] = {}
        self._backends: list[ModelBackend] = []
        self._batchers: list[Batcher] = []

    def gateway(self, name: str) -> Gateway | None:
        """The gateway to the model that the settings call `name`; "none" has none."""
        if name == "none":
            return None
        if name not in self._gateways:
            self._emit(ModelOpening(name))
            recording = self.recording
            backend = recording.backend(name) if recording else open_named(name, self._config)
            self._gateways[name] = self.gateway_to(name, backend, Gateway)
        return self._gateways[name]

    def gateway_to(
        self, name: str, backend: ModelBackend, kind: Callable[..., AnyGateway]
    ) -> AnyGateway:
        """The gateway to an opened backend, which keeps the identity that it had in this run."""
        config, table = self._config, self._config.table(name)
        self._backends.append(backend)
        check_price(backend, config)
        self._identify(name, backend)
        if self._shared and isinstance(backend, Backend):
            backend.capabilities.open(self._shared, f"{backend.name} {backend.identity}")
        return kind(
            backend,
            self._ledger.calls,
            self._budget,
            self._throttle(name, backend),
            cache=self._cache,
            batcher=self._batcher(backend),
            timeout=(table and table.timeout) or config.timeout,
            seed=config.seed,
            max_error_rate=config.max_error_rate,
            stop_signal=self._stop_signal,
            usage=self._usage,
            timing=self._timing,
        )

    def _identify(self, name: str, backend: ModelBackend) -> None:
        """Note the facts of a model, which keeps its identity."""
        known = self._ledger.facts.read().backends
        before = self.recording.backends if self.recording else known
        keep_identity(backend, before.get(name))
        self._ledger.facts.update(backends={**known, name: backend.facts()})

    def _batcher(self, backend: ModelBackend) -> Batcher | None:
        if self.recording:
            return None
        batcher = batcher_of(
            backend,
            self._config,
            self._ledger,
            self._budget,
            self._stop_signal,
            self._cache,
            emit=self._emit,
            timing=self._timing,
        )
        if batcher:
            self._batchers.append(batcher)
        return batcher

    def _throttle(self, name: str, backend: ModelBackend) -> Throttle:
        config, table = self._config, self._config.table(name)
        own = table and table.concurrency
        most = own or config.concurrency or backend.concurrency

        def check() -> None:
            self._stop_signal.check()
            self._budget.check_time()

        return Throttle(
            backend.name,
            most,
            start=None if own or config.concurrency else min(FIRST_CONCURRENCY, most),
            rpm=(table and table.rpm) or config.rpm,
            tpm=(table and table.tpm) or config.tpm,
            check=check,
            timing=self._timing,
        )

    async def try_all(self) -> None:
        """Before anything is read or paid for, see that the models on servers answer.

        Raises:
            ModelError: a model cannot be used at all.
        """
        for gateway in self._gateways.values():
            if is_embedded(gateway.backend):
                continue
            name = gateway.backend.name
            self._emit(ModelTried(name))
            try:
                fault = await ask_for_text(gateway)
            except RunStopped:  # the first node will meet it, too
                return
            if fault:
                self._emit(TrialFailed(name, fault))

    async def close(self) -> None:
        """Close the batches and the models."""
        for batcher in self._batchers:
            await batcher.close()
        for backend in self._backends:
            if backend.close:
                await backend.close()


def _agents(config: RunConfig, ledger: Ledger, models: RunModels, emit: Emit) -> RunAgents:
    """Build the agents of a run, each over the model that the settings give it."""
    gateways = {agent: models.gateway(config.model_of(agent)) for agent in _asking(config)}
    analyst, generator = gateways.get("analyst"), gateways.get("generator")
    inputs = ScreeningInputs(config, ledger)
    judges = _judging(config, models, emit)
    return RunAgents(
        analyst=CoverageAnalyst(analyst, config.seed) if analyst else None,
        probes=ProbeWriter(analyst, config.seed) if analyst else None,
        generator=Generator(generator) if generator else None,
        redundancy=RedundancyAgent(
            _settling(config, gateways.get("redundancy"), emit),
            config.candidate_cosine,
            config.borderline_cosine,
        ),
        judges=Judges(judges, config.scores, inputs),
        selector=_selector(config),
    )


def _asking(config: RunConfig) -> list[Agent]:
    """The agents that ask a model in such a run, but for the judge."""
    agents: list[Agent] = []
    if config.scores:
        return agents
    if config.max_rounds:
        agents += ["analyst", "generator"] if config.recipe == "lift" else ["generator"]
    if config.recipe != "paper":
        agents.append("redundancy")
    return agents


def _settling(config: RunConfig, model: Gateway | None, emit: Emit) -> Gateway | None:
    """The model that settles doubts about near-duplicates, if one does."""
    if model and not config.settles(small=model.backend.small):
        emit(ModelTooSmall(model.backend.name, "redundancy"))
        return None
    return model


def _judging(config: RunConfig, models: RunModels, emit: Emit) -> dict[str, Gateway]:
    """The judges' models by name, none where cheap signals judge instead."""
    main = None if config.judges or config.scores else models.gateway(config.llm)
    names = config.judging(small=bool(main and main.backend.small))
    if main and not names:
        emit(ModelTooSmall(main.backend.name, "judge"))
    return {name: found for name in names if (found := models.gateway(name))}


def _selector(config: RunConfig) -> Selector | TopSelector:
    if config.recipe == "paper":
        return TopSelector(config.target_size)
    return Selector(
        config.target_size,
        config.max_seed_share if config.max_rounds else 1.0,
        config.quality_weight,
        config.languages,
        config.apart_cosine,
    )


def _embedder(
    config: RunConfig, ledger: Ledger, vectors: VectorStore, models: RunModels
) -> LazyEmbedder:
    """The run's embedder, checked by a vector that it made before."""
    return LazyEmbedder(
        config.embedder,
        None if models.recording else _known_vector(ledger, vectors),
        **config.embedding,
        gateway=lambda backend: models.gateway_to(f"embedder {backend.name}", backend, CallGateway),
    )


def _known_vector(ledger: Ledger, vectors: VectorStore) -> tuple[str, Vectors] | None:
    """A row's text with the vector that it was given, if any row has one."""
    for id in vectors.ids(limit=9):
        for row in ledger.rows.by_id([id]).values():
            return row.text, vectors.get([id])
    return None
