"""A recorded run: what its replay uses instead of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BudgetReached, ModelError, RunFolderError, TooManyErrors
from ..llms.backend import Backend
from ..llms.ports import CallCache
from ..records import Call
from ..stores.ledger import Ledger

_STOPS = {"budget": BudgetReached, "errors": TooManyErrors}


@dataclass(frozen=True, slots=True)
class Recording:
    """What a replay uses instead of models: their facts by name, and their answers."""

    backends: Mapping[str, Mapping[str, Any]]
    calls: CallCache

    def backend(self, name: str) -> Backend:
        """The backend that the recorded run opened by this name; it can be asked nothing."""
        if name not in self.backends:
            raise RunFolderError(f"the recorded run does not say what {name} was: resume it once")
        return Backend(chat=None, **self.backends[name])


@dataclass(frozen=True, slots=True)
class RecordedCalls:
    """The calls of a run by key; where it asked no further, so does its replay."""

    ledger: Ledger

    def get(self, key: str) -> Call:
        """The call with this key, failed ones included.

        Raises:
            RunStopped: the recorded run stopped before this call, for the same reason.
            ModelError: it did not stop early, and yet made no such call.
        """
        call = self.ledger.calls.call(key)
        if call is not None:
            return call
        if stopped := _STOPS.get(self.ledger.facts.read().stop or ""):
            raise stopped("the recorded run stopped here")
        raise ModelError(
            f"the ledger {self.ledger.path} has no call {key}: it was made by another version of "
            "lift-agent, or changed since"
        )

    def put(self, call: Call) -> None:
        """A replay asks no model."""
        raise NotImplementedError
