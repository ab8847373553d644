"""What a run is doing at this moment, kept up to date by its events: what the live screen shows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ..records import events as e
from .events import activity

# Stages whose items are counted one by one as they are done.
_COUNTED = (
    *(e.Stage.EMBED, e.Stage.SCREEN, e.Stage.JUDGE),
    *(e.Stage.BREAK_TIES, e.Stage.GENERATE),
)
_ANALYST = (e.Stage.PROBE, e.Stage.ANALYZE)


@dataclass(slots=True)
class LiveState:
    """The state of a run as it is shown; times are those of the monotonic clock, in seconds."""

    target: int = 0
    max_rounds: int = 0
    round: int = 0
    stage: e.Stage | None = None
    activity: str = ""
    done: int = 0
    total: int = 0
    accepted: int = 0
    so_far: e.LoopTotals = field(default_factory=e.LoopTotals)
    subspaces: tuple[tuple[str, int], ...] = ()
    calls: int = 0
    tokens: int = 0
    usd: float | None = 0.0
    started: float = field(default_factory=time.monotonic)
    stage_began: float = field(default_factory=time.monotonic)
    loop_began: float = 0.0

    def update(self, event: e.Event) -> None:
        """Take an event in."""
        self.activity = activity(event) or self.activity
        match event:
            case e.RunBegan(target, max_rounds):
                self.target, self.max_rounds = target, max_rounds
            case e.RunContinued(round=round, accepted=accepted, so_far=so_far):
                self.round, self.accepted, self.so_far = round, accepted, so_far
            case e.RoundBegan(round):
                self.round = round
            case e.StageBegan(stage, items):
                self._begin(stage, items)
            case e.ItemsDone(count):
                self.done += count
            case e.RoundPlanned(subspaces=subspaces):
                self.subspaces = subspaces
            case e.PoolCounted(accepted=accepted, so_far=so_far):
                self.accepted, self.so_far = accepted, so_far
            case e.CallAnswered(read, written, usd):
                self.calls += 1
                self.tokens += read + written
                self.usd = None if self.usd is None or usd is None else self.usd + usd

    def _begin(self, stage: e.Stage, items: int) -> None:
        self.stage, self.done, self.total = stage, 0, items if stage in _COUNTED else 0
        self.stage_began = time.monotonic()
        if stage in _ANALYST and not self.loop_began:
            self.loop_began = self.stage_began - self.started


def expected(state: LiveState, now: float) -> float | None:
    """Seconds that the run may still take, None while there is nothing to judge by.

    Before the first round it is the rest of the stage at its pace; then what is missing, at the
    pace at which rows were accepted so far.
    """
    passed, taken = now - state.started, state.so_far.accepted
    if taken and state.round > 1:
        missing = state.target - state.accepted
        return missing * (passed - state.loop_began) / taken if missing > 0 else None
    if state.total and state.done >= 5 and state.done < state.total:
        return (now - state.stage_began) * (state.total - state.done) / state.done
    return None
