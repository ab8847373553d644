"""What a run is doing at this moment, for whoever wants to show it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..llms.messages import Usage


@dataclass
class Progress:
    """Kept up to date by the nodes; `say` announces what is worth a line of its own."""

    target: int = 0
    max_rounds: int = 0
    round: int = 0
    stage: str = "starting"
    activity: str = ""
    done: int = 0
    total: int = 0
    accepted: int = 0
    tried: int = 0
    taken: int = 0
    written: int = 0
    landed: int = 0
    subspaces: list[tuple[str, int]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    started: float = field(default_factory=time.monotonic)
    stage_began: float = field(default_factory=time.monotonic)
    loop_began: float = 0.0
    listener: Callable[[str], None] = lambda line: None

    def begin(self, stage: str, activity: str, total: int = 0) -> None:
        """Enter a stage of so many items."""
        self.stage, self.activity, self.done, self.total = stage, activity, 0, total
        self.stage_began = time.monotonic()
        if stage == "analyze" and not self.loop_began:
            self.loop_began = self.stage_began - self.started

    def step(self, count: int = 1) -> None:
        """Count finished items of the stage."""
        self.done += count

    def count(self, rounds: Sequence[Mapping[str, int]]) -> None:
        """Take the figures of the rounds that are closed, by which the rates are shown."""
        self.tried = sum(r["planned"] for r in rounds)
        self.written = sum(r["written"] for r in rounds)
        self.landed = sum(r["landed"] for r in rounds)
        self.taken = sum(r["accepted"] for r in rounds)

    def say(self, line: str) -> None:
        """Announce something to the user."""
        self.listener(line)
