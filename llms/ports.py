"""What a gateway needs of others: a model to ask, and where its calls are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from ..errors import ModelError
from ..records import Batch, Call, Spending
from .faults import Fault
from .replies import Reply


class ModelBackend(Protocol):
    """An opened model, whether it answers with text or with vectors.

    A request is its `body`: everything that decides the answer.
    """

    name: str
    identity: str
    concurrency: int
    close: Callable[[], Awaitable[None]] | None

    @property
    def address(self) -> str:
        """The server's address as it may be shown, "" for the provider's own."""

    @property
    def priced(self) -> bool:
        """Whether the price of its tokens is known."""

    @property
    def thinking_tokens(self) -> int:
        """Tokens that an answer is given to think in, beyond its own length."""

    def facts(self) -> dict[str, Any]:
        """What decides a call's identity and the prompts; no address, no secret."""

    def worst(
        self, body: Mapping[str, Any], thinking_tokens: int = 0, share: float = 1.0
    ) -> Spending:
        """Most that a request can spend, at a share of the price."""

    async def send(self, body: Mapping[str, Any], thinking_tokens: int = 0) -> Reply:
        """Send one request and return the answer as it came.

        Raises:
            Exception: whatever `faults.fault_of` can name.
        """

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """USD that so many tokens cost, None if the price is unknown."""

    def cost_of(self, reply: Reply) -> float | None:
        """USD that an answer cost, None if its tokens or their price are unknown."""

    def crowded_out(self, reply: Reply, thinking_tokens: int) -> Fault | None:
        """The fault of an answer that thinking left no room for, if it would help to ask again
        with more than these tokens to think in.
        """

    def unusable(self, fault: Fault) -> ModelError:
        """The error of a fault that no request gets past, with what to do about it."""


class CallLog(Protocol):
    """Where calls are kept; the ledger is one."""

    def call(self, key: str) -> Call | None:
        """The call with this key, if it was made."""

    def begin_attempt(self, key: str, started: float, worst: Spending) -> int:
        """Commit, before it is sent, that a request may spend so much; return its number."""

    def end_attempt(self, attempt: int, seconds: float, outcome: str, spent: Spending) -> None:
        """Commit how a request without an answer ended, and what it may have spent."""

    def add_call(
        self, call: Call, attempt: int | None = None, spent: Spending | None = None
    ) -> None:
        """Commit a call, and with it the attempt that brought its answer and what it spent."""


class BatchLog(CallLog, Protocol):
    """Where batches are kept; the ledger is one."""

    def begin_batch(self, batch: Batch) -> Batch:
        """Commit a batch before it is submitted; return it with its items' attempts."""

    def name_batch(self, intent: str, id: str, state: str) -> None:
        """Keep the provider's name of a batch: it was sent, or found there."""

    def end_batch(self, intent: str, state: str) -> None:
        """Note how a batch ended; its answers have been kept."""

    def open_batches(self) -> list[Batch]:
        """The batches that have not ended."""

    def batches(self) -> list[dict[str, Any]]:
        """All batches, without their items."""


class CallCache(Protocol):
    """Answers of other runs, by the same keys."""

    def get(self, key: str) -> Call | None:
        """The call with this key as it ended there, if it was made."""

    def put(self, call: Call) -> None:
        """Keep an answered call."""
