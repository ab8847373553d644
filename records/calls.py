"""Requests to models: calls, what they spent, and batches of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model as it is kept in the ledger; `cost` is in USD, None if unknown.

    `reused` says that its answer was paid for earlier. Of its output, `reasoning_tokens` were
    thought, and of its input, `cached_tokens` came from the provider's cache; `way` is how an
    object was asked for.
    """

    key: str
    agent: str
    prompt: str
    subject: str
    round: int
    model: str
    request: Mapping[str, Any]
    response: str = ""
    finish_reason: str = ""
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0
    attempts: int = 1
    started: float = 0.0
    reused: bool = False
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    way: str = ""


@dataclass(frozen=True, slots=True)
class Spending:
    """Requests, tokens (prompts and answers together) and US dollars."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: Spending) -> Spending:
        return Spending(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: Spending) -> Spending:
        return Spending(self.calls - other.calls, self.tokens - other.tokens, self.usd - other.usd)


@dataclass(frozen=True, slots=True)
class BatchItem:
    """A call in a batch, without its answer: what was reserved for it, its room to think, and
    the number of its attempt.
    """

    call: Call
    worst: Spending
    room: int = 0
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """So many calls that are handed to a provider together.

    `intent` names it before the provider does; `created` is when it was about to be sent; `id` is
    the provider's name, "" as long as it is not known to have arrived.
    """

    intent: str
    model: str
    created: float
    calls: int
    items: tuple[BatchItem, ...]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request as it was sent for a call.

    `outcome` is answered, the fault, or "" where the process ended before either; `spent` is
    what it cost, or may have cost where no answer came.
    """

    started: float
    seconds: float | None
    outcome: str
    spent: Spending
