"""When a run stops, and for which one reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..config import RunConfig
from ..records import StopReason

WINDOW = 3  # rounds over which saturation is judged


def stop_reason(
    config: RunConfig, accepted: int, rounds: Sequence[Mapping[str, int]]
) -> StopReason | None:
    """Return why the run should stop after its last round, None if it should continue.

    The lift recipe broadens the data by at least one round, even where seeds alone would do.

    Args:
        config: the settings.
        accepted: rows of the target that the pool can fill.
        rounds: number, planned and accepted rows of each round so far; 0 is that of the seeds.
    """
    generated = [round for round in rounds if round["round"] > 0]
    if accepted >= config.target_size and (generated or config.max_rounds == 0):
        return "target"
    if len(generated) >= config.max_rounds:
        return "rounds"
    recent = generated[-WINDOW:]
    if recent and recent[-1]["planned"] == 0:
        return "saturated"
    if len(recent) == WINDOW:
        tried, taken = sum(r["planned"] for r in recent), sum(r["accepted"] for r in recent)
        if taken < config.saturation * tried:
            return "saturated"
    return None
