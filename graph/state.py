"""What the state machine carries from node to node: counters only, whatever the data's size.

Rows, vectors, prompts and models never enter it; they are in the stores, which nodes reach
through the `RunContext`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypedDict

from ..agents.analyst import CoverageAnalyst
from ..agents.generator import Generator
from ..agents.probes import ProbeWriter
from ..agents.redundancy import RedundancyAgent
from ..agents.selector import Selector, TopSelector
from ..config import RunConfig
from ..embedders import LazyEmbedder
from ..llms.gateway import Gateway
from ..llms.stopping import StopSignal
from ..records.stopping import StopReason
from ..stores.ledger import Ledger
from ..stores.vectors import VectorStore
from .progress import Progress

if TYPE_CHECKING:
    from .screening import Yardsticks


class RunInput(TypedDict):
    """What a run is started with; everything else is in its context."""

    run_id: str


class RunState(RunInput):
    """The state of a run between two nodes; `stop` is the stop reason, "" while it goes on."""

    round: int
    accepted: int
    stop: StopReason | Literal[""]


@dataclass(frozen=True)
class RunContext:
    """The stores, models and agents of a run. Never checkpointed.

    `gateway` is the generator's, None when the run generates nothing; `judges` are the models
    that judge, by name, none where cheap signals do.
    """

    config: RunConfig
    ledger: Ledger
    vectors: VectorStore
    reference_vectors: VectorStore
    embedder: LazyEmbedder | None
    gateway: Gateway | None
    judges: Mapping[str, Gateway]
    analyst: CoverageAnalyst | None
    probes: ProbeWriter | None
    generator: Generator | None
    redundancy: RedundancyAgent
    selector: Selector | TopSelector
    yardsticks: Yardsticks
    switch: StopSignal
    progress: Progress = field(default_factory=Progress)
