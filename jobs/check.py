"""Whether the models of a run can be used, by one small request of each kind that a run makes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..agents.smoke_test import AGENT, ask_for_object, ask_for_text
from ..config import Agent, RunConfig
from ..embedders import open_embedder
from ..errors import LiftAgentError
from ..formats.reading.readers import read_rows
from ..formats.reading.sources import files_of
from ..llms.backend import Backend
from ..llms.contexts import context_of
from ..llms.gateway import Gateway
from ..llms.loops import run_coroutine
from ..llms.structured import JSON_OBJECT, JSON_SCHEMA, PROMPT, TOOL
from ..records import Row
from ..stores.ledger import Ledger
from .estimate import Estimate, estimate
from .models import open_named

ROWS = 1000  # for which cost and time are told
_SEEDS = 200  # typical rows, where the settings name no sources
_TEXTS = 16  # that an embedder is timed with


@dataclass(frozen=True, slots=True)
class ModelFindings:
    """What was found of one model; `failed` says why it cannot be used, "" if it can.

    `answered` and `structured` are about a plain text and a valid object: "" where none came.
    `speed` is in tokens per second, `context` in tokens; None is unknown.
    """

    name: str
    agents: tuple[str, ...] = ()
    model: str = ""
    address: str = ""
    answered: bool = False
    structured: str = ""
    failed: str = ""
    seconds: float = 0.0
    speed: float | None = None
    context: int | None = None
    prices: Sequence[float] | None = None
    compact: bool = False


@dataclass(frozen=True, slots=True)
class EmbedderFindings:
    """What was found of the embedder; `failed` says why it cannot be used, "" if it can."""

    name: str
    failed: str = ""
    dimension: int = 0
    speed: float = 0.0


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found of all that was checked, and what the wanted rows would take."""

    models: tuple[ModelFindings, ...] = ()
    embedder: EmbedderFindings | None = None
    estimate: Estimate | None = None
    seeds: str = ""

    @property
    def usable(self) -> bool:
        """Whether a run can be made with all of it."""
        failed = [model.failed for model in self.models]
        return not any(failed) and not (self.embedder and self.embedder.failed)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for ``--json``."""
        return {
            "usable": self.usable,
            "models": [asdict(model) for model in self.models],
            "embedder": asdict(self.embedder) if self.embedder else None,
            "rows": ROWS,
            "estimate": self.estimate.as_dict() if self.estimate else None,
        }


def check(config: RunConfig, *, models: bool = True, embedder: bool = False) -> CheckReport:
    """Check the models that the settings name, and the embedder if asked."""
    names = config.models if models else ()
    checked = run_coroutine(_check_all(config, names))
    found = CheckReport(checked, _check_embedder(config) if embedder else None)
    if not models or not found.usable:
        return found
    speeds = {model.name: model.speed for model in checked if model.speed}
    try:
        rows, seeds = _seeds(config)
        wanted = config.model_copy(
            update={"recipe": "lift", "target_size": ROWS, "max_seed_share": 0.0, "rounds": None}
        )
        return replace(found, estimate=estimate(wanted, rows, None, speeds=speeds), seeds=seeds)
    except LiftAgentError:  # a model or a source that has to be there for it is not
        return found


async def _check_all(config: RunConfig, names: tuple[str, ...]) -> tuple[ModelFindings, ...]:
    """One after another: two models on one machine would slow each other down."""
    return tuple([await _checked(name, config) for name in names])


async def _checked(name: str, config: RunConfig) -> ModelFindings:
    try:
        backend = open_named(name, config)
    except LiftAgentError as error:
        return ModelFindings(name, _agents_of(name, config), failed=str(error))
    ledger = Ledger(Path(":memory:"))
    table = config.table(name)
    timeout = (table and table.timeout) or config.timeout
    gateway = Gateway(backend, ledger.calls, timeout=timeout, seed=config.seed)
    found = ModelFindings(
        name,
        _agents_of(name, config, small=backend.small),
        backend.name,
        backend.address,
        prices=backend.prices,
        compact=backend.compact,
    )
    try:
        return await _asked(found, gateway, ledger, timeout)
    finally:
        if backend.close:
            await backend.close()
        ledger.close()


async def _asked(
    found: ModelFindings, gateway: Gateway, ledger: Ledger, timeout: float
) -> ModelFindings:
    """Make both requests, the plain one first; what fails is said."""
    began = time.monotonic()
    if cause := await _cause(ask_for_text, gateway, timeout):
        return replace(found, failed=cause)
    found = replace(found, answered=True, seconds=time.monotonic() - began)
    cause = await _cause(ask_for_object, gateway, timeout)
    used = ledger.calls.usage()[AGENT]
    wrote, seconds = used["output_tokens"] or 0, used["seconds"] or 0
    return replace(
        found,
        structured="" if cause else structured_by(gateway.backend),
        failed=f"{gateway.backend.name} gives no valid object: {cause}" if cause else "",
        speed=wrote / seconds if wrote and seconds else None,
        context=await context_of(gateway.backend),
    )


async def _cause(ask: Callable[[Gateway], Awaitable[str]], gateway: Gateway, timeout: float) -> str:
    try:
        return await asyncio.wait_for(ask(gateway), timeout)
    except asyncio.TimeoutError:
        return f"{gateway.backend.name} gave no answer within {timeout:g} seconds"
    except LiftAgentError as error:
        return str(error)


_WAYS = {
    JSON_SCHEMA: "JSON schema",
    TOOL: "a tool call",
    JSON_OBJECT: "JSON mode",
    PROMPT: "the schema in the prompt",
}


def structured_by(backend: Backend) -> str:
    """Which way of asking for an object worked, in words."""
    return _WAYS[backend.capabilities.used(backend.output_modes)]


def _agents_of(name: str, config: RunConfig, *, small: bool = False) -> tuple[str, ...]:
    """The agents that ask a model."""
    agents: list[Agent] = ["analyst", "generator"]
    if config.settles(small=small):
        agents.append("redundancy")
    asked = [agent for agent in agents if config.model_of(agent) == name]
    return (*asked, *(["judge"] if name in config.judging(small=small) else []))


def _check_embedder(config: RunConfig) -> EmbedderFindings:
    name = config.embedder
    texts = [f"{number}. {'How does a text become a vector? ' * 8}" for number in range(_TEXTS)]
    try:
        embedder = open_embedder(name, **config.embedding)
        embedder.embed(texts[:1])  # opening it is not what is measured
        began = time.monotonic()
        vectors = embedder.embed(texts)
    except LiftAgentError as error:
        return EmbedderFindings(name, str(error))
    speed = _TEXTS / max(1e-9, time.monotonic() - began)
    return EmbedderFindings(name, "", vectors.shape[1], speed)


def _seeds(config: RunConfig) -> tuple[list[Row], str]:
    """The settings' own rows, or typical ones, and what they are in words."""
    if config.sources:
        files = files_of(config.sources)
        rows = [record for record in read_rows(files, config.map) if isinstance(record, Row)]
        return rows, f"{len(rows):,} seeds of {len(files)} files"
    typical = Row("", 0, "x" * 150, "", "x" * 450)
    return [typical] * _SEEDS, f"{_SEEDS} seeds of 600 characters"
