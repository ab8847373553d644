"""The caps of a run: the worst case of a call is reserved before it is sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BudgetReached
from ..records import Spending

_FRAME = 64  # tokens around all messages, and around a schema that stands in the prompt


@dataclass(frozen=True, slots=True)
class Caps:
    """What a run may spend at most; None is no cap. `seconds` count from the run's first start."""

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    def crossed_by(self, spending: Spending) -> str:
        """Name the first cap that the spending crosses, "" if it crosses none."""
        for name, cap, spent in (
            ("max_calls", self.calls, spending.calls),
            ("max_tokens", self.tokens, spending.tokens),
            ("budget_usd", self.usd, spending.usd),
        ):
            if cap is not None and spent > cap:
                return f"{name} = {cap}"
        return ""


class Budget:
    """Keeps what was spent and what calls in flight may still spend under the caps."""

    def __init__(
        self, caps: Caps | None = None, spent: Spending | None = None, *, seconds: float = 0.0
    ) -> None:
        """Take the caps, and what the run spent before this process, in money and in time."""
        self.spent = spent or Spending()
        self._caps = caps or Caps()
        self._held = Spending()
        self._began = time.monotonic() - seconds
        self._settled = asyncio.Event()

    @property
    def seconds(self) -> float:
        """Time that the run has taken so far, over all its processes."""
        return time.monotonic() - self._began

    def check_time(self) -> None:
        """Raise BudgetReached when the time is up."""
        if self._caps.seconds is not None and self.seconds >= self._caps.seconds:
            raise BudgetReached(f"max_time = {self._caps.seconds:g} seconds is used up")

    async def reserve(self, worst: Spending) -> None:
        """Hold the worst case of a call until it is settled.

        Where it does not fit only because calls in flight hold too much, wait for these: most give
        back a part.

        Raises:
            BudgetReached: the call could cross a cap; nothing is held.
        """
        while True:
            self.check_time()
            if crossed := self._caps.crossed_by(self.spent + worst):
                raise BudgetReached(
                    f"the next call could cross {crossed} (spent or possibly billed: "
                    f"{self.spent.calls:,} calls, {self.spent.tokens:,} tokens, "
                    f"${self.spent.usd:.4f})"
                )
            if not self._caps.crossed_by(self.spent + self._held + worst):
                self._held += worst
                return
            self._settled.clear()
            await self._settled.wait()

    def hold(self, worst: Spending) -> None:
        """Take back a worst case that counts as spent: how it ends is still to be seen."""
        self.spent -= worst
        self._held += worst

    def settle(self, worst: Spending, spent: Spending) -> None:
        """Replace the worst case of a call by what it spent."""
        self._held -= worst
        if not self._held.calls:
            self._held = Spending()  # what adding and taking away has left of the dollars
        self.spent += spent
        self._settled.set()


def worst_case_tokens(request: Mapping[str, Any], thinking_tokens: int = 0) -> tuple[int, int]:
    """Most tokens that a request can use, in its prompt and in its answer with its thinking.

    No tokenizer makes more than one token of a UTF-8 byte; what a chat template puts around a
    message is counted as 16.
    """
    prompt = sum(len(content.encode("utf-8", "replace")) + 16 for _, content in request["messages"])
    schema = len(json.dumps(request["schema"])) if "schema" in request else 0
    return prompt + schema + _FRAME, int(request["max_tokens"]) + thinking_tokens
