"""Sends calls until they are answered, one by one or in batches, and keeps what they spent."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from ..errors import LiftAgentError, ModelError, TooManyErrors
from ..records import Call, Spending
from .batches.batcher import Batcher
from .batches.service import BATCH_SHARE
from .budget import Budget
from .faults import Fault, fault_of
from .ports import CallCache, CallLog, ModelBackend
from .settlement import answered, spent_on
from .stopping import StopSignal
from .throttle import Throttle
from .timing import Timing

_ATTEMPTS = 6  # for faults that pass; a rate limit is waited out
_FIRST_TRIES = 3  # where no server was ever reached
_WINDOW = 50  # answers over which the share of failures is taken
_WINDOW_MINIMUM = 20
_IN_A_BATCH = 10_000  # requests that may wait to be sent together
_TRIED = 3  # requests of a kind that go alone, if none of them brings an answer


class Sender:
    """Sends what a gateway could not answer without its backend."""

    def __init__(
        self,
        backend: ModelBackend,
        log: CallLog,
        budget: Budget,
        throttle: Throttle,
        stop_signal: StopSignal,
        *,
        cache: CallCache | None,
        batcher: Batcher | None,
        timeout: float,
        max_error_rate: float,
        timing: Timing,
    ) -> None:
        self.failures: deque[bool] = deque(maxlen=_WINDOW)
        self._backend = backend
        self._log = log
        self._budget = budget
        self._throttle = throttle
        self._stop_signal = stop_signal
        self._cache = cache
        self._batcher = batcher
        self._timeout = timeout
        self._max_error_rate = max_error_rate
        self._longest_wait = timing.longest_wait
        self._over: LiftAgentError | None = None  # why nothing more is sent
        self._reached = False  # whether the server was ever there
        self._trying = asyncio.Lock()  # held by the first request of its kind, before a batch
        self._tried: Counter[str] = Counter()

    @property
    def concurrency(self) -> int:
        """Most requests in flight at once, or waiting to be sent together."""
        return _IN_A_BATCH if self._batcher and self._batcher.submits else self._throttle.most

    async def send(self, blank: Call) -> Call:
        """Try until there is an answer, or a fault that trying again does not mend.

        Raises:
            ModelError: no request to this model can succeed.
            RunStopped: a cap, too many faults, or the user.
        """
        started, passing, attempts, alone = time.time(), 0, 0, False
        while True:
            attempts += 1
            tried = replace(blank, attempts=attempts, started=started)
            async with self._in_batch(tried, alone) as batcher:
                outcome = await (self._batched(tried, batcher) if batcher else self._attempt(tried))
            if isinstance(outcome, Call):
                self._reached = True
                return outcome
            if outcome.kind == "fatal":
                self._over = self._backend.unusable(outcome)
                raise self._over
            self._reached = self._reached or not outcome.unreachable
            if batcher and outcome.kind != "request":
                alone = not outcome.unreachable  # what was never sent goes into the next batch
                continue
            if outcome.kind in ("limited", "otherwise"):
                continue  # the throttle waits
            passing += 1
            most = _ATTEMPTS if self._reached else _FIRST_TRIES
            if outcome.kind == "passing" and passing < most:
                longest = self._longest_wait
                backoff = min(longest, 0.5 * 2**passing) * random.uniform(0.5, 1)
                await self._pause(max(min(outcome.wait or 0.0, longest), backoff))
                continue
            return self._failed(tried, outcome)

    def _failed(self, tried: Call, fault: Fault) -> Call:
        """Keep the cause for which a call has no answer.

        Raises:
            ModelError: the server was never there.
        """
        if not self._reached:
            where = f" at {self._backend.address}" if self._backend.address else ""
            self._over = ModelError(
                f"{self._backend.name} cannot be reached{where} ({fault.cause}): is the "
                "server running, and the address right?"
            )
            raise self._over
        call = replace(
            tried,
            error=fault.cause,
            cost=self._backend.cost(0, 0),
            seconds=time.time() - tried.started,
        )
        self.failures.append(True)
        self._log.add_call(call)
        return call

    @asynccontextmanager
    async def _in_batch(self, call: Call, alone: bool) -> AsyncIterator[Batcher | None]:
        """The batcher that takes a call, None if it is to be sent by itself.

        What a batch already holds waits for that. Before others of its kind are sent together,
        one goes alone: what the server does not take is found out before a batch is made of it.
        """
        batcher = self._batcher
        if batcher is None or batcher.holds(call.key):
            yield batcher
        elif alone or not batcher.submits:
            yield None
        else:
            async with self._trying:
                mode = batcher.unproven(call.request)
                if mode and self._tried[mode] < _TRIED:
                    self._tried[mode] += 1
                    yield None
                    return
            yield batcher

    async def _batched(self, blank: Call, batcher: Batcher) -> Call | Fault:
        if batcher.holds(blank.key):
            return await batcher.answer(blank.key)
        self._check()
        thinking = self._backend.thinking_tokens
        worst = self._backend.worst(blank.request, thinking, BATCH_SHARE)
        await self._budget.reserve(worst)
        return await batcher.ask(blank, worst, thinking)

    async def _attempt(self, blank: Call) -> Call | Fault:
        """Send one request; its answer is committed when this returns."""
        thinking = self._backend.thinking_tokens
        worst = self._backend.worst(blank.request, thinking)
        answer = int(blank.request["max_tokens"])
        likely = (worst.tokens - thinking - answer) // 4 + answer
        self._check()
        await self._budget.reserve(worst)
        spent = Spending()
        try:
            async with self._throttle.place(likely):
                self._check()
                began, clock = time.time(), time.monotonic()
                attempt = self._log.begin_attempt(blank.key, began, worst)
                spent = worst  # until the server says otherwise, it may bill all of it
                try:
                    sent = self._backend.send(blank.request, thinking)
                    reply = await asyncio.wait_for(sent, self._timeout)
                except Exception as error:
                    fault = fault_of(error)
                    if isinstance(error, asyncio.TimeoutError):
                        fault = replace(fault, cause=f"no answer within {self._timeout:g} seconds")
                    if fault.refused or fault.unreachable:
                        spent = Spending(1)
                    seconds = time.monotonic() - clock
                    self._log.end_attempt(attempt, seconds, fault.cause, spent)
                    self._slow_down(fault, clock)
                    return fault
                call = answered(self._backend, blank, reply, time.monotonic() - clock)
                spent = spent_on(call, reply, worst)
                self._throttle.answered(spent.tokens - likely)
                if crowded := self._backend.crowded_out(reply, thinking):
                    self._log.end_attempt(attempt, call.seconds, crowded.cause, spent)
                    return crowded
                self._log.add_call(call, attempt, spent)
        finally:
            self._budget.settle(worst, spent)
        if self._cache:
            self._cache.put(call)
        return call

    def _slow_down(self, fault: Fault, sent: float) -> None:
        if fault.slows:
            try:
                self._throttle.refused(fault, sent)
            except TooManyErrors as over:
                self._over = over
                raise

    async def _pause(self, seconds: float) -> None:
        """Wait before trying again; Interrupted if the run is being stopped meanwhile."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0 and not self._stop_signal.stopped:
            await asyncio.sleep(min(0.1, rest))
        self._stop_signal.check()
        self._budget.check_time()

    def _check(self) -> None:
        """Raise if nothing more may be sent."""
        self._stop_signal.check()
        self._budget.check_time()
        if self._over:
            raise self._over
        seen, failed = len(self.failures), sum(self.failures)
        if seen >= _WINDOW_MINIMUM and failed > self._max_error_rate * seen:
            raise TooManyErrors(
                f"{failed} of the last {seen} answers of {self._backend.name} were faults"
            )
