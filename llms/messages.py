"""What goes into a gateway and comes out of it: requests, answers, and what they used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from ..records import Call
from .answers import Answered


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model: chat messages (role, content) and how to sample the answer.

    `prompt` is the name and version of the prompt, `sample` numbers repeated requests that want
    different answers, and at `stop_if_small` a small model's answer ends. `short` is what is asked
    instead of a model that gets short prompts, None if it is the same.
    """

    prompt: str
    messages: tuple[tuple[str, str], ...]
    temperature: float
    max_tokens: int
    sample: int = 0
    stop_if_small: tuple[str, ...] = ()
    short: Request | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer as text. `error` names the cause if there is none to use."""

    text: str = ""
    error: str = ""
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Parsed(Generic[Answered]):
    """An answer validated by its schema, or the cause for which there is none."""

    value: Answered | None
    error: str = ""


@dataclass(slots=True)
class Usage:
    """What this process has spent; `usd` is None if a price is unknown."""

    calls: int = 0
    failed: int = 0
    reused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0

    def add(self, call: Call) -> None:
        """Count a call."""
        self.calls += 1
        self.failed += bool(call.error)
        self.input_tokens += call.input_tokens
        self.output_tokens += call.output_tokens
        self.usd = None if self.usd is None or call.cost is None else self.usd + call.cost
