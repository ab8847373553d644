"""The redundancy agent's verdicts on labelled pairs, as it gives them in the product."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from pairs import Pair

from lift_agent.agents.redundancy import RedundancyAgent, SameTask
from lift_agent.config import RunConfig
from lift_agent.geometry.neighbours import Vectors
from lift_agent.records import Verdict

CANDIDATE = RunConfig.model_fields["candidate_cosine"].default
BORDERLINE = RunConfig.model_fields["borderline_cosine"].default


class NoModel:
    """A gateway that says "same" to all it is asked, so that what is asked can be counted."""

    def room(self, _: int) -> None:
        """No limit."""

    async def ask_for(self, *_: Any, **__: Any) -> Any:
        """Always the same."""
        return SimpleNamespace(value=SameTask(reason="asked", same=True), error="")


async def agent_verdicts(
    pairs: Sequence[Pair], first: Vectors, second: Vectors, gateway: Any
) -> list[Verdict]:
    """The verdict on each pair's second row, where the first stays: `layer` is "model" where the
    gateway settled it. `first` and `second` are the rows' vectors.
    """
    agent = RedundancyAgent(gateway, CANDIDATE, BORDERLINE)
    found = []
    for pair, a, b in zip(pairs, first, second, strict=True):
        verdicts, _ = await agent.find_duplicates([pair.second], b[None], [pair.first], a[None])
        found += verdicts
    return found
