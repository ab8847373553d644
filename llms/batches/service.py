"""What a provider's batch endpoint does for the batcher."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...records import Batch
from ..backend import Backend
from ..faults import Fault, OtherwiseError, fault_of
from ..replies import Reply

BATCH_SHARE = 0.5  # of the price, at every provider that has batches


class BatchRefusedError(Exception):
    """The provider looked at a batch and will not work on it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a batch has come: of so many requests so many are done.

    Those that a `cancelled` one has not done were dropped on purpose.
    """

    ended: bool
    done: int
    total: int
    cancelled: bool = False


class BatchService(Protocol):
    """A provider's batch endpoint. All verbs raise what the connection raises."""

    most_requests: int
    most_bytes: int

    def line(self, key: str, body: dict[str, Any], thinking_tokens: int) -> bytes:
        """One request of a batch, named by its call's key."""

    async def create(self, intent: str, lines: Sequence[bytes]) -> str:
        """Submit a batch; return its name."""

    async def find(self, batch: Batch, others: set[str]) -> str | None:
        """The name of a batch that was perhaps submitted, and is none of the `others`."""

    async def standing(self, id: str) -> Standing:
        """How far a batch has come.

        Raises:
            BatchRefusedError: it never will.
        """

    def results(self, id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """What became of each request, by its key, in any order; some may be left out."""

    def outcome(self, result: dict[str, Any], output_mode: str) -> Reply | Fault | None:
        """Read a result of a request in this output mode; None if nobody worked on it."""

    async def cancel(self, id: str) -> None:
        """Ask that no further request of a batch be worked on."""

    async def close(self) -> None:
        """Close its own connections."""


def has_batches(name: str) -> bool:
    """Whether a model's provider is one with batches, as far as its name tells."""
    return name.startswith(("openai:", "anthropic:"))


def refused(backend: Backend, error: Exception, output_mode: str) -> Fault:
    """The fault of a request that a batch's provider refused."""
    if part := backend.gives_up(error, output_mode):
        return fault_of(OtherwiseError(f"does not accept {part}: {error}", 400))
    return fault_of(error)
