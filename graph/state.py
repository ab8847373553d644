"""What the state machine carries from node to node: counters only, whatever the data's size.

Rows, vectors, prompts and models never enter it; they are in the stores, which nodes reach
through the `RunContext`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from ..agents.analyst import CoverageAnalyst
from ..agents.generator import Generator
from ..agents.probes import ProbeWriter
from ..agents.redundancy import RedundancyAgent
from ..agents.selector import Selector, TopSelector
from ..config import RunConfig
from ..llms.stopping import StopSignal
from ..records import StopReason
from ..records.events import Emit
from .embedding import RowEmbedder
from .judging import Judges
from .mapping import RunMap
from .screening import ScreeningInputs
from .stores import RunStores


class RunInput(TypedDict):
    """What a run is started with; everything else is in its context."""

    run_id: str


class RunState(RunInput):
    """The state of a run between two nodes; `stop` is the stop reason, "" while it runs."""

    round: int
    accepted: int
    stop: StopReason | Literal[""]


@dataclass(frozen=True, slots=True)
class RunAgents:
    """The agents of a run; a run that generates nothing has no analyst, probes and generator."""

    analyst: CoverageAnalyst | None
    probes: ProbeWriter | None
    generator: Generator | None
    redundancy: RedundancyAgent
    judges: Judges
    selector: Selector | TopSelector


@dataclass(frozen=True, slots=True)
class RunContext:
    """What the nodes of a run work with. Never checkpointed.

    Nodes `emit` what happens, and look at the `stop_signal` before they begin.
    """

    config: RunConfig
    stores: RunStores
    agents: RunAgents
    embedder: RowEmbedder
    screening: ScreeningInputs
    map: RunMap
    stop_signal: StopSignal
    emit: Emit
