"""Opens the models and stores of a run, and builds its agents over them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..agents.analyst import CoverageAnalyst
from ..agents.generator import Generator
from ..agents.probes import ProbeWriter
from ..agents.redundancy import RedundancyAgent
from ..agents.selector import Selector, TopSelector
from ..config import Agent, RunConfig
from ..embedders import LazyEmbedder
from ..geometry.neighbours import Vectors
from ..graph.embedding import RowEmbedder
from ..graph.judging import Judges
from ..graph.mapping import RunMap
from ..graph.screening import ScreeningInputs
from ..graph.state import RunAgents, RunContext
from ..graph.stores import RunStores
from ..llms.budget import Budget, Caps
from ..llms.calls import CallGateway
from ..llms.gateway import Gateway
from ..llms.stopping import StopSignal
from ..llms.timing import Timing
from ..records.events import Emit, ModelTooSmall
from ..stores.cache import SharedCache, cache_path
from ..stores.layout import VECTORS
from ..stores.ledger import Ledger
from ..stores.vectors import VectorStore, open_vectors
from .gateways import RunModels
from .recording import Recording


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
