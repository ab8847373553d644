"""Brings what a model answered to a request, and never pays for it twice.

Every request takes these steps: the ledger's earlier answer, the call cache, the budget's
reservation, a slot among the requests in flight or in a batch, the request with time-out and
retries, the commit to the ledger, the settlement of the budget. Only then is the answer used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from ..records import Call
from .batches.batcher import Batcher
from .budget import Budget
from .messages import Usage
from .ports import CallCache, CallLog, ModelBackend
from .sender import Sender
from .stopping import StopSignal
from .throttle import Throttle
from .timing import Timing

Asked = TypeVar("Asked", bound=ModelBackend)


class CallGateway(Generic[Asked]):
    """Asks one backend, never twice for the same thing."""

    def __init__(
        self,
        backend: Asked,
        log: CallLog,
        budget: Budget | None = None,
        throttle: Throttle | None = None,
        *,
        cache: CallCache | None = None,
        batcher: Batcher | None = None,
        timeout: float = 120.0,
        seed: int = 0,
        max_error_rate: float = 0.5,
        stop_signal: StopSignal | None = None,
        usage: Usage | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Take the backend, and where its calls are kept.

        Without a budget nothing is capped, without a throttle as many requests are in flight as
        the backend takes, and without a cache or a batcher there is none. `timeout` is the
        seconds that a request may take, `seed` goes to servers that take one, and at more than
        `max_error_rate` of faults among the last answers nothing more is sent.
        """
        self.backend = backend
        self.usage = usage or Usage()
        self.seed = seed
        self._log = log
        self._cache = cache
        self._in_flight: dict[str, asyncio.Task[Call]] = {}
        stop_signal, timing = stop_signal or StopSignal(), timing or Timing()
        most = backend.concurrency
        self._sender = Sender(
            backend,
            log,
            budget or Budget(),
            throttle or Throttle(backend.name, most, check=stop_signal.check, timing=timing),
            stop_signal,
            cache=cache,
            batcher=batcher,
            timeout=timeout,
            max_error_rate=max_error_rate,
            timing=timing,
        )

    @property
    def concurrency(self) -> int:
        """Most requests in flight at once."""
        return self._sender.concurrency

    async def call(
        self, body: Mapping[str, Any], prompt: str, *, agent: str, subject: str = "", round: int = 0
    ) -> Call:
        """The call of a request, with its answer or the cause for which there is none.

        Raises:
            ModelError: no request to this model can succeed.
            RunStopped: a cap, too many faults, or the user.
        """
        key = call_key(self.backend.name, self.backend.identity, prompt, body)
        known = self._log.call(key)
        if known and not known.error:
            self.usage.reused += 1
            return replace(known, reused=True)
        task = self._in_flight.get(key)
        if task is None:
            blank = Call(
                key=key,
                agent=agent,
                prompt=prompt,
                subject=subject,
                round=round,
                model=self.backend.name,
                request=dict(body),
            )
            if (found := self._cached(blank)) is not None:
                return found
            # A task of its own: an asker that is cancelled takes no answer from the others.
            task = self._in_flight[key] = asyncio.create_task(self._sent(blank))
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def count(self, call: Call, *, unusable: bool) -> None:
        """Count a new answer among those of which a share may be faulty."""
        if not call.reused:
            self._sender.failures.append(unusable)

    def _cached(self, blank: Call) -> Call | None:
        """The answer that another run paid for, committed to this run's ledger."""
        found = self._cache.get(blank.key) if self._cache else None
        if found is None:
            return None
        call = replace(
            found,
            agent=blank.agent,
            prompt=blank.prompt,
            subject=blank.subject,
            round=blank.round,
            model=blank.model,
            request=blank.request,
            cost=0.0,
            attempts=0,
            started=time.time(),
            reused=True,
        )
        self._log.add_call(call)
        self.usage.reused += 1
        return call

    async def _sent(self, blank: Call) -> Call:
        call = await self._sender.send(blank)
        self.usage.add(call)
        return call

    def _landed(self, key: str, done: asyncio.Task[Call]) -> None:
        del self._in_flight[key]
        if not done.cancelled():
            done.exception()  # nobody may be waiting for it any more


def call_key(model: str, identity: str, prompt: str, body: Mapping[str, Any]) -> str:
    """Return the content address of a call: equal for equal requests, whoever makes them."""
    content = json.dumps([model, identity, prompt, body], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]
